"""Runs test modules in worker processes, forked once all tests are imported.

Each worker runs a module, reports every test that has ended, and takes the next module. Those that run alone begin
when the others have ended. A worker in which no test ends for HANG
seconds is ended, and what it was at is reported as an error; so is a worker that crashes.
"""

import itertools
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import unittest
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests import worker

HANG = 300.0
"""Seconds without the end of a test after which a worker is ended, unless TASKSERVICE_FULL asks for long tests.

A module that has a HANG of its own has as long as that.
"""

PATIENCE = 60.0
"""Seconds that a worker may take to clean up when it is to end."""


def _hang_of(module: str) -> float:
    return getattr(sys.modules.get(module), "HANG", HANG)


class Told(Exception):
    """Stands for an exception in a worker, whose traceback comes as a text."""


class Seen(unittest.TestCase):
    """A test that ran in a worker, by its names."""

    def __init__(self, id_: str, shown: str) -> None:
        super().__init__("run")
        self._id, self._shown = id_, shown

    def id(self) -> str:
        """Return the id of the test; a subtest has that of its test."""
        return self._id

    def __str__(self) -> str:
        """Return how the worker showed it."""
        return self._shown


class Outcome(NamedTuple):
    """An outcome of a test: the method of a result that takes it, the test's id and description, and a text."""

    method: str
    id: str
    shown: str
    text: str

    def give(self, result: unittest.TestResult) -> None:
        """Give it to a result."""
        test, error = Seen(self.id, self.shown), (Told, Told(), None)
        arguments = {"addSuccess": (), "addUnexpectedSuccess": (), "addSkip": (self.text,)}.get(self.method, (error,))
        getattr(result, self.method)(test, *arguments)
        if error in arguments:  # the result has made a text of it, where that of the worker belongs
            kept = {"addError": result.errors, "addFailure": result.failures}.get(
                self.method, result.expectedFailures)
            kept[-1] = (test, self.text)


class Worker:
    """A worker process, as its parent sees it."""

    def __init__(
        self, modules: Mapping[str, unittest.TestSuite], folder: Path, others: Collection["Worker"]
    ) -> None:
        """Start it; `others` are the workers that there are."""
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        self._folder = folder
        self.module = ""
        self._test: Seen | None = None
        self._outcomes: list[Outcome] = []
        self._ahead = b""
        names, self._commands = os.pipe()
        self.events, events = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            for each in (self, *others):  # commands end when the parent, and nobody else, closes them
                os.close(each._commands)
            worker.work(modules, folder, names, events)
        os.close(names)
        os.close(events)

    def run(self, module: str) -> None:
        """Have it run a module."""
        self.module = module
        self.began_at = self.heard_at = time.monotonic()
        with suppress(BrokenPipeError):  # `hear` meets its end
            os.write(self._commands, f"{module}\n".encode())

    def hear(self, result: unittest.TestResult) -> bool:
        """Read events and give them to the result; return False at their end."""
        data = os.read(self.events, 65_536)
        self.heard_at = time.monotonic()
        *lines, self._ahead = (self._ahead + data).split(b"\n")
        for line in lines:
            kind, *values = json.loads(line)
            if kind == "start":
                self._test = Seen(*values)
            elif kind == "outcome":
                self._outcomes.append(Outcome(*values))
            elif kind == "done":
                self.module = ""
            if kind == "stop" or self._test is None:  # a test is complete, or it is no test, such as a set-up
                self._report(result)
        return bool(data)

    def _report(self, result: unittest.TestResult) -> None:
        test, self._test = self._test, None
        outcomes, self._outcomes = self._outcomes, []
        if test is not None:
            result.startTest(test)
        for outcome in outcomes:
            outcome.give(result)
        if test is not None:
            result.stopTest(test)

    def report_end(self, result: unittest.TestResult, code: int) -> None:
        """Report that it ended by itself, and where."""
        what = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        rest = f"; other tests of {self.module} did not run" if self.module else ""
        text = f"its worker ended ({what}){rest}\n{self.output()}"
        self._outcomes.append(Outcome("addError", self.where(), self.where(), text))
        self._report(result)

    def where(self) -> str:
        """Return the test that it is at; the module where it is between tests."""
        return str(self._test or self.module or "the end of the run")

    def output(self) -> str:
        """Return what the module has printed."""
        with suppress(FileNotFoundError):
            return (self._folder / "output").read_text("utf-8", "replace")
        return ""

    def join(self) -> int:
        """Give it no more modules, wait for its end, and return its exit code; kill what is left of it."""
        os.close(self._commands)
        deadline = time.monotonic() + PATIENCE
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0] and time.monotonic() < deadline:
            time.sleep(0.01)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        if not ended[0]:
            ended = os.waitpid(self.pid, 0)
        os.close(self.events)
        return os.waitstatus_to_exitcode(ended[1])

    def measured(self) -> bytes:
        """Return the coverage that it has measured; nothing where none is measured."""
        with suppress(FileNotFoundError):
            return (self._folder / "coverage").read_bytes()
        return b""


class Parallel(unittest.TestSuite):
    """A suite that runs its modules in workers."""

    def __init__(self, modules: Mapping[str, unittest.TestSuite], alone: Collection[str], jobs: int) -> None:
        """`modules` begin in this order, those of `alone` at last; `jobs` is how many run at a time."""
        super().__init__(modules.values())
        self._modules, self._jobs = modules, jobs
        self._together = deque(name for name in modules if name not in alone)
        self._alone = deque(name for name in modules if name in alone)
        self._workers: list[Worker] = []
        self._traces: dict[Path, str] = {}
        self.seconds: dict[str, float] = {}
        """How long each module took."""
        self.left: list[str] = []
        """The temporary files that were left behind, and by which module."""

    def run(self, result: unittest.TestResult, debug: bool = False) -> unittest.TestResult:
        """Run them all. KeyboardInterrupt, which SIGTERM also raises here, ends the workers."""
        with sigterm_interrupts(), temporary_folder() as folder:
            self._folders = (folder / str(number) for number in itertools.count(1))
            try:
                self._run(self._together, self._jobs, result)
                self._run(self._alone, 1, result)
                self._finish(result)
            except KeyboardInterrupt:
                for each in self._workers:
                    if select.select([each.events], (), (), 0)[0]:
                        each.hear(result)
                    print(f"\ninterrupted: {each.where()}", file=sys.stderr)
                raise
            finally:
                for each in self._workers:
                    os.kill(each.pid, signal.SIGTERM)
                for each in self._workers:
                    each.join()
        return result

    def _run(self, waiting: deque[str], jobs: int, result: unittest.TestResult) -> None:
        while waiting or any(each.module for each in self._workers):
            idle = [each for each in self._workers if not each.module]
            busy = len(self._workers) - len(idle)
            for _ in range(min(jobs - busy, len(waiting))):
                (idle.pop() if idle else self._start()).run(waiting.popleft())
            self._hear(result)

    def _start(self) -> Worker:
        self._workers.append(Worker(self._modules, next(self._folders), self._workers))
        return self._workers[-1]

    def _hear(self, result: unittest.TestResult) -> None:
        """Wait for events; notice modules that have ended, and workers that have ended or hang."""
        speaking = {each.events: each for each in self._workers if each.module}
        ready, _, _ = select.select(speaking, (), (), 1)
        for descriptor, each in speaking.items():
            module = each.module
            if descriptor in ready and not each.hear(result):
                self._workers.remove(each)
                each.report_end(result, each.join())
            elif not each.module:
                self._note(module, each)
            elif time.monotonic() - each.heard_at > _hang_of(module) and "TASKSERVICE_FULL" not in os.environ:
                os.kill(each.pid, signal.SIGABRT)  # has it write where each thread is, and end
                each.heard_at = time.monotonic()

    def _note(self, module: str, each: Worker) -> None:
        """Note how long a module took and what it left behind, and show what it printed."""
        self.seconds[module] = time.monotonic() - each.began_at
        for path in each.temporary.iterdir():
            self._traces.setdefault(path, module)
        if output := each.output():
            print(f"\n{module} printed:\n{output}", end="", file=sys.stderr, flush=True)

    def _finish(self, result: unittest.TestResult) -> None:
        """Have the workers end, and gather what they measured."""
        while self._workers:
            each = self._workers.pop()
            if code := each.join():
                each.report_end(result, code)
            add_measured(each.measured())
            self.left += (f"{self._traces.get(path, 'a worker')}: {path.name}" for path in each.temporary.iterdir())


def add_measured(data: bytes) -> None:
    """Add coverage that a worker has measured to what this process measures."""
    if data:
        from coverage import Coverage, CoverageData
        workers, own = CoverageData(no_disk=True), Coverage.current()
        workers.loads(data)
        assert own is not None
        own.get_data().update(workers)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Have SIGTERM, which a time limit of CI sends, raise KeyboardInterrupt as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, worker.interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder that any user may go through, as the tests' other users have to; remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="run-tests-"))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
