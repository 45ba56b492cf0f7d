"""The engines that need no server keep the contract."""

from pathlib import Path
from unittest import IsolatedAsyncioTestCase

from taskservice.database.sqlite_db import SQLiteTodoListDB
from taskservice.database.todolist_db import (
    AbstractTodoListDB, Clock, FileTodoListDB, InMemoryTodoListDB)
from taskservice.datamodel import TaskEntry
from taskservice.errors import ChangesExpiredError
from tests import contract


class InMemoryContractTest(contract.EngineContract, IsolatedAsyncioTestCase):
    """memory: gone with the process, of which the next one knows nothing."""

    def make(self, clock: Clock) -> AbstractTodoListDB:
        return InMemoryTodoListDB(clock=clock)

    async def test_a_revision_of_an_earlier_process_is_not_kept(self) -> None:
        earlier = self.clock.now - 2
        await self.engine.create_task("a", TaskEntry("a"))
        with self.assertRaises(ChangesExpiredError):
            await self.engine.read_changes(earlier, 10)
        self.assertEqual(len((await self.engine.read_changes(0, 10)).changes), 1)


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
