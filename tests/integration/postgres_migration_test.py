"""PostgreSQL stores of earlier versions, opened by this one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest import IsolatedAsyncioTestCase, skipIf

from taskservice.database.migration import migrations
from taskservice.database.todolist_db import AbstractTodoListDB, Clock, system_clock
from tests import postgres
from tests.old_stores import OldStoreContract, dump


@skipIf(postgres.available() is not None, postgres.available() or "")
class OldPostgresStoreTest(OldStoreContract, IsolatedAsyncioTestCase):

    def setUp(self) -> None:
        self.dsn = postgres.fresh_database()

    async def asyncSetUp(self) -> None:
        async with self.connection() as connection:
            await connection.execute(dump("postgres"))

    async def open_store(self, clock: Clock = system_clock) -> AbstractTodoListDB:
        from taskservice.database.postgres_db import PostgresTodoListDB
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

    async def test_who_waited_for_another_to_migrate_does_not_do_it_again(self) -> None:
        from taskservice.database.postgres_db import _MIGRATION_LOCK
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
