"""In which order the service asks the disk and answers (RELIABILITY.md 1), seen by strace.

And what it answers when a flush to disk fails: that is an error to everyone whose write was in
it, and never becomes a success.
"""

import re
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers.api import wait_until
from tests.helpers import postgres
from tests.helpers.timing import FULL
from tests.helpers.restarts import (
    Answer, Client, Service, is_whole, task_db, tasks, whole)
from tests.helpers.syscalls import CALLS, Call, FLUSHES, RECEIVES, RENAMES, ROOT, SENDS, parse, why_no_strace


CLIENTS = 8
WRITES = 20 if FULL else 3
"""How many creates, and as many changes and deletes, each client sends."""


@dataclass(frozen=True)
class Write:
    """A write that was acknowledged: its request's id, its method, its task's id and title."""

    request: str
    method: str
    task_id: str
    title: str


class SyscallsTestCase(unittest.TestCase):

    engine = "fs"

    @classmethod
    def setUpClass(cls) -> None:
        if (reason := why_no_strace()) is not None:
            raise unittest.SkipTest(reason)

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.service = Service(self.folder, task_db(self.engine, self.folder))
        self.addCleanup(self.service.close)
        self.service.start()

    @contextmanager
    def strace(self, *options: str) -> Iterator[list[Call]]:
        """Trace the service in the block; then what was traced is in the list."""
        file, calls = self.folder / "trace", list[Call]()
        # -y shows paths; 4200 bytes show a whole page of SQLite.
        command = ["strace", "-f", "-y", "-s", "4200", "-o", str(file), "-p"]
        command.append(str(self.service.pid))
        tracer = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
        try:
            assert tracer.stderr is not None
            self.assertIn("attached", tracer.stderr.readline())
            yield calls
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.communicate(timeout=60)
        calls += parse(file.read_text("utf-8").splitlines())

    def at_once(self, job: Callable[[int, Client], Any]) -> None:
        """Do something with several clients at once; fails when one does."""
        failures: list[BaseException] = []

        def work(number: int) -> None:
            client = self.service.client()
            try:
                job(number, client)
            except BaseException as error:
                failures.append(error)
            finally:
                client.close()

        threads = [threading.Thread(target=work, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]


class OrderTest(SyscallsTestCase):

    def test_an_answer_is_sent_after_what_it_says_is_on_disk(self) -> None:
        writes: list[Write] = []
        with self.strace("-e", f"trace={','.join(CALLS)}") as calls:
            self.at_once(lambda number, client: self.write(number, client, writes))
        self.assertEqual(len(writes), CLIENTS * WRITES * 3)
        for write in writes:
            with self.subTest(write=write):
                self.check(write, calls)

    def write(self, number: int, client: Client, writes: list[Write]) -> None:
        """Create, replace and delete tasks; keep what was acknowledged."""
        for step in range(WRITES):
            path = ""
            for method in ("POST", "PUT", "DELETE"):
                request = title = f"{method}-{number}-{step}-of-the-test"
                body = None if method == "DELETE" else whole(title, 1)
                answer = client.ask(method, path or "/tasks", body, X_Request_Id=request)
                assert answer.status in (201, 204), answer
                path = path or answer.headers["Location"]
                writes.append(Write(request, method, path.removeprefix("/tasks/"), title))

    def check(self, write: Write, calls: Sequence[Call]) -> None:
        """Go through the steps of a write: each begins when the one before has ended."""
        asked = next(call for call in calls if call.name in RECEIVES and call.has(write.request))
        [answered] = [
            call for call in calls
            if call.name in SENDS and call.has("HTTP/1.1 20") and call.has(write.request)]
        last = asked
        for step, is_step in self.steps(write):
            found = next((call for call in calls if call.start > last.end and is_step(call)), None)
            assert found is not None, f"no {step} of {write}"
            self.assertRegex(found.result, r"\A\d", step)
            last = found
        self.assertLess(last.end, answered.start, f"{write} was answered before it was on disk")

    def steps(self, write: Write) -> list[tuple[str, Callable[[Call], bool]]]:
        """Return what has to be done before the answer, in order."""
        temporary, folder = f"/.{write.task_id}.tmp>", f"<{self.folder}/tasks>"

        def on(names: Sequence[str], *texts: str) -> Callable[[Call], bool]:
            return lambda call: call.name in names and all(call.has(text) for text in texts)

        flush_folder = "flush of the folder", on(FLUSHES, folder)
        if write.method == "DELETE":
            return [("flush of the revision", on(FLUSHES, "/.lock>")),
                    ("unlink", on(("unlink", "unlinkat"), f'"{write.task_id}.json"')), flush_folder]
        return [("write", on(("write",), temporary, write.title)),
                ("flush of the file", on(FLUSHES, temporary)),
                ("rename", on(RENAMES, f'"{write.task_id}.json"')), flush_folder]


OPEN_STORE = """
import asyncio, sys
from taskservice.database.db_engines import create_todolist_db
async def main():
    async with create_todolist_db({sys.argv[1]: sys.argv[2]}):
        print("open", flush=True)
asyncio.run(main())
"""


class NewStoreTest(unittest.TestCase):
    """A new store is there after a power cut: each new entry of a folder is flushed, at the start."""

    def setUp(self) -> None:
        if (reason := why_no_strace()) is not None:
            self.skipTest(reason)
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def started(self, engine: str, path: Path) -> list[Call]:
        """Return the calls of a first start."""
        file = self.folder / "trace"
        calls = "mkdir,mkdirat,openat,fsync,fdatasync,write"
        done = subprocess.run(
            ["strace", "-f", "-y", "-e", f"trace={calls}", "-o", str(file), sys.executable, "-c",
             OPEN_STORE, engine, str(path)],
            cwd=ROOT, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stdout, "open\n", done.stderr)
        return parse(file.read_text("utf-8").splitlines())

    def assert_lasts(self, path: Path, calls: Sequence[Call], makes: Sequence[str]) -> None:
        """After it was made, the folder that it is in is flushed, before the store is open."""
        made = next(call for call in calls if call.name in makes and call.has(f'"{path}"'))
        flushed = next((call for call in calls if call.start > made.end and call.name in FLUSHES
                        and call.has(f"<{path.parent}>")), None)
        opened = next(call for call in calls if call.name == "write" and call.has('"open"'))
        assert flushed is not None, path
        self.assertEqual((made.result[:1].isdigit(), flushed.result), (True, "0"))
        self.assertLess(flushed.end, opened.start)

    def test_of_folders(self) -> None:
        for engine, name in (("fs", ""), ("sqlite", "tasks.db")):
            with self.subTest(engine):
                outer = self.folder / engine
                inner = outer / "a" / "b"
                calls = self.started(engine, inner / name)
                for path in (outer, inner.parent, inner):
                    self.assert_lasts(path, calls, ("mkdir", "mkdirat"))

    def test_of_a_sqlite_file(self) -> None:
        path = self.folder / "tasks.db"
        self.assert_lasts(path, self.started("sqlite", path), ("openat",))


class OrderOnSqliteTest(OrderTest):

    engine = "sqlite"

    def steps(self, write: Write) -> list[tuple[str, Callable[[Call], bool]]]:
        return [
            ("write to the log", lambda call: (
                _to_log(call) and (write.method == "DELETE" or call.has(write.title)))),
            ("commit", _commits),
            ("flush of the log", lambda call: call.name in FLUSHES and call.has("tasks.db-wal>"))]


def _to_log(call: Call) -> bool:
    return call.name == "pwrite64" and call.has("tasks.db-wal>")


def _commits(call: Call) -> bool:
    """Return whether it writes the head of a frame that commits: it has the size of the database.

    See https://sqlite.org/fileformat2.html#the_write_ahead_log (4.1).
    """
    match = re.search(r'-wal>, "(.*)", 24,', call.arguments)
    if not _to_log(call) or match is None:
        return False
    head = match[1].encode("latin-1").decode("unicode_escape").encode("latin-1")
    return head[4:8] != bytes(4)


class OrderOnPostgresTest(OrderTest):
    """The server flushes its own log; the answer is sent after it confirmed the COMMIT."""

    engine = "postgres"

    def steps(self, write: Write) -> list[tuple[str, Callable[[Call], bool]]]:
        return [
            ("write", lambda call: call.name in SENDS and call.has(
                write.task_id if write.method == "DELETE" else write.title)),
            ("COMMIT", lambda call: call.name in SENDS and call.has("COMMIT")),
            ("COMMIT's answer", lambda call: call.name in RECEIVES and call.has("COMMIT"))]


class FailedFlushTest(SyscallsTestCase):

    all_fail = ("-e", "inject=fsync,fdatasync:error=EIO")
    every_second_fails = ("-e", "inject=fsync,fdatasync:error=EIO:when=2+2")

    def test_a_failed_flush_is_an_error_to_every_writer_in_it(self) -> None:
        self.fail_at(self.all_fail, lambda status: status >= 500)

    def test_failed_flushes_are_distinguished_from_the_others(self) -> None:
        self.fail_at(self.every_second_fails, lambda status: status >= 500 or status < 300)

    def fail_at(self, options: Sequence[str], expected: Callable[[int], bool]) -> None:
        """Write while flushes fail, then again, and see what is there after a kill."""
        self.paths: dict[int, list[str]] = {}
        self.known: dict[str, set[str | None]] = {}
        self.at_once(self.create)
        with self.strace("-e", f"trace={','.join(FLUSHES)}", *options) as calls:
            answers: list[Answer] = []
            self.at_once(lambda number, client: answers.extend(self.change(number, client)))
        self.assertTrue([call for call in calls if "INJECTED" in call.result])
        self.assertLessEqual({a.status for a in answers if not expected(a.status)}, set())
        self.assertTrue([answer for answer in answers if answer.status >= 500])
        self.at_once(self.create)  # without a restart
        self.service.kill()
        self.service.start()
        self.check()

    def create(self, number: int, client: Client) -> None:
        """Create some tasks, one for each change."""
        made = []
        for which in range(3):
            title = f"{number}-{which}"
            answer = client.ask("POST", "/tasks", whole(title, 1))
            assert answer.status == 201, answer
            made.append(answer.headers["Location"])
            self.known[made[-1]] = {title}
        self.paths[number] = made

    def change(self, number: int, client: Client) -> list[Answer]:
        """Create, replace and delete; an error leaves it open whether that happened, no more."""
        replaced, deleted, kept = self.paths[number]
        new = f"/tasks/new-{number}"
        answers = []
        for method, path, title, headers in (
                ("PUT", new, "new", {"If_None_Match": "*"}), ("PUT", replaced, "replaced", {}),
                ("DELETE", deleted, None, {})):
            body = None if title is None else whole(title, 10)
            before = self.known.get(path, {None})
            answer = client.ask(method, path, body, **headers)
            self.known[path] = {title} if answer.status < 300 else {title, *before}
            read = client.ask("GET", path)
            if answer.status < 500 or read.status < 500:  # else the store says that it does not know
                assert read.status in (200, 404), read
                there = read.json["title"] if read.status == 200 else None
                assert there in self.known[path], (there, self.known[path])
            answers.append(answer)
        assert client.ask("GET", kept).status == 200
        return answers

    def check(self) -> None:
        """What was acknowledged is there; what failed is there whole, or not at all."""
        client = self.service.client()
        _, found = tasks(client)
        client.close()
        for path, titles in self.known.items():
            self.assertIn(found[path][1]["title"] if path in found else None, titles, path)
        self.assertLessEqual(set(found), set(self.known))
        for _, task in found.values():
            self.assertTrue(is_whole(task))


class FailedFlushOnSqliteTest(FailedFlushTest):
    engine = "sqlite"


class FailedCommitOnPostgresTest(SyscallsTestCase):
    """PostgreSQL refuses the COMMIT itself."""

    engine = "postgres"

    def setUp(self) -> None:
        if (reason := postgres.available()) is not None:
            self.skipTest(reason)
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        dsn = postgres.shared_server().create_database()
        self.database = dsn.rpartition("/")[2]
        self.service = Service(self.folder, {"postgres": dsn})
        self.addCleanup(self.service.close)
        self.service.start()

    def sql(self, statement: str) -> None:
        """Run a statement on the service's database."""
        postgres.shared_server().psql(statement, self.database)

    def test_a_failed_commit_is_an_error_to_every_writer_in_it(self) -> None:
        self.sql("""
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'the disk failed' USING ERRCODE = 'io_error'; END $$;
            CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON tasks DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION fail()""")
        statuses: list[int] = []
        self.at_once(lambda number, client: statuses.append(
            client.ask("POST", "/tasks", whole(f"{number}", 1)).status))
        self.assertEqual({status // 100 for status in statuses}, {5})
        client = self.service.client()
        self.assertEqual(tasks(client)[1], {})
        self.sql("DROP TRIGGER fail ON tasks")
        wait_until(lambda: client.ask("POST", "/tasks", whole("after", 1)).status == 201, "a write", 5)
        self.assertEqual(len(tasks(client)[1]), 1)
        client.close()


if __name__ == "__main__":
    unittest.main()
