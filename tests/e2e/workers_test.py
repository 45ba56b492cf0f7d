"""`--workers 2`: both serve, one that dies is replaced, none is left behind."""

import contextlib
import functools
import http.client
import json
import os
import re
import resource
import signal
import sqlite3
import tempfile
import unittest
from collections.abc import Iterator, Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from tests.contract import quick_folder
from tests.helpers import postgres
from tests.helpers.api import wait_until
from tests.helpers.app import ENGINES
from tests.helpers.processes import PATIENCE, SERVER, ServiceProcess, alive, children, run, shell, started
from tests.helpers.running import write_config

LOGGING = """
logging:
  version: 1
  handlers:
    file: {%s, filename: '%s'}
  root: {handlers: [file]}
"""


class OwnRotatingHandler(RotatingFileHandler):
    """A user's own, for a config to name."""


class WorkersCase(unittest.TestCase):

    engine: str

    @functools.cached_property
    def temporary(self) -> Path:
        """The service's temporary directory."""
        return Path(self.enterContext(tempfile.TemporaryDirectory()))

    def setUp(self) -> None:
        folder = Path(self.enterContext(quick_folder()))
        config = write_config(folder, self.task_db(folder))
        self.service: ServiceProcess = self.enterContext(started(
            "env", f"TMPDIR={self.temporary}", *SERVER, "--config", config, "--port", "0", "--workers", "2"))
        self.parent = self.service.process.pid
        self.addCleanup(self.kill_all)
        self.wait_for_workers(3)
        self.workers = children(self.parent)
        self.assertEqual(len(self.workers), 2)

    def task_db(self, folder: Path) -> Mapping[str, Any]:
        """Return the config's `task-db`."""
        return ENGINES[self.engine](folder)

    def kill_all(self) -> None:
        """Leave no worker behind, should the service do so."""
        for worker in self.workers:
            if alive(worker):
                os.kill(worker, signal.SIGKILL)

    def wait_for_workers(self, lines: int) -> None:
        """Wait until so many lines say that something has started, the parent included."""
        wait_until(
            lambda: self.said("STARTING") >= lines, f"{lines} lines in {self.service.stdout}")

    def said(self, word: str) -> int:
        """Return how many lines of the log have a word in them."""
        return sum(f'"{word}"' in line for line in list(self.service.stdout))

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        """Send a request on a connection of its own."""
        connection = http.client.HTTPConnection("localhost", self.service.port, timeout=PATIENCE)
        connection.request(method, path, body)
        answer = connection.getresponse()
        result = answer.status, answer.read()
        connection.close()
        return result


class ServingTests(WorkersCase):

    def test_each_of_them_serves_and_they_share_the_store(self) -> None:
        for number, halted in enumerate(self.workers):
            os.kill(halted, signal.SIGSTOP)  # the other one has to
            for _ in range(5):
                self.assertEqual(self.ask("POST", "/tasks", '{"title": "a"}')[0], 201)
            self.assertEqual(len(json.loads(self.ask("GET", "/tasks")[1])), 5 * (number + 1))
            os.kill(halted, signal.SIGCONT)


class WorkersOnSqliteTest(ServingTests):

    engine = "sqlite"

    def test_one_that_dies_is_replaced_and_the_others_go_on(self) -> None:
        killed = min(self.workers)
        os.kill(killed, signal.SIGKILL)
        self.assertEqual(self.ask("GET", "/tasks"), (200, b"{}"))
        self.wait_for_workers(4)
        self.assertEqual(self.said("WORKER DIED"), 1)
        now = children(self.parent)
        self.assertEqual((len(now), killed in now), (2, False))
        [old] = self.workers & now
        self.workers |= now
        os.kill(old, signal.SIGSTOP)
        self.assertEqual(self.ask("GET", "/tasks"), (200, b"{}"), "the new one serves")
        os.kill(old, signal.SIGCONT)

    def test_one_that_cannot_be_started_is_tried_again_and_the_others_go_on(self) -> None:
        """The parent has no file descriptor for the pipe to another worker."""
        used = len(os.listdir(f"/proc/{self.parent}/fd"))
        before = resource.prlimit(self.parent, resource.RLIMIT_NOFILE)
        resource.prlimit(self.parent, resource.RLIMIT_NOFILE, (used - 2, before[1]))
        killed = min(self.workers)
        os.kill(killed, signal.SIGKILL)
        line = self.service.wait_for_line("WORKER NOT STARTED")
        self.assertIn('reason="Too many open files"', line)
        self.assertEqual(self.ask("GET", "/tasks"), (200, b"{}"))
        resource.prlimit(self.parent, resource.RLIMIT_NOFILE, before)
        self.wait_for_workers(4)
        self.workers |= children(self.parent)
        self.assertEqual(self.service.stop(), 0)
        self.assertEqual(self.service.stderr, [])

    def test_what_a_killed_service_has_left_goes_with_the_next_start(self) -> None:
        folders = set(self.temporary.iterdir())
        self.assertEqual(len(folders), 1)
        os.kill(self.parent, signal.SIGKILL)
        wait_until(lambda: not any(map(alive, self.workers)), "the end of the workers")
        self.assertEqual(set(self.temporary.iterdir()), folders)
        self.setUp()
        self.assertFalse(folders & set(self.temporary.iterdir()))
        self.assertEqual(self.service.stop(), 0)
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_all_end_with_the_service(self) -> None:
        self.assertEqual(self.service.stop(), 0)
        self.assertFalse([worker for worker in self.workers if alive(worker)])
        self.assertEqual((self.said("STOPPED"), self.said("WORKER DIED")), (3, 0))
        self.assertEqual(self.service.stderr, [])

    def test_none_outlives_a_service_that_was_killed(self) -> None:
        os.kill(self.parent, signal.SIGKILL)
        wait_until(
            lambda: not any(map(alive, self.workers)), f"the end of the workers {self.workers}", 30)


class InFlightTest(WorkersCase):
    """`taskservice_requests_in_flight` is the sum of all workers', while they work on the requests."""

    def task_db(self, folder: Path) -> Mapping[str, Any]:
        self.file = folder / "tasks.sqlite"
        return {"sqlite": {"path": str(self.file), "busy-timeout": 60}}

    def in_flight(self) -> float:
        """Return the gauge; the request for it is one, too."""
        _, text = self.ask("GET", "/metrics")
        [value] = re.findall(rb"(?m)^taskservice_requests_in_flight (\S+)$", text)
        return float(value)

    @contextlib.contextmanager
    def halted(self, worker: int) -> Iterator[None]:
        """Halt a worker in the block: the other one takes all requests."""
        os.kill(worker, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(worker, signal.SIGCONT)

    def as_seen_by(self, other: int) -> float:
        """Return the gauge as the worker reports it that is not `other`."""
        with self.halted(other):
            return self.in_flight()

    def hang(self, worker: int, other: int) -> None:
        """Have a worker take a request that hangs, on a connection on which it has answered already."""
        client = http.client.HTTPConnection("localhost", self.service.port, timeout=PATIENCE)
        self.addCleanup(client.close)
        with self.halted(other):
            client.request("GET", "/healthz")
            client.getresponse().read()
        client.request("POST", "/tasks", '{"title": "a"}')

    def test_a_hanging_request_in_each(self) -> None:
        """It counts from its beginning, also while its worker does nothing else."""
        one, two = self.workers
        with contextlib.closing(sqlite3.connect(self.file, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            self.hang(one, two)
            wait_until(lambda: self.as_seen_by(one) == 2, "one that hangs", 20)
            self.hang(two, one)
            wait_until(lambda: self.as_seen_by(two) == 3, "two that hang", 20)
        wait_until(lambda: self.in_flight() == 1, "their end")


@unittest.skipIf(postgres.available() is not None, postgres.available() or "")
class WorkersOnPostgresTest(ServingTests):

    engine = "postgres"


class RefusedWorkersTest(unittest.TestCase):
    """What several processes cannot share is refused, with what to use instead."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def start(self, config: str) -> tuple[int, str]:
        """Start workers; return the exit code and the one line on standard error."""
        file = self.folder / "config.yaml"
        file.write_text(config, "utf-8")
        done = run(*SERVER, "--config", str(file), "--port", "0", "--workers", "2")
        self.assertEqual(done.stdout, "")
        [line] = done.stderr.splitlines()
        return done.returncode, line

    def test_an_engine_of_one_process(self) -> None:
        for engine, config in (("memory", "{}"), ("fs", "task-db: {fs: %s}" % self.folder)):
            code, line = self.start(config)
            self.assertEqual(code, 2)
            self.assertRegex(
                line, f"task-db: {engine} belongs to one process, .* sqlite or postgres$")

    def test_a_log_file_that_each_would_rotate_or_empty(self) -> None:
        for handler, said in (
                ("class: logging.handlers.RotatingFileHandler", ": a RotatingFileHandler .*WatchedFile"),
                ("class: logging.handlers.TimedRotatingFileHandler", ": a TimedRotatingFileHandler "),
                ("(): logging.handlers.TimedRotatingFileHandler", ": a TimedRotatingFileHandler "),
                ("class: tests.e2e.workers_test.OwnRotatingHandler", ": a OwnRotatingHandler "),
                ("class: logging.FileHandler, mode: w", r"\.mode: each worker that starts")):
            with self.subTest(handler):
                code, line = self.start("task-db: {sqlite: %s}\n" % (self.folder / "db") + LOGGING % (
                    handler, self.folder / "log"))
                self.assertEqual(code, 2)
                self.assertRegex(line, rf"\Ataskservice: logging\.handlers\.file{said}")

    def test_no_temporary_directory(self) -> None:
        """Not a byte can be written anywhere, which Python looks for before it chooses one."""
        file = self.folder / "config.yaml"
        file.write_text("task-db: {sqlite: %s}" % (self.folder / "db"), "utf-8")
        done = shell(f"ulimit -f 0; exec {' '.join(SERVER)} --port 0 --workers 2 --config '{file}'")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(
            done.stderr, r"\Ataskservice: no temporary directory for the metrics .*TMPDIR.*\n\Z")

    def test_a_store_that_cannot_be_opened_is_reported_once(self) -> None:
        code, line = self.start("task-db: {sqlite: %s}" % self.folder)
        self.assertEqual(code, 1)
        self.assertIn(str(self.folder), line)


del WorkersCase, ServingTests  # they are tests only with an engine

if __name__ == "__main__":
    unittest.main()
