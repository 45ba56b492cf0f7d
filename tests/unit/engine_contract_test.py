"""The engines that need no server keep the contract."""

from pathlib import Path

import apsw

from taskservice.database.sqlite.engine import SQLiteTodoListDB
from taskservice.database.revisions import Clock
from taskservice.database.todolist_db import AbstractTodoListDB, FileTodoListDB, InMemoryTodoListDB
from taskservice.datamodel import TaskEntry
from taskservice.errors import ChangesExpiredError
from tests import contract
from tests.helpers.time_limit import LimitedTestCase


class InMemoryContractTest(contract.EngineContract, LimitedTestCase):
    """memory: gone with the process, of which the next one knows nothing."""

    def make(self, clock: Clock) -> AbstractTodoListDB:
        return InMemoryTodoListDB(clock=clock)

    async def test_a_revision_of_an_earlier_process_is_not_kept(self) -> None:
        earlier = self.clock.now - 2
        await self.engine.create_task("a", TaskEntry("a"))
        with self.assertRaises(ChangesExpiredError):
            await self.engine.read_changes(earlier, 10)
        self.assertEqual(len((await self.engine.read_changes(0, 10)).changes), 1)


class FileContractTest(contract.DurableEngineContract, LimitedTestCase):
    """fs: keeps the tasks.

    What was done to the folder meanwhile is not known: a start is a revision of its own.
    """

    start_is_a_revision = True

    def setUp(self) -> None:
        self.folder = self.enterContext(contract.quick_folder())

    def make(self, clock: Clock) -> AbstractTodoListDB:
        return FileTodoListDB(self.folder, clock=clock)


class SQLiteContractTest(contract.HistoryEngineContract, LimitedTestCase):
    """sqlite: keeps everything."""

    def setUp(self) -> None:
        self.path = str(Path(self.enterContext(contract.quick_folder()), "tasks.db"))

    def make(self, clock: Clock) -> AbstractTodoListDB:
        return SQLiteTodoListDB(self.path, clock=clock)


class SQLiteLargeStoreTest(contract.CutWalkContract, LimitedTestCase):
    """sqlite: lists as they are read from a large store."""

    def setUp(self) -> None:
        self.path = str(Path(self.enterContext(contract.quick_folder()), "tasks.db"))

    def make(self, clock: Clock) -> AbstractTodoListDB:
        return SQLiteTodoListDB(self.path, clock=clock)


class SQLiteSearchIndexTest(contract.SearchIndexContract, LimitedTestCase):
    """sqlite, with its search index."""

    def setUp(self) -> None:
        self.path = str(Path(self.enterContext(contract.quick_folder()), "tasks.db"))

    def make_with(self, clock: Clock, search_index: bool) -> AbstractTodoListDB:
        return SQLiteTodoListDB(self.path, clock=clock, search_index=search_index)

    def run_sql(self, statement: str) -> object:
        """Run a statement as another process would; return its value."""
        connection = apsw.Connection(self.path)
        try:
            return connection.execute(statement).get
        finally:
            connection.close()

    async def has_index(self) -> bool:
        left = self.run_sql("SELECT count(*) FROM sqlite_schema WHERE name LIKE '%search%'")
        return left != 0

    async def test_a_search_looks_at_nothing_else_than_what_it_finds_in_the_index(self) -> None:
        await self.create("1 apple", "2 pear", "3 apple", "4 apple", "5 apple pie")
        self.run_sql(
            "DELETE FROM search_index WHERE rowid = "
            "(SELECT number FROM search_numbers WHERE id = '4 apple')")
        self.assertEqual(
            [task.id for task in await self.walk(words=("apple",))],
            ["1 apple", "3 apple", "5 apple pie"])
        self.assertEqual(len(await self.walk(words=("le",))), 4)  # too short for it

    async def test_it_outlives_vacuum(self) -> None:
        await self.create("1 apple", "2 pear", "3 apple", "4 pear", "5 apple")
        await self.engine.delete_task("1 apple")
        self.run_sql("VACUUM")
        await self.create("6 apple")
        self.assertEqual(
            [task.id for task in await self.walk(words=("apple",))],
            ["3 apple", "5 apple", "6 apple"])
