"""A worker process of `run.py test`: it runs the test modules that its parent names, and reports each test.

It is forked from the parent, which has imported all tests; see `tests.parallel`.
"""

import atexit
import ctypes
import faulthandler
import json
import os
import signal
import sys
import tempfile
import unittest
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

PR_SET_PDEATHSIG = 1
"""The option of prctl(2) that asks for a signal at the parent's end."""


class Recorder(unittest.TestResult):
    """Sends what happens to tests to the parent: a line of JSON for each event, its kind first."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def send(self, *event: str) -> None:
        """Send an event; raises BrokenPipeError when the parent is gone."""
        data = json.dumps(event).encode() + b"\n"
        while data:
            data = data[os.write(self._descriptor, data):]

    def _send_outcome(self, kind: str, test: Any, text: str = "") -> None:
        shown = "\n".join(filter(None, (str(test), test.shortDescription())))
        self.send("outcome", kind, getattr(test, "test_case", test).id(), shown, text)

    def startTest(self, test: unittest.TestCase) -> None:
        """Send the test's id."""
        super().startTest(test)
        self.send("start", test.id(), str(test))

    def stopTest(self, test: unittest.TestCase) -> None:
        """Send that the outcomes of this test are complete."""
        super().stopTest(test)
        self.send("stop")

    def addSuccess(self, test: unittest.TestCase) -> None:
        """Send it."""
        self._send_outcome("addSuccess", test)

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        """Send it, with its traceback."""
        super().addError(test, err)
        self._send_outcome("addError", test, self.errors.pop()[1])

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        """Send it, with its traceback."""
        super().addFailure(test, err)
        self._send_outcome("addFailure", test, self.failures.pop()[1])

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        """Send a subtest that failed, as a failure or an error of its own."""
        if err is not None and issubclass(err[0], test.failureException):
            self.addFailure(subtest, err)
        elif err is not None:
            self.addError(subtest, err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        """Send it, with its reason."""
        self._send_outcome("addSkip", test, reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        """Send it, with its traceback."""
        super().addExpectedFailure(test, err)
        self._send_outcome("addExpectedFailure", test, self.expectedFailures.pop()[1])

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        """Send it."""
        self._send_outcome("addUnexpectedSuccess", test)


def work(modules: Mapping[str, unittest.TestSuite], folder: Path, commands: int, events: int) -> NoReturn:
    """Run the modules named on `commands`, one a line, until its end; then end the process.

    Temporary files go to `folder`/tmp, output to `folder`/output, coverage to `folder`/coverage.
    """
    code = 1
    with suppress(KeyboardInterrupt, BrokenPipeError):
        settle(folder)
        measured = measure_anew()
        recorder = Recorder(events)
        with open(commands, encoding="utf-8") as names:
            for name in names:
                os.ftruncate(1, 0)
                modules[name.rstrip("\n")].run(recorder)
                flush()
                recorder.send("done")
        (folder / "coverage").write_bytes(measured())
        code = 0
    with suppress(BaseException):
        atexit._run_exitfuncs()  # such as the end of the shared PostgreSQL
        flush()
    os._exit(code)


def settle(folder: Path) -> None:
    """Give this process a session, standard streams and a folder for temporary files of its own.

    Ctrl-C is for the parent alone; SIGTERM comes when the parent wants this to end, or is gone.
    """
    os.setsid()
    signal.signal(signal.SIGTERM, interrupt)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    flush()
    with open(os.devnull, "rb") as nothing, open(folder / "output", "ab") as output:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    faulthandler.enable(2)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")


def interrupt(_number: int, _frame: object) -> NoReturn:
    """Handle SIGTERM: raise what unittest lets through."""
    raise KeyboardInterrupt


def flush() -> None:
    """Write out what was printed."""
    sys.stdout.flush()
    sys.stderr.flush()


def measure_anew() -> Callable[[], bytes]:
    """Measure coverage in this process if the parent does; return the function that ends it and returns the data."""
    coverage = sys.modules.get("coverage")
    current = coverage.Coverage.current() if coverage is not None else None
    if coverage is None or current is None:
        return bytes
    current.stop()
    options = {name: current.get_option(f"run:{name}") for name in ("branch", "source", "include", "omit")}
    own = coverage.Coverage(data_file=None, config_file=False, messages=False, **options)
    own.set_option("run:disable_warnings", ["module-not-measured", "already-imported", "no-data-collected"])
    own.start()

    def finish() -> bytes:
        own.stop()
        data: bytes = own.get_data().dumps()
        return data

    return finish
