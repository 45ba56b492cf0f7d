"""What the engine holds on PostgreSQL is bounded: transactions, connections, and waits for a hang."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from typing import Any
from unittest import mock

from taskservice.errors import StoreBusyError, StoreError, StoreUnavailableError
from tests.helpers.api import until
from tests.helpers.app import ROOT
from tests.helpers.postgres_cases import ENTRY, DatabaseTestCase, FaultTestCase, load_engine, timing
from tests.helpers.postgres_tls import TLSFront
from tests.helpers.timing import at_most


_PROCESSES = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database()
   AND application_name = 'taskservice' ORDER BY backend_start DESC"""


def setUpModule() -> None:
    load_engine()


class TransactionTest(DatabaseTestCase):
    """The writer's."""

    async def test_synchronous_commit_is_on_where_it_was_off_and_else_as_it_was(self) -> None:
        await self.query("""
            CREATE TABLE seen (setting text);
            CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
            CREATE TRIGGER see AFTER INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION see()""")
        database = self.dsn.rpartition("/")[2]
        for setting, seen in (("off", "on"), ("on", "on"), ("remote_apply", "remote_apply"),
                              ("local", "local")):
            await self.query(
                f"ALTER DATABASE {database} SET synchronous_commit = {setting}; DELETE FROM seen")
            engine = await self.start()
            await engine.create_task(setting, ENTRY)
            self.assertEqual(await self.select("SELECT setting FROM seen"), [(seen,)], setting)

    async def test_a_statement_that_fails_leaves_nothing_behind(self) -> None:
        other = await self.start(statement_timeout=1)
        await self.engine.create_task("a", ENTRY)
        await self.query("""
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              RAISE 'not this one' USING ERRCODE = 'internal_error'; END $$;
            CREATE TRIGGER fail BEFORE INSERT ON tasks FOR EACH ROW
              WHEN (NEW.id = 'bad') EXECUTE FUNCTION fail()""")
        for engine in (other, self.engine):
            revision = await engine.revision()
            with self.assertRaisesRegex(StoreError, "failed: not this one"):
                await self.engine.create_task("bad", ENTRY)
            self.assertEqual(await engine.revision(), revision)
            await engine.update_task("a", ENTRY)

    async def test_a_process_that_is_halted_in_it_holds_up_no_other_for_long(self) -> None:
        await self.engine.create_task("a", ENTRY)
        command = [sys.executable, "-c", _HALTS_IN_A_TRANSACTION, self.dsn]
        with subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
            try:
                _, status = await asyncio.to_thread(os.waitpid, process.pid, os.WUNTRACED)
                self.assertTrue(os.WIFSTOPPED(status), status)
                async with asyncio.timeout(at_most(10)):
                    await self.engine.update_task("a", ENTRY)
                process.send_signal(signal.SIGCONT)
                reported, _ = await asyncio.to_thread(process.communicate, timeout=at_most(30))
            finally:
                process.kill()
        self.assertEqual(reported, "StoreUnavailableError\n")
        self.assertEqual(await self.select("SELECT id FROM tasks"), [("a",)])


_HALTS_IN_A_TRANSACTION = """
import asyncio, os, signal, sys
from taskservice.database.postgres.engine import PostgresTodoListDB
from taskservice.datamodel import TaskEntry
from taskservice.errors import StoreError

halts = iter([True])

def clock():  # the writer asks it between its statements
    if next(halts, False):
        os.kill(os.getpid(), signal.SIGSTOP)
    return 1

async def main():
    async with PostgresTodoListDB(sys.argv[1], clock=clock, statement_timeout=0.5) as engine:
        try:
            await engine.create_task("halted", TaskEntry("a title"))
        except StoreError as error:
            print(type(error).__name__)

asyncio.run(main())
"""


class IdleTest(DatabaseTestCase):
    """Connections that are not used."""

    async def newest(self) -> Any:
        """Return the process of the server that was started last for an engine."""
        [(pid,), *_] = await self.select(_PROCESSES)
        return pid

    async def test_one_is_kept_for_a_while_and_then_made_anew(self) -> None:
        await self.engine.create_task("a", ENTRY)
        for max_idle, same in ((60.0, True), (0.0, False)):
            engine = await self.start(timing=timing(max_idle=max_idle))
            operations: list[Callable[[], Awaitable[Any]]] = [
                partial(engine.read_task, "a"), partial(engine.update_task, "a", ENTRY)]
            for operation in operations:
                await operation()
                before = await self.newest()
                await operation()
                self.assertEqual(await self.newest() == before, same, max_idle)
                if not same:
                    await self.until_connections(lambda pids: before not in pids)

    async def test_an_error_that_is_an_answer_costs_no_connection(self) -> None:
        await self.engine.create_task("a", ENTRY)
        await self.engine.read_task("a")
        before = await self.newest()
        await self.query("ALTER TABLE tasks RENAME TO away")
        with self.assertRaises(StoreUnavailableError):
            await self.engine.read_task("a")
        await self.query("ALTER TABLE away RENAME TO tasks")
        await self.engine.read_task("a")
        self.assertEqual(await self.newest(), before)

    async def test_a_stop_ends_all_also_those_that_read(self) -> None:
        await self.engine.create_task("a", ENTRY)
        await asyncio.gather(*(self.engine.read_task("a") for _ in range(3)))
        holder = await import_module("asyncpg").connect(self.dsn)
        await holder.execute("BEGIN; LOCK tasks")
        read = asyncio.create_task(self.engine.read_task("a"))
        await self.engine_waits()
        await self.engine.stop()
        await self.until_connections(lambda pids: len(pids) == 1)
        await holder.close()
        self.assertEqual((await read).entry, ENTRY)
        await self.until_connections(lambda pids: not pids)

    async def test_a_stop_leaves_no_statement_of_a_cancelled_read_behind(self) -> None:
        await self.engine.create_task("a", ENTRY)
        holder = await import_module("asyncpg").connect(self.dsn)
        await holder.execute("BEGIN; LOCK tasks")
        read = asyncio.create_task(self.engine.read_task("a"))
        await self.engine_waits()
        before = asyncio.all_tasks()
        read.cancel()
        await asyncio.wait([read])
        await self.engine.stop()
        self.assertLessEqual(asyncio.all_tasks(), before, "the engine has nothing left to do")
        await self.until_connections(lambda pids: not pids)
        await holder.close()

    async def test_a_stop_does_not_wait_for_a_server_that_cannot_be_asked(self) -> None:
        engine = await self.start(timing=timing(probe=0.2))
        await engine.create_task("a", ENTRY)
        holder = await import_module("asyncpg").connect(self.dsn)
        await holder.execute("BEGIN; LOCK tasks")
        read = asyncio.create_task(engine.read_task("a"))
        await self.engine_waits()

        async def never(*_args: object, **_options: object) -> None:
            await asyncio.Event().wait()

        before = asyncio.all_tasks()
        with mock.patch("asyncpg.connect_utils._cancel", never):
            read.cancel()
            await asyncio.wait([read])
            async with asyncio.timeout(at_most(10)):
                await engine.stop()
        self.assertLessEqual(asyncio.all_tasks(), before)
        await holder.close()

    async def engine_waits(self) -> None:
        """Wait until the engine waits for a lock."""
        async with asyncio.timeout(at_most(10)):
            while not await self.select(
                    "SELECT FROM pg_stat_activity WHERE datname = current_database() "
                    "AND application_name = 'taskservice' AND wait_event_type = 'Lock'"):
                await asyncio.sleep(0.01)

    async def until_connections(self, condition: Callable[[set[Any]], bool]) -> None:
        """Wait until the processes of the server that serve engines are as they should be."""
        async with asyncio.timeout(at_most(10)):
            while not condition(await self.connections()):
                await asyncio.sleep(0.01)

    async def test_a_pool_has_no_more_than_its_size(self) -> None:
        await self.engine.create_task("a", ENTRY)
        engine = await self.start(pool_size=3)
        before = await self.connections()
        await asyncio.gather(*(engine.read_task("a") for _ in range(30)))
        self.assertEqual(len(await self.connections() - before), 3)

    async def connections(self) -> set[Any]:
        """Return the processes of the server that serve engines."""
        return {pid for pid, in await self.select(_PROCESSES)}


class HangTest(FaultTestCase):
    """The server does not answer any more; what is asked for too long is failed by the test."""

    async def start(self, **options: Any) -> Any:
        """Start an engine that would wait for long, but for what a hang is recognised by."""
        return await super().start(**{
            "timing": timing(patience=0.4, probe=0.4), "acquire_timeout": 30, "statement_timeout": 30,
            **options})

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await self.engine.create_task("a", ENTRY)
        await asyncio.gather(*(self.engine.read_task("a") for _ in range(2)))
        self.addCleanup(self.server.resume)

    async def assert_hung(self, call: Awaitable[object]) -> None:
        """Await a call that has to fail, and not to try again."""
        async with asyncio.timeout(at_most(8)):
            with self.assertRaisesRegex(
                    StoreUnavailableError, r"no answer for 0\.4 s, and none on a new connection"):
                await call

    async def test_a_read_and_a_write_are_not_tried_again(self) -> None:
        self.server.pause()
        await asyncio.gather(
            self.assert_hung(self.engine.read_task("a")),
            self.assert_hung(self.engine.update_task("a", ENTRY)))

    async def test_what_waits_behind_a_write_fails_with_it(self) -> None:
        self.server.pause()
        first = asyncio.create_task(self.engine.update_task("a", ENTRY))
        await asyncio.sleep(0)
        second = asyncio.create_task(self.engine.create_task("b", ENTRY))
        await asyncio.sleep(0)
        await self.assert_hung(first)
        await asyncio.sleep(0)
        self.assertTrue(second.done(), "it has waited as long")
        await self.assert_hung(second)

    async def test_one_who_leaves_does_not_keep_the_others_waiting(self) -> None:
        self.server.pause()
        reads = [asyncio.create_task(self.engine.read_task("a")) for _ in range(2)]
        await until(lambda: self.engine._connections._probes, "the server is asked")
        reads[0].cancel()
        await self.assert_hung(reads[1])
        self.assertTrue(reads[0].cancelled())

    async def test_what_a_probe_found_holds_for_its_time_only(self) -> None:
        """First the server lives, then it hangs, then it lives again."""
        for _ in range(2):
            await self.assert_waited_for()
            self.server.pause()
            await self.assert_hung(self.engine.read_task("a"))
            self.server.resume()
        await self.assert_waited_for()

    async def assert_waited_for(self) -> None:
        """Have the server take longer than the patience, and live."""
        holder = await import_module("asyncpg").connect(self.dsn)
        await holder.execute("BEGIN; LOCK tasks")
        read = asyncio.create_task(self.engine.read_task("a"))
        await asyncio.sleep(0.6)
        self.assertFalse(read.done())
        await holder.close()
        await read

    async def test_a_process_of_the_server_that_hangs_alone(self) -> None:
        """The server answers on another connection: the limit of a statement holds all the same."""
        engine = await self.start(statement_timeout=0.6)
        await engine.read_task("a")
        [(pid,), *_] = await self.select(_PROCESSES)
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        async with asyncio.timeout(at_most(8)):
            with self.assertRaisesRegex(
                    StoreBusyError, r"took longer than 0\.6 s \(statement-timeout\)$"):
                await engine.read_task("a")
            await engine.read_task("a")


class SilentNetworkTest(DatabaseTestCase):
    """What is sent gets lost, and no connection ends."""

    async def test_one_probe_serves_all_who_wait(self) -> None:
        front = TLSFront(self.server.port, None)
        port = await front.start()
        self.addAsyncCleanup(front.stop)
        self.dsn = self.dsn.replace(f":{self.server.port}/", f":{port}/") + "?sslmode=disable"
        engine = await self.start(timing=timing(patience=0.4, probe=0.4))
        await engine.create_task("a", ENTRY)
        await asyncio.gather(*(engine.read_task("a") for _ in range(8)))
        before, front.silent = front.accepted, True
        outcomes = await asyncio.gather(
            *(engine.read_task("a") for _ in range(8)), return_exceptions=True)
        self.assertEqual({type(outcome) for outcome in outcomes}, {StoreUnavailableError})
        self.assertEqual(front.accepted - before, 1)
        front.silent = False
        await engine.read_task("a")


class WaitTest(DatabaseTestCase):
    """The server is slow, and lives."""

    async def test_writes_that_come_one_after_the_other_share_a_connection(self) -> None:
        await self.engine.create_task("a", ENTRY)
        before = await self.select(_PROCESSES)
        holder = await import_module("asyncpg").connect(self.dsn)
        await holder.execute("BEGIN; LOCK store")
        writes = []
        for number in range(3):
            writes.append(asyncio.create_task(self.engine.create_task(f"{number}", ENTRY)))
            await asyncio.sleep(0.05)  # the first one waits for the lock, the others for it
        await holder.close()
        await asyncio.gather(*writes)
        self.assertEqual(await self.select(_PROCESSES), before)

    async def test_a_write_that_waited_too_long_for_the_others_does_not_spoil_the_next(self) -> None:
        engine = await self.start(statement_timeout=0.5)
        await engine.create_task("a", ENTRY)
        holder = await import_module("asyncpg").connect(self.dsn)
        await holder.execute("BEGIN; LOCK store")
        with self.assertRaisesRegex(StoreBusyError, "canceling statement"):
            await engine.update_task("a", ENTRY)
        await holder.close()
        await engine.update_task("a", ENTRY)

    async def test_what_took_long_leaves_nothing_running(self) -> None:
        engine = await self.start(statement_timeout=0.5, timing=timing(patience=0.05))
        await engine.create_task("a", ENTRY)
        await engine.read_task("a")
        many = len(await self.select(_PROCESSES))
        holder = await import_module("asyncpg").connect(self.dsn)
        await holder.execute("BEGIN; LOCK tasks")
        read = asyncio.create_task(engine.read_task("a"))
        await asyncio.sleep(0.2)
        await holder.close()
        await read
        async with asyncio.timeout(at_most(10)):
            while len(before := await self.select(_PROCESSES)) > many:  # the probe's connection is about to end
                await asyncio.sleep(0.01)
        await asyncio.sleep(1)  # beyond the end of the time that it had
        self.assertEqual(await self.select(_PROCESSES), before)
        await engine.read_task("a")
        self.assertEqual(await self.select(_PROCESSES), before)


class StopTest(DatabaseTestCase):

    async def test_it_commits_what_is_queued_for_as_long_as_a_statement_may_take(self) -> None:
        engine = await self.start(statement_timeout=1.5)
        await self.query("""
            CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$;
            CREATE TRIGGER slow AFTER INSERT ON tasks FOR EACH STATEMENT EXECUTE FUNCTION slow()""")
        bulks = [asyncio.create_task(engine.create_tasks(
            [(f"{bulk}-{number}", ENTRY) for number in range(1000)])) for bulk in range(8)]
        await until(lambda: bulks[0].done(), "the first is written")
        async with asyncio.timeout(20):
            stop = asyncio.create_task(engine.stop())
            await asyncio.sleep(0)
            with self.assertRaisesRegex(StoreUnavailableError, "is not open"):
                await engine.create_task("late", ENTRY)
            await stop
            await asyncio.sleep(0)
            self.assertTrue(all(bulk.done() for bulk in bulks), "each has its outcome by then")
            outcomes = await asyncio.gather(*bulks, return_exceptions=True)
        failed = [outcome for outcome in outcomes if isinstance(outcome, StoreUnavailableError)]
        self.assertTrue(failed)
        for error in failed:
            self.assertRegex(str(error), "was closed before the write was done")
            self.assertNotIsInstance(error, StoreBusyError)
        [(count,)] = await self.select("SELECT count(*) FROM tasks")
        written = 1000 * (len(bulks) - len(failed))
        self.assertIn(count, (written, written + 1000), "of one it is not known")
