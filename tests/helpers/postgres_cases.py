"""What the tests of PostgreSQL's faults share: an engine on a server that a test may stop."""

import asyncio
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any, Awaitable
from unittest import SkipTest

from taskservice.datamodel import TaskEntry
from taskservice.errors import StoreUnavailableError
from tests.helpers import postgres
from tests.helpers.time_limit import LimitedTestCase
from tests.helpers.timing import at_most

ENTRY = TaskEntry("a title")

AWAY = at_most(3)
"""How many seconds a call may take while the server is away."""

BACK = at_most(5)
"""How many seconds after its return everything has to work."""


def load_engine() -> None:
    """Import the engine, not while a loop runs, for it takes its time; skip where it is missing."""
    if (reason := postgres.available()) is not None:
        raise SkipTest(reason)
    import_module("taskservice.database.postgres.engine")


def timing(**seconds: float) -> Any:
    """Return how long an engine waits for a server that is silent; see `Timing`."""
    from taskservice.database.postgres.connections import Timing
    return Timing(**seconds)


class ConnectTestCase(LimitedTestCase):
    """A test that makes engines for all kinds of DSNs, and has a folder for files."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would warn of every slow step

    async def start(self, dsn: str, **options: Any) -> Any:
        """Start an engine, and stop it in the end."""
        from taskservice.database.postgres.engine import PostgresTodoListDB
        engine = PostgresTodoListDB(dsn, **options)
        await engine.start()
        self.addAsyncCleanup(engine.stop)
        return engine


class DatabaseTestCase(LimitedTestCase):
    """A test with an engine on a database of its own."""

    server: postgres.PostgresServer

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = postgres.shared_server()

    def setUp(self) -> None:
        self.dsn = self.server.create_database()

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would warn of every slow step
        self.engine = await self.start()

    async def start(self, **options: Any) -> Any:
        """Start an engine, and stop it in the end."""
        from taskservice.database.postgres.engine import PostgresTodoListDB
        engine = PostgresTodoListDB(self.dsn, **options)
        await engine.start()
        self.addAsyncCleanup(engine.stop)
        return engine

    async def query(self, statement: str) -> None:
        """Run a statement on a connection of the test's own."""
        import asyncpg
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def select(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of one statement."""
        import asyncpg
        connection = await asyncpg.connect(self.dsn)
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()


class FaultTestCase(DatabaseTestCase):
    """A test with an engine on a server that it may stop."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = postgres.PostgresServer(fsync=False)
        cls.addClassCleanup(cls.server.close)
        cls.server.start()

    async def assert_away(self, call: Awaitable[object]) -> None:
        """Await a call that has to fail, in time, because the store is away."""
        started = time.monotonic()
        with self.assertRaises(StoreUnavailableError):
            await call
        self.assertLess(time.monotonic() - started, AWAY)

    async def assert_back(self) -> None:
        """Wait until reads and writes work again; they have to in time."""
        async with asyncio.timeout(BACK):
            while True:
                try:
                    await self.engine.update_task("a", ENTRY)
                    break
                except StoreUnavailableError:
                    await asyncio.sleep(0.01)
            await asyncio.gather(*(self.engine.read_task("a") for _ in range(30)))
