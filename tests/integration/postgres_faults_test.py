"""PostgreSQL goes away and comes back, or is behind PgBouncer (RELIABILITY.md, 1 and 6)."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import skipIf

from taskservice.database.sql.writes import Delete
from taskservice.datamodel import TaskEntry, TaskQuery
from taskservice.errors import ConfigError, StoreBusyError, StoreError, StoreFullError, StoreUnavailableError
from taskservice.precondition import UNCONDITIONAL
from tests.helpers import postgres
from tests.helpers.postgres_cases import AWAY, BACK, ENTRY, FaultTestCase, load_engine, timing
from tests.helpers.timing import at_most

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def setUpModule() -> None:
    load_engine()


class AwayTest(FaultTestCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await self.engine.create_task("a", ENTRY)
        await asyncio.gather(*(self.engine.read_task("a") for _ in range(30)))

    async def test_a_crash_under_load_loses_nothing_acknowledged(self) -> None:
        acknowledged: list[str] = []
        failed: list[str] = []
        over = asyncio.Event()

        async def write(number: int) -> None:
            step = 0
            while not over.is_set():
                task_id = f"{number}-{(step := step + 1)}"
                started = time.monotonic()
                try:
                    await self.engine.create_task(task_id, ENTRY)
                    acknowledged.append(task_id)
                    await self.engine.read_task(task_id)
                except StoreUnavailableError:
                    self.assertLess(time.monotonic() - started, AWAY)
                    failed.append(task_id)
                    await asyncio.sleep(0.01)

        async def crash() -> None:
            while len(acknowledged) < 100:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(self.server.restart, "immediate")
            before = len(acknowledged)
            async with asyncio.timeout(BACK):
                while len(acknowledged) < before + 100:
                    await asyncio.sleep(0.01)
            over.set()

        await asyncio.gather(crash(), *(write(number) for number in range(16)))
        for task_id in acknowledged:
            await self.engine.read_task(task_id)
        self.assertTrue(failed)

    async def test_a_halted_server_is_away_until_it_goes_on(self) -> None:
        self.engine = await self.start(timing=timing(patience=0.3, probe=0.4))
        await asyncio.gather(self.engine.update_task("a", ENTRY), *(
            self.engine.read_task("a") for _ in range(30)))
        self.server.pause()
        try:
            async def late(delay: float, call: Any) -> None:
                await asyncio.sleep(delay)
                await self.assert_away(call())
            await asyncio.gather(*(
                late(delay, call) for delay in (0, 0.1, 0.5, 0.65, 0.8) for call in (
                    lambda: self.engine.create_task("b", ENTRY),
                    lambda: self.engine.read_task("a"),
                    lambda: self.engine.read_page(TaskQuery()),
                    self.engine.revision) * 4))
        finally:
            self.server.resume()
        await self.assert_back()

    async def test_a_stopped_server_is_away_at_once(self) -> None:
        await asyncio.to_thread(self.server.stop)
        try:
            for call in (self.engine.create_task("b", ENTRY), self.engine.read_task("a")):
                await self.assert_away(call)
        finally:
            await asyncio.to_thread(self.server.start)
        await self.assert_back()

    async def test_a_restore_that_has_not_made_the_index_yet_is_away(self) -> None:
        await self.query("ALTER TABLE tasks DROP CONSTRAINT tasks_pkey")
        with self.assertRaisesRegex(StoreUnavailableError, r"has lost an index \(is it being restored\?\)"):
            await self.engine.create_task("b", ENTRY)
        await self.query("ALTER TABLE tasks ADD PRIMARY KEY (id)")
        await self.engine.create_task("b", ENTRY)

    async def test_cut_connections_fail_nobody(self) -> None:
        titles = ["a title", "round 0", "round 1", "round 2"]
        for before, after in zip(titles, titles[1:]):
            await self.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()")
            written, *read = await asyncio.gather(
                self.engine.update_task("a", TaskEntry(after)),
                *(self.engine.read_task("a") for _ in range(30)))
            self.assertLessEqual({stored.entry.title for stored in read}, {before, after})
            self.assertEqual(written.entry.title, after)
            self.assertEqual(await self.engine.read_task("a"), written)

    async def test_the_start_of_a_service_without_a_server_says_where_it_was_looked_for(
        self
    ) -> None:
        self.dsn = f"postgresql://127.0.0.1:{postgres.free_port()}/tasks"
        with self.assertRaisesRegex(StoreUnavailableError, r"127\.0\.0\.1:\d+"):
            await self.start()

    async def test_calls_after_stop_raise(self) -> None:
        write = asyncio.create_task(self.engine.create_task("b", ENTRY))
        await asyncio.sleep(0)
        await self.engine.stop()
        self.assertFalse((await write).replayed)
        await self.assert_away(self.engine.read_task("a"))
        await self.assert_away(self.engine.create_task("c", ENTRY))


class TroubleTest(FaultTestCase):
    async def test_a_failed_commit_fails_all_in_it(self) -> None:
        other = await self.start(statement_timeout=1)
        await self.engine.create_task("before", ENTRY)
        revision = await self.engine.revision()
        await self.query("""
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'no room' USING ERRCODE = 'disk_full'; END $$;
            CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON tasks DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION fail()""")
        outcomes = await asyncio.gather(
            *(self.engine.create_task(f"{n}", ENTRY) for n in range(5)), return_exceptions=True)
        self.assertEqual([type(outcome) for outcome in outcomes], [StoreFullError] * 5)
        self.assertEqual(len({id(outcome) for outcome in outcomes}), 5)
        for outcome in outcomes:
            self.assertIn("no room", str(outcome.__cause__))
        for engine in (self.engine, other):
            self.assertEqual(await engine.revision(), revision)
            self.assertEqual(
                [task.id for task in (await engine.read_page(TaskQuery())).tasks], ["before"])
        await other.update_task("before", ENTRY)  # the row of the store is free
        await self.query("DROP TRIGGER fail ON tasks")
        await self.engine.create_task("0", ENTRY)

    async def test_what_was_not_foreseen_keeps_its_cause(self) -> None:
        class Faulty(Delete):
            @property
            def ids(self) -> Any:
                raise RuntimeError("a bug")

            @ids.setter
            def ids(self, ids: Any) -> None:
                pass

        with self.assertRaisesRegex(StoreError, "RuntimeError.*a bug") as caught:
            await self.engine._writer.write(Faulty("a", UNCONDITIONAL))
        self.assertIsInstance(caught.exception.__cause__, RuntimeError)
        await self.engine.create_task("b", ENTRY)

    async def test_a_slow_server_that_lives_is_waited_for(self) -> None:
        engine = await self.start(timing=timing(patience=0.05))
        lock = asyncio.create_task(self.query(
            "BEGIN; SELECT FROM store FOR UPDATE; SELECT pg_sleep(0.5); COMMIT"))
        await self.locked()
        await engine.create_task("a", ENTRY)
        self.assertTrue(lock.done())
        await lock

    async def test_a_lock_is_not_waited_for_beyond_the_statement_timeout(self) -> None:
        engine = await self.start(statement_timeout=0.2)
        lock = asyncio.create_task(self.query(
            "BEGIN; SELECT FROM store FOR UPDATE; SELECT pg_sleep(1); COMMIT"))
        await self.locked()
        await self.assert_away(engine.create_task("a", ENTRY))
        self.assertFalse(lock.done())
        await lock
        await engine.create_task("a", ENTRY)

    async def locked(self) -> None:
        """Wait until another session has the lock on the store."""
        import asyncpg
        connection = await asyncpg.connect(self.dsn)
        try:
            while await connection.fetch("SELECT FROM store FOR UPDATE SKIP LOCKED"):
                await asyncio.sleep(0.005)
        finally:
            await connection.close()


@skipIf(PGBOUNCER is None, "needs the program pgbouncer (Debian: apt-get install pgbouncer)")
class PgBouncerTest(FaultTestCase):
    """With fewer server connections than clients, so that these change them all the time."""

    async def asyncSetUp(self) -> None:
        self.direct = self.dsn
        self.dsn = await self.behind("transaction")

    async def behind(self, mode: str, ignored: str = "") -> str:
        """Return the DSN of the database behind a PgBouncer of this mode, which drops the ignored settings."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        port = postgres.free_port()
        self.run_pgbouncer(folder, port, mode, ignored)
        await self.wait_for(port)
        return self.direct.replace(f":{self.server.port}/", f":{port}/")

    def run_pgbouncer(self, folder: Path, port: int, mode: str, ignored: str) -> None:
        """Run PgBouncer until the test ends."""
        config = folder / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host=127.0.0.1 port={self.server.port} user=postgres\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = {mode}\ndefault_pool_size = 2\nignore_startup_parameters = {ignored}\n")
        folder.chmod(0o755)
        user = {"user": "nobody"} if os.geteuid() == 0 else {}
        assert PGBOUNCER is not None
        process = subprocess.Popen(
            [PGBOUNCER, "-q", config], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, **user)  # type: ignore[call-overload]  # user is no name
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)

    async def wait_for(self, port: int) -> None:
        """Wait until something listens on `port`."""
        async with asyncio.timeout(at_most(10)):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    return writer.close()
                except ConnectionRefusedError:
                    await asyncio.sleep(0.01)

    async def test_reads_and_writes_change_the_server_connection_freely(self) -> None:
        engines = [await self.start(pgbouncer=True), await self.start(pgbouncer=True)]

        async def use(number: int) -> None:
            engine = engines[number % 2]
            for step in range(10):
                await engine.create_task(f"{number}-{step}", ENTRY)
                await engine.read_task(f"{number}-{step}")
                await engine.read_page(TaskQuery(limit=2))
                await engine.update_task(f"{number}-{step}", ENTRY)

        await asyncio.gather(*(use(number) for number in range(12)))
        self.assertEqual(len((await engines[0].read_page(TaskQuery())).tasks), 120)

    async def test_a_schema_of_its_own(self) -> None:
        one, other = await self.start(pgbouncer=True, schema="one"), await self.start(pgbouncer=True, schema="other")
        await asyncio.gather(*(one.create_task(f"{number}", ENTRY) for number in range(5)))
        await other.create_task("0", ENTRY)
        self.assertEqual([len((await engine.read_page(TaskQuery())).tasks) for engine in (one, other)], [5, 1])

    async def test_a_schema_that_it_drops_or_refuses_is_an_error(self) -> None:
        settings = "plan_cache_mode, jit, statement_timeout"
        for ignored, said in ((settings, "takes no search_path: set task-db.postgres.pgbouncer to true"),
                              (f"{settings}, search_path", "ignores the search_path .*pgbouncer to true")):
            self.dsn = await self.behind("transaction", ignored)
            with self.assertRaisesRegex(ConfigError, said):
                await self.start(schema="one")
        await self.start(schema="one", pgbouncer=True)

    async def test_session_mode_does_and_statement_mode_says_what_to_set(self) -> None:
        self.dsn = await self.behind("session")
        engine = await self.start(pgbouncer=True)
        await engine.create_task("a", ENTRY)
        await engine.read_task("a")
        self.dsn = await self.behind("statement")
        with self.assertRaisesRegex(ConfigError, "pool_mode = statement, .*: set it to transaction or session"):
            await self.start(pgbouncer=True)

    async def test_an_option_that_it_takes_from_nobody_is_named(self) -> None:
        self.dsn += "?work_mem=64MB"
        with self.assertRaisesRegex(ConfigError, "behind PgBouncer, which takes no work_mem: leave it out of the DSN"):
            await self.start(pgbouncer=True)

    async def test_without_the_option_the_error_names_it(self) -> None:
        with self.assertRaisesRegex(ConfigError, r"behind PgBouncer: set task-db\.postgres\.pgbouncer to true\Z"):
            await self.start()

    async def test_a_read_that_fails_leaves_no_transaction_behind(self) -> None:
        engine = await self.start(pgbouncer=True)
        await engine.create_task("a", ENTRY)
        await engine.read_task("a")
        await self.query("ALTER TABLE tasks RENAME TO away")
        for _ in range(3):
            with self.assertRaisesRegex(StoreUnavailableError, "has lost a table"):
                await engine.read_task("a")
        await self.query("ALTER TABLE away RENAME TO tasks")
        await asyncio.gather(*(engine.read_task("a") for _ in range(5)))

    async def test_a_read_takes_no_longer_than_a_statement_may(self) -> None:
        engine = await self.start(pgbouncer=True, statement_timeout=0.3)
        await engine.create_task("a", ENTRY)
        lock = asyncio.create_task(self.query("BEGIN; LOCK tasks; SELECT pg_sleep(2); COMMIT"))
        async with asyncio.timeout(at_most(10)):
            while not await self.select("SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock'"):
                await asyncio.sleep(0.01)
        with self.assertRaisesRegex(StoreBusyError, "canceling statement due to statement timeout"):
            await engine.read_task("a")
        await lock

    async def test_a_server_that_is_away_behind_it_comes_back(self) -> None:
        self.engine = await self.start(pgbouncer=True, timing=timing(patience=0.3, probe=0.4))
        await self.engine.create_task("a", ENTRY)
        self.server.pause()
        try:
            await asyncio.gather(*(
                self.assert_away(self.engine.read_task("a")) for _ in range(4)),
                self.assert_away(self.engine.create_task("b", ENTRY)))
        finally:
            self.server.resume()
        await self.assert_back()
