"""SQLite stores of earlier versions, opened by this one."""

import asyncio
from pathlib import Path
from unittest import IsolatedAsyncioTestCase

import apsw

from taskservice.database.migration import migrations
from taskservice.database.sqlite_db import SQLiteTodoListDB
from taskservice.database.todolist_db import AbstractTodoListDB, Clock, system_clock
from tests.api import until
from tests.contract import quick_folder
from tests.old_stores import OldStoreContract, dump
from tests.support import journal


class OldSQLiteStoreTest(OldStoreContract, IsolatedAsyncioTestCase):

    def setUp(self) -> None:
        self.path = Path(self.enterContext(quick_folder()), "tasks.db")
        self.execute(dump("sqlite"))
        self.execute("PRAGMA journal_mode = WAL")  # which a dump does not have

    def execute(self, statement: str) -> object:
        """Run a statement as another process would; return its value."""
        connection = apsw.Connection(str(self.path))
        try:
            return connection.execute(statement).get
        finally:
            connection.close()

    async def run_sql(self, statement: str) -> object:
        return self.execute(statement)

    async def open_store(self, clock: Clock = system_clock) -> AbstractTodoListDB:
        engine = SQLiteTodoListDB(self.path, clock=clock)
        await engine.start()
        self.addAsyncCleanup(engine.stop)
        return engine

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
