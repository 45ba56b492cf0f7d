"""PostgreSQL stores of earlier versions, opened by this one."""

from unittest import IsolatedAsyncioTestCase, skipIf

from taskservice.database.todolist_db import AbstractTodoListDB, Clock, system_clock
from tests import postgres
from tests.old_stores import OldStoreContract, dump


@skipIf(postgres.available() is not None, postgres.available() or "")
class OldPostgresStoreTest(OldStoreContract, IsolatedAsyncioTestCase):

    def setUp(self) -> None:
        self.dsn = postgres.fresh_database()

    async def asyncSetUp(self) -> None:
        import asyncpg
        connection = await asyncpg.connect(self.dsn)
        await connection.execute(dump("postgres"))
        await connection.close()

    async def open_store(self, clock: Clock = system_clock) -> AbstractTodoListDB:
        from taskservice.database.postgres_db import PostgresTodoListDB
        engine = PostgresTodoListDB(self.dsn, clock=clock)
        await engine.start()
        self.addAsyncCleanup(engine.stop)
        return engine
