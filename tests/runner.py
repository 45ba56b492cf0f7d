"""How `run.py test` runs tests: modules side by side, a total first, how far it is, and what there is to know after.

One module runs in this process, so that a debugger works; several run in workers (`tests.parallel`).
"""

import os
import re
import sys
import time
import unittest
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests import leftovers
from tests.helpers.timing import IDLE
from tests.parallel import Parallel

PERIOD = 30.0
"""Seconds between two lines that say how far it is, where there is no terminal."""

SLOWEST = 10
"""How many of the slowest modules are named."""

SECONDS = Path(__file__).with_name("seconds.txt")
"""How many seconds the slower modules take on a machine of two cores: which begin first, and how long a run takes."""


def run_tests(names: Sequence[str], verbosity: int, jobs: int | None = None) -> int:
    """Run the tests of these dotted names, `jobs` modules at a time (None: by the CPUs).

    Returns 0 when there were some, all passed and nothing was left behind. Raises KeyboardInterrupt when it is
    interrupted, with what failed until then printed.
    """
    modules = load(names)
    suite: unittest.TestSuite = next(iter(modules.values()))
    if len(modules) > 1:
        suite = side_by_side(modules, jobs or default_jobs())
    found, before = suite.countTestCases(), leftovers.files() if IDLE else set()
    runner = Runner(verbosity=verbosity, warnings=None if sys.warnoptions else "default")
    result = runner.run(suite)
    if not found:
        print("run.py test: no tests found", file=sys.stderr)
    print(result.reasons(), end="", file=sys.stderr, flush=True)
    left = []
    if isinstance(suite, Parallel):
        print(slowest(suite.seconds), end="", file=sys.stderr)
        left = suite.left + [str(path) for path in sorted(leftovers.files() - before if IDLE else ())]
        print("".join(f"left behind: {each}\n" for each in left), end="", file=sys.stderr, flush=True)
    if "CI" in os.environ:
        print(result.tally(), flush=True)
    return 0 if found and result.wasSuccessful() and not left else 1


def load(names: Sequence[str]) -> dict[str, unittest.TestSuite]:
    """Import the tests of these dotted names; return them by their modules."""
    modules: dict[str, unittest.TestSuite] = {}
    for name in names:
        tests = unittest.defaultTestLoader.loadTestsFromName(name)
        modules.setdefault(module_of(name), unittest.TestSuite()).addTest(tests)
    return modules or {"": unittest.TestSuite()}


def module_of(name: str) -> str:
    """Return the module's part of a dotted name."""
    match = re.match(r"[\w.]*?_test(?=\.|$)", name)
    return match[0] if match else name


def side_by_side(modules: Mapping[str, unittest.TestSuite], jobs: int) -> Parallel:
    """Make a suite of the modules, those first that take longest; print how many tests there are, and for how long."""
    known = expected_seconds()
    order = sorted(modules, key=lambda name: -known.get(name, 1))
    alone = [name for name in order if runs_alone(name)]
    jobs = min(jobs, max(1, len(order) - len(alone)))
    together = sum(known.get(name, 1) for name in order if name not in alone) / min(jobs, processors())
    seconds = together + sum(known.get(name, 1) for name in alone)
    minutes = max(1, round(seconds * (1.5 if sys.gettrace() else 1) / 60))  # coverage makes them slower
    suite = Parallel({name: modules[name] for name in order}, alone, jobs)
    print(f"run.py test: {suite.countTestCases():,} tests in {len(modules)} modules, {jobs} at a time; "
          f"about {minutes} minute{'s' * (minutes > 1)}", file=sys.stderr, flush=True)
    return suite


def default_jobs() -> int:
    """Return how many modules run at a time: one a CPU where times are asserted, else more, for many wait for time."""
    return processors() if IDLE else processors() * 2


def processors() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def expected_seconds() -> dict[str, float]:
    """Return what SECONDS says of modules; one that it does not name takes about a second."""
    lines = SECONDS.read_text("utf-8").splitlines()
    return {name: float(seconds) for seconds, name in (line.split() for line in lines)}


def runs_alone(module: str) -> bool:
    """Whether a module asks to run when nothing else does, or its package is one that discovery passes over."""
    package = sys.modules.get(module.rpartition(".")[0])
    return getattr(sys.modules.get(module), "RUNS_ALONE", False) or hasattr(package, "load_tests")


def slowest(seconds: Mapping[str, float]) -> str:
    """Return the slowest modules, a line each, as SECONDS has them."""
    most = Counter(seconds).most_common(SLOWEST)
    return "\n".join(["slowest:", *(f"  {took:5.1f} {name}" for name, took in most), ""])


class Result(unittest.TextTestResult):
    """unittest's own result, with a count of the tests that passed, and how far it is."""

    passed = 0
    total = 0
    _progress_at = 0.0

    def startTestRun(self) -> None:
        """Note when it begins; a terminal has a line in the place of the dots."""
        super().startTestRun()
        self._began = self._progress_at = time.monotonic()
        self._terminal = self.dots and self.stream.isatty()
        self.dots = self.dots and not self._terminal

    def startTest(self, test: unittest.TestCase) -> None:
        """Say how far it is."""
        super().startTest(test)
        bad = len(self.failures) + len(self.errors)
        where = f"[{self.testsRun}/{self.total}]" + (f" {bad} failed" if bad else "")
        if self._terminal:
            self._write(f"\r\x1b[K{where} {module_of(test.id())}")
        elif time.monotonic() - self._progress_at > PERIOD:
            self._progress_at = time.monotonic()
            self._write(f"\n{where} after {self._progress_at - self._began:.0f} s, at {test.id()}\n")

    def stopTestRun(self) -> None:
        """Take away the line."""
        super().stopTestRun()
        if self._terminal:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()

    def addSuccess(self, test: unittest.TestCase) -> None:
        """Note that a test passed."""
        super().addSuccess(test)
        self.passed += 1

    def reasons(self) -> str:
        """Return the reasons of skips, a line each, with how many gave it."""
        counts = Counter(reason for _, reason in self.skipped)
        lines = [f"  {count:4}  {reason}" for reason, count in counts.most_common()]
        return "\n".join(["skipped:", *lines, ""]) if lines else ""

    def tally(self) -> str:
        """Return the line that CI counts by. A test fails once, however many of its subtests do."""
        failed = {test_id(case) for case, _ in self.failures + self.errors} | {*map(test_id, self.unexpectedSuccesses)}
        skipped = {test_id(case) for case, _ in self.skipped} - failed
        return f"{self.passed + len(self.expectedFailures)} passed, {len(failed)} failed, {len(skipped)} skipped"


def test_id(case: unittest.TestCase) -> str:
    """Return the id of a test, also for one of its subtests."""
    test: unittest.TestCase = getattr(case, "test_case", case)
    return test.id()


class Runner(unittest.TextTestRunner):
    """unittest's own runner, whose result knows how many tests there are."""

    def run(self, test: unittest.TestSuite | unittest.TestCase) -> Result:
        """Run it; when it is interrupted, print what failed until then."""
        self._total = test.countTestCases()
        try:
            result = super().run(test)
        except KeyboardInterrupt:
            self._result.printErrors()
            raise
        assert isinstance(result, Result)
        return result

    def _makeResult(self) -> Result:
        self._result = Result(self.stream, self.descriptions, self.verbosity)
        self._result.total = self._total
        return self._result
