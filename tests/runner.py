"""How `run.py test` runs tests: as `python -m unittest` does, and with how far it is and why tests skipped."""

import os
import sys
import time
import unittest
from collections import Counter
from collections.abc import Sequence

PERIOD = 30.0
"""Seconds between two lines that say how far it is, where there is no terminal."""


def run_tests(names: Sequence[str], verbosity: int) -> int:
    """Run the tests of these dotted names; return 0 when there were some and all passed."""
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    found = suite.countTestCases()
    result = Runner(verbosity=verbosity, warnings=None if sys.warnoptions else "default").run(suite)
    if not found:
        print("run.py test: no tests found", file=sys.stderr)
    print(result.reasons(), end="", file=sys.stderr, flush=True)
    if "CI" in os.environ:
        print(result.tally(), flush=True)
    return 0 if found and result.wasSuccessful() else 1


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
            self._write(f"\r\x1b[K{where} {type(test).__module__}")
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
        bad = [case for case, _ in self.failures + self.errors] + list(self.unexpectedSuccesses)
        failed = {getattr(case, "test_case", case).id() for case in bad}
        skipped = {getattr(case, "test_case", case).id() for case, _ in self.skipped} - failed
        return f"{self.passed + len(self.expectedFailures)} passed, {len(failed)} failed, {len(skipped)} skipped"


class Runner(unittest.TextTestRunner):
    """unittest's own runner, whose result knows how many tests there are."""

    def run(self, test: unittest.TestSuite | unittest.TestCase) -> Result:
        """Run it."""
        self._total = test.countTestCases()
        result = super().run(test)
        assert isinstance(result, Result)
        return result

    def _makeResult(self) -> Result:
        result = Result(self.stream, self.descriptions, self.verbosity)
        result.total = self._total
        return result
