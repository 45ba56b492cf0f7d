"""PostgreSQL stores of earlier versions, opened by this one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from unittest import skipIf

from taskservice.database.sql.migration import migrations
from taskservice.database.revisions import Clock, system_clock
from taskservice.database.todolist_db import AbstractTodoListDB
from tests.contract import quick_folder
from tests.helpers import postgres
from tests.helpers.old_stores import OldStoreContract, dump
from tests.helpers.time_limit import LimitedTestCase


@skipIf(postgres.available() is not None, postgres.available() or "")
class OldPostgresStoreTest(OldStoreContract, LimitedTestCase):

    def setUp(self) -> None:
        self.dsn = postgres.fresh_database()

    async def asyncSetUp(self) -> None:
        async with self.connection() as connection:
            await connection.execute(dump("postgres"))

    async def open_store(self, clock: Clock = system_clock) -> AbstractTodoListDB:
        from taskservice.database.postgres.engine import PostgresTodoListDB
        engine = PostgresTodoListDB(self.dsn, clock=clock)
        await engine.start()
        self.addAsyncCleanup(engine.stop)
        return engine

    async def run_sql(self, statement: str) -> object:
        async with self.connection() as connection:
            return await connection.fetchval(statement)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """Give a connection as another process would have it."""
        import asyncpg
        connection = await asyncpg.connect(self.dsn)
        try:
            yield connection
        finally:
            await connection.close()

    async def until_some(self, statement: str) -> None:
        """Wait until a statement counts some."""
        async with asyncio.timeout(30):
            while not await self.run_sql(statement):
                await asyncio.sleep(0.01)

    async def test_its_tables_and_columns_have_the_names_that_they_have_in_sqlite(self) -> None:
        from taskservice.database.sqlite.connection import open_store
        await self.open_store()
        async with self.connection() as connection:
            found = await connection.fetch(
                "SELECT table_name, column_name FROM information_schema.columns "
                "WHERE table_schema = current_schema AND table_name <> 'store_version' "
                "AND column_name <> 'only_row'")
        file = Path(self.enterContext(quick_folder()), "tasks.db")
        with closing(open_store(str(file), busy_timeout=1)) as sqlite:
            names = sqlite.execute(
                "SELECT tables.name, columns.name FROM sqlite_schema AS tables "
                "JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'").fetchall()
        self.assertEqual({tuple(row) for row in found}, set(names))

    async def test_who_waited_for_another_to_migrate_does_not_do_it_again(self) -> None:
        from taskservice.database.postgres.engine import _MIGRATION_LOCK
        waiting = (
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())")
        async with self.connection() as other:
            await other.execute(f"BEGIN; SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            starting = asyncio.create_task(self.open_store())
            await self.until_some(waiting)
            for number, script in migrations("postgres", 1):
                await other.execute(f"{script}; UPDATE store_version SET version = {number}")
            await other.execute("UPDATE texts SET search_text = 'by the other'; COMMIT")
            engine = await starting
        self.assertEqual(len(await self.found(engine, words=("other",))), 12)

    async def test_an_earlier_version_that_still_runs_cannot_write_while_it_is_migrated(self) -> None:
        """It locks the row of the store before each write; readers go on."""
        async with self.connection() as other:
            await other.execute("BEGIN; SELECT FROM store FOR UPDATE")
            starting = asyncio.create_task(self.open_store())
            await self.until_some(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE wait_event_type = 'Lock' AND query LIKE '%FROM store FOR UPDATE'")
            await other.execute("UPDATE tasks SET title_key = repeat('q', 500) WHERE id = 'plain'; COMMIT")
            await starting
        self.assertEqual(
            await self.run_sql("SELECT length(title_key) FROM tasks WHERE id = 'plain'"), 200)
