"""A DSN of several hosts, and a primary whose synchronous standby is away: what the engine makes of them."""

import asyncio
from importlib import import_module
from typing import Any

from taskservice.datamodel import IdempotencyKey
from taskservice.errors import StoreBusyError, StoreUnavailableError, TaskNotFoundError
from tests.helpers.api import until
from tests.helpers.postgres_cases import ENTRY, DatabaseTestCase, FaultTestCase, load_engine, timing
from tests.helpers.postgres_tls import TLSFront
from tests.helpers.timing import PATIENCE, in_time

KEY = IdempotencyKey("me", "k", b"digest")
_COMMITS = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def setUpModule() -> None:
    load_engine()


async def second_host_first(case: Any, *ports: int) -> TLSFront:
    """Have a case's DSN name a front before the case's server, and then these ports."""
    front = TLSFront(case.server.port, None)
    hosts = ",".join(f"127.0.0.1:{port}" for port in (await front.start(), *ports))
    case.addAsyncCleanup(front.stop)
    case.dsn = (case.dsn.replace(f"127.0.0.1:{case.server.port}", hosts)
                + "?sslmode=disable&target_session_attrs=read-write")
    return front


class HostsTest(DatabaseTestCase):

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would warn of every slow step
        self.second = TLSFront(self.server.port, None)
        self.front = await second_host_first(self, await self.second.start())
        self.addAsyncCleanup(self.second.stop)

    async def test_the_first_one_that_answers_is_used(self) -> None:
        self.second.silent = True  # on a slow machine the first one may take longer than its head start
        engine = await self.start(timing=timing(patience=PATIENCE))  # no probe, which is a connection, too
        await engine.create_task("a", ENTRY)
        await engine.read_task("a")
        self.assertEqual(self.front.accepted, 3)

    async def test_one_that_is_silent_keeps_nobody_waiting(self) -> None:
        self.front.silent = True
        engine = await self.start(acquire_timeout=PATIENCE)
        with in_time(self, 2):
            await engine.create_task("a", ENTRY)
            await engine.read_task("a")
        self.assertGreaterEqual(self.front.accepted, 3)

    async def test_one_that_is_not_there(self) -> None:
        await self.front.stop()
        engine = await self.start()
        await engine.create_task("a", ENTRY)

    async def test_that_another_one_answers_does_not_help_a_connection_to_one_that_is_silent(self) -> None:
        engine = await self.busy()
        engine._connections.timing = timing(patience=0.4, probe=0.4)
        self.front.silent = True
        for call in [asyncio.create_task(each) for each in (engine.read_task("a"), engine.update_task("a", ENTRY))]:
            with self.assertRaisesRegex(StoreUnavailableError, r"no answer for 0\.4 s"):
                await call
        with in_time(self, 2):  # the other connections were to the silent one, too
            for _ in range(8):
                await engine.read_task("a")
            await engine.update_task("a", ENTRY)

    async def test_a_host_that_is_found_silent_ends_also_what_it_was_asked_last(self) -> None:
        engine = await self.busy()
        self.front.silent = True
        first = await self.probing(engine)
        last = [asyncio.create_task(call) for call in (engine.read_task("a"), engine.update_task("a", ENTRY))]
        with self.assertRaisesRegex(StoreUnavailableError, r"no answer for 0\.2 s"):
            await first
        outcomes = await asyncio.wait_for(asyncio.gather(*last, return_exceptions=True), PATIENCE / 2)
        for outcome in outcomes:
            if isinstance(outcome, Exception):  # else it was asked anew, at the other host
                self.assertRegex(f"{type(outcome)} {outcome}", "StoreUnavailableError.* no answer, and none on a new")

    async def test_a_host_that_takes_no_new_connections_keeps_those_on_which_it_answers(self) -> None:
        engine = await self.busy()
        holder = await import_module("asyncpg").connect(self.dsn)
        await holder.execute("BEGIN; LOCK tasks")
        self.front.full = True
        first = await self.probing(engine)
        last = asyncio.create_task(engine.read_task("a"))
        await engine.revision()
        with self.assertRaisesRegex(StoreUnavailableError, r"no answer for 0\.2 s"):
            await first
        await holder.close()
        self.assertEqual((await last).entry, ENTRY)

    async def busy(self) -> Any:
        """Start an engine, and have it connect to the first host many times, however slow that is."""
        self.second.silent = True
        engine = await self.start(statement_timeout=PATIENCE, acquire_timeout=PATIENCE)
        await engine.create_task("a", ENTRY)
        await asyncio.gather(*(engine.read_task("a") for _ in range(8)))
        self.second.silent = False
        return engine

    async def probing(self, engine: Any) -> asyncio.Task[Any]:
        """Return a read that has no answer, so that its host is being asked for one; what comes after it is patient."""
        engine._connections.timing = timing(patience=0.2, probe=0.4)
        read = asyncio.create_task(engine.read_task("a"))
        await until(lambda: engine._connections._probes, "the host is asked")
        engine._connections.timing = timing(patience=PATIENCE)
        return read


class PromotionTest(FaultTestCase):

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await self.engine.create_task("a", ENTRY)
        await asyncio.to_thread(self.server.become_standby)

    async def test_a_standby_that_is_promoted_while_the_other_host_is_silent_is_asked_again(self) -> None:
        front = await second_host_first(self, self.server.port)
        front.silent = True
        start = asyncio.create_task(self.start(acquire_timeout=PATIENCE))
        await until(lambda: front.accepted, "the first host is asked")
        await asyncio.sleep(1)
        self.assertFalse(start.done())
        await asyncio.to_thread(self.server.promote)
        await (await start).update_task("a", ENTRY)

    async def test_what_a_standby_says_shows_more_than_that_the_other_host_is_not_there(self) -> None:
        front = await second_host_first(self, self.server.port)
        await front.stop()
        with self.assertRaisesRegex(StoreUnavailableError, "has no host as target_session_attrs wants it"):
            await self.start()
        await asyncio.to_thread(self.server.promote)
        await self.start()


class SynchronousStandbyTest(FaultTestCase):
    """The server waits for a standby that is not there."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await self.configure("nobody")

    async def configure(self, standby: str) -> None:
        """Have the server wait for a standby of this name."""
        for statement in f"ALTER SYSTEM SET synchronous_standby_names = '{standby}'", "SELECT pg_reload_conf()":
            await asyncio.to_thread(self.server.psql, statement)
        async with asyncio.timeout(PATIENCE):
            while await self.select("SHOW synchronous_standby_names") != [(standby,)]:
                await asyncio.sleep(0.01)

    async def asyncTearDown(self) -> None:
        await self.configure("")

    async def test_nothing_is_acknowledged_before_it_is_there(self) -> None:
        engine = await self.start_while_there_is_one(statement_timeout=2)
        with self.assertRaisesRegex(StoreBusyError, r"longer than 2 s .*: its COMMIT waits, perhaps for a sync"):
            await engine.create_task("a", ENTRY)
        with self.assertRaises(TaskNotFoundError):  # or readers see what a failover loses
            await engine.read_task("a")
        with self.assertRaisesRegex(StoreBusyError, "canceling statement due to statement timeout"):
            await engine.create_task("b", ENTRY)
        await self.configure("")
        await engine.update_task("a", ENTRY)
        await engine.create_task("b", ENTRY)

    async def test_a_commit_that_somebody_cancels_is_not_acknowledged(self) -> None:
        self.dsn += "?client_min_messages=error"  # the warning comes all the same
        engine = await self.start_while_there_is_one(statement_timeout=PATIENCE)
        for _ in range(2):  # the second time it is there already, and has yet to be on the standby
            write = asyncio.create_task(engine.create_task("a", ENTRY, KEY))
            async with asyncio.timeout(PATIENCE):
                while not (waiting := await self.select(_COMMITS)):
                    self.assertFalse(write.done(), "acknowledged")
                    await asyncio.sleep(0.01)
            await self.query(f"SELECT pg_cancel_backend({waiting[0][0]})")
            with self.assertRaisesRegex(
                    StoreUnavailableError, "committed without its synchronous standby: canceling wait for sync"):
                await write
        await self.configure("")
        self.assertTrue((await engine.create_task("a", ENTRY, KEY)).replayed)

    async def start_while_there_is_one(self, **options: Any) -> Any:
        """Start an engine, which writes at its start."""
        await self.configure("")
        engine = await self.start(**options)
        await self.configure("nobody")
        return engine
