"""The engines that need no server keep the contract."""

from pathlib import Path
from unittest import IsolatedAsyncioTestCase

from taskservice.database.sqlite_db import SQLiteTodoListDB
from taskservice.database.todolist_db import (
    AbstractTodoListDB, Clock, FileTodoListDB, InMemoryTodoListDB)
from tests import contract


class InMemoryContractTest(contract.EngineContract, IsolatedAsyncioTestCase):
    """memory: gone with the process."""

    def make(self, clock: Clock) -> AbstractTodoListDB:
        return InMemoryTodoListDB(clock=clock)


class FileContractTest(contract.DurableEngineContract, IsolatedAsyncioTestCase):
    """fs: keeps the tasks.

    What was done to the folder meanwhile is not known: a start is a revision of its own.
    """

    start_is_a_revision = True

    def setUp(self) -> None:
        self.folder = self.enterContext(contract.quick_folder())

    def make(self, clock: Clock) -> AbstractTodoListDB:
        return FileTodoListDB(self.folder, clock=clock)


class SQLiteContractTest(contract.HistoryEngineContract, IsolatedAsyncioTestCase):
    """sqlite: keeps everything."""

    def setUp(self) -> None:
        self.path = str(Path(self.enterContext(contract.quick_folder()), "tasks.db"))

    def make(self, clock: Clock) -> AbstractTodoListDB:
        return SQLiteTodoListDB(self.path, clock=clock)
