"""SQLite stores of earlier versions, opened by this one."""

import asyncio
from pathlib import Path
from unittest import IsolatedAsyncioTestCase
from unittest.mock import patch

import apsw

from taskservice.database.sql import migration
from taskservice.database.sql.migration import migrations
from taskservice.database.sqlite import connection
from taskservice.database.sqlite.engine import SQLiteTodoListDB
from taskservice.database.revisions import Clock, system_clock
from taskservice.database.todolist_db import AbstractTodoListDB
from tests.contract import quick_folder
from tests.helpers.api import until
from tests.helpers.app import journal
from tests.helpers.old_stores import OldStoreContract, dump


class OldSQLiteStoreTest(OldStoreContract, IsolatedAsyncioTestCase):

    def setUp(self) -> None:
        self.path = Path(self.enterContext(quick_folder()), "tasks.db")
        self.execute(dump("sqlite"))
        self.execute("PRAGMA journal_mode = WAL")  # which a dump does not have

    def execute(self, statement: str) -> object:
        """Run a statement as another process would; return its value."""
        other = apsw.Connection(str(self.path))
        try:
            return other.execute(statement).get
        finally:
            other.close()

    async def run_sql(self, statement: str) -> object:
        return self.execute(statement)

    async def open_store(self, clock: Clock = system_clock) -> AbstractTodoListDB:
        engine = SQLiteTodoListDB(self.path, clock=clock)
        await engine.start()
        self.addAsyncCleanup(engine.stop)
        return engine

    async def test_it_says_how_far_it_is(self) -> None:
        with journal() as kept, patch.multiple(migration, PORTION=5, PROGRESS_INTERVAL=0.0):
            await self.open_store()
        self.assertEqual([line.values for line in kept.lines], [
            {"message": "MIGRATING", "store": str(self.path), "tasks": tasks} for tasks in (5, 10, 12)])

    async def test_what_is_sorted_is_in_files_until_it_is_migrated_and_in_memory_after_that(self) -> None:
        """Memory has no room for an index of very many rows; a full disk is no reason that reads fail."""
        seen = []
        refold = connection._refold

        def refolded(opened: apsw.Connection) -> None:
            seen.append(opened.pragma("temp_store"))
            refold(opened)

        with patch.object(connection, "_refold", refolded):
            opened = connection.open_store(str(self.path), busy_timeout=5)
        self.addCleanup(opened.close)
        self.assertEqual([*seen, opened.pragma("temp_store")], [1, 2])

    async def test_who_waited_for_another_to_migrate_does_not_do_it_again(self) -> None:
        """However long that takes."""
        other = apsw.Connection(str(self.path))
        self.addCleanup(other.close)
        with journal() as kept:
            other.execute("BEGIN IMMEDIATE")
            engine = SQLiteTodoListDB(self.path, busy_timeout=0.001)
            starting = asyncio.create_task(engine.start())
            self.addAsyncCleanup(engine.stop)
            await until(lambda: kept.lines or starting.done(), "a line that it waits")
            for number, script in migrations("sqlite", 1):
                other.execute(script)
                other.pragma("user_version", number)
            other.execute("UPDATE texts SET search_text = 'by the other'; COMMIT")
            await starting
        self.assertEqual([line.values["message"] for line in kept.lines], ["MIGRATION WAITS"])
        self.assertEqual(len(await self.found(engine, words=("other",))), 12)
