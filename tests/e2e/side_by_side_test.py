"""`run.py test` with several modules: they run side by side, and each outcome is reported."""

import os
import signal
import subprocess
import sys
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.api import wait_until
from tests.helpers.processes import alive
from tests.helpers.run_script import FAILING, MIXED, PASSING, ROOT, RUN, RunScriptTestCase, run
from tests.runner import SECONDS, expected_seconds, load, runs_alone

MEETING = """
import time, unittest
from pathlib import Path

class MeetingTest(unittest.TestCase):
    def test_meets_the_other(self):
        Path(__file__).with_name("{me}").touch()
        deadline = time.monotonic() + 60
        while not Path(__file__).with_name("{other}").exists():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
"""
RECORDING = """
import unittest
from pathlib import Path
{mark}

class RecordingTest(unittest.TestCase):
    def test_records(self):
        with Path(__file__).with_name("record").open("a") as record: record.write("{name}\\n")
"""
OUTCOMES = """
import unittest

class OutcomesTest(unittest.TestCase):
    @unittest.expectedFailure
    def test_fails_as_expected(self): self.fail()

    @unittest.expectedFailure
    def test_passes_unexpectedly(self): pass

    def test_errs(self):
        "It has a docstring."
        raise KeyError("the reason")

    def test_fails_in_a_subtest(self):
        with self.subTest(number=7): self.fail("the subtest's reason")

class SetUpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise ValueError("of the class")

    def test_does_not_run(self): pass
"""
ENDING = """
import os, unittest

class EndingTest(unittest.TestCase):
    def test_ends_the_process(self):
        print("last words")
        os._exit(3)
"""
HANGING = """
import os, threading, unittest
from pathlib import Path

class HangingTest(unittest.TestCase):
    def test_hangs(self):
        Path(__file__).with_name("pid").write_text(str(os.getpid()))
        threading.Event().wait()
"""
RUNNER = """
import sys
sys.path.insert(0, {root!r})
from tests import parallel, runner
{change}
sys.exit(runner.run_tests(sys.argv[1:], 1))
"""
LEAVING = """
import os, subprocess, tempfile, unittest

class LeavingTest(unittest.TestCase):
    def test_leaves_a_file(self):
        os.close(tempfile.mkstemp(prefix="forgotten-")[0])

    def test_removes_a_file(self):
        with tempfile.NamedTemporaryFile(): pass
"""
MEASURED = """
import unittest
import measured

class MeasuredTest(unittest.TestCase):
    def test_calls(self): self.assertEqual(measured.{function}(), 1)
"""


class SideBySideTestCase(RunScriptTestCase):

    def run_modules(self, *options: str, ci: bool = False, **modules: str) -> subprocess.CompletedProcess[str]:
        """Write modules, and run them two at a time."""
        self.write_modules(**modules)
        return self.run_script("test", "--jobs", "2", *options, self.folder, ci=ci)

    def write_modules(self, **modules: str) -> None:
        """Write modules, each as `NAME_test.py` where the user is."""
        for name, code in modules.items():
            (self.folder / f"{name}_test.py").write_text(code, "utf-8")

    def run_changed(self, change: str, *modules: str) -> subprocess.CompletedProcess[str]:
        """Run modules, as CI does, after a change to the runner."""
        return run("-c", RUNNER.format(root=str(ROOT), change=change), *modules, cwd=self.folder, ci=True)


class ResultsTest(SideBySideTestCase):

    def test_two_modules_run_at_a_time(self) -> None:
        done = self.run_modules(
            a=MEETING.format(me="a", other="b"), b=MEETING.format(me="b", other="a"), c=PASSING)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stderr.startswith(
            "run.py test: 3 tests in 3 modules, 2 at a time; about 1 minute\n...\n"), done.stderr)

    def test_results_of_all_are_counted(self) -> None:
        done = self.run_modules(ci=True, mixed=MIXED, passing=PASSING, failing=FAILING)
        self.assertEqual((done.returncode, done.stdout), (1, "2 passed, 2 failed, 2 skipped\n"))
        self.assertIn("Ran 5 tests in ", done.stderr)
        self.assertIn("FAILED (failures=3, skipped=2)\nskipped:\n     2  for the count\nslowest:\n", done.stderr)

    def test_each_outcome_is_reported_as_unittest_does(self) -> None:
        done = self.run_modules("-v", ci=True, outcomes=OUTCOMES, passing=PASSING)
        self.assertEqual((done.returncode, done.stdout), (1, "2 passed, 4 failed, 0 skipped\n"))
        for line in (
            r"test_passes \(passing_test\.PassingTest\.test_passes\) \.\.\. ok",
            r"test_fails_as_expected \(.*\) \.\.\. expected failure",
            r"UNEXPECTED SUCCESS: test_passes_unexpectedly \(outcomes_test\.OutcomesTest\..*\)",
            r"ERROR: test_errs \(outcomes_test\.OutcomesTest\.test_errs\)\nIt has a docstring\.\n-+\nTraceback .*",
            r"KeyError: 'the reason'",
            r"FAIL: test_fails_in_a_subtest \(.*\) \(number=7\)",
            r"AssertionError: the subtest's reason",
            r"ERROR: setUpClass \(outcomes_test\.SetUpTest\)",
            r"ValueError: of the class",
        ):
            self.assertRegex(done.stderr, rf"(?m)^{line}$")

    def test_module_that_cannot_be_imported_fails_and_the_others_run(self) -> None:
        done = self.run_modules(ci=True, bad="import nothing_of_that_name", passing=PASSING)
        self.assertEqual((done.returncode, done.stdout), (1, "1 passed, 1 failed, 0 skipped\n"))
        self.assertIn("No module named 'nothing_of_that_name'", done.stderr)

    def test_what_a_module_prints_is_shown_with_its_name(self) -> None:
        done = self.run_modules(a=PASSING.replace("pass\n", "print('said', 'it')\n"), b=PASSING)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("\na_test printed:\nsaid it\n", done.stderr)

    def test_module_that_runs_alone_runs_after_the_others(self) -> None:
        together = RECORDING.format(mark="", name="together")
        done = self.run_modules(
            a=RECORDING.format(mark="RUNS_ALONE = True", name="alone"),
            b=together, c=together, d=together)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.folder / "record").read_text(), "together\n" * 3 + "alone\n")

    def test_modules_that_discovery_passes_over_run_alone(self) -> None:
        names = ("unit.etag_test", "reliability.walk_test")
        load([f"tests.{name}" for name in names])
        self.assertEqual([runs_alone(f"tests.{name}") for name in names], [False, True])

    def test_coverage_of_workers_is_measured(self) -> None:
        (self.folder / "measured.py").write_text("def one():\n    return 1\n\n\ndef other():\n    return 1\n", "utf-8")
        self.write_modules(**{name: MEASURED.format(function=name) for name in ("one", "other")})
        done = run("-m", "coverage", "run", "--branch", "--include=*/measured.py", RUN, "test", "--jobs", "2",
                   "one_test.py", "other_test.py", cwd=self.folder)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        report = run("-m", "coverage", "report", cwd=self.folder)
        self.assertRegex(report.stdout, r"(?m)^measured\.py +4 +0 +0 +0 +100%$")

    def test_slower_modules_that_are_expected_are_there(self) -> None:
        for name in expected_seconds():
            self.assertTrue((ROOT / "tests" / (name.replace(".", "/") + ".py")).exists(), f"{name} of {SECONDS}")


class EndsTest(SideBySideTestCase):

    def test_module_that_ends_its_process_is_named_with_what_it_printed(self) -> None:
        done = self.run_modules(ending=ENDING, one=PASSING, other=PASSING, ci=True)
        self.assertEqual((done.returncode, done.stdout), (1, "2 passed, 1 failed, 0 skipped\n"))
        self.assertRegex(
            done.stderr, r"ERROR: test_ends_the_process \(ending_test\.EndingTest.*\)\n-+\n"
            r"its worker ended \(exit code 3\); other tests of ending_test did not run\nlast words\n")

    def test_test_that_hangs_is_ended_and_shown_with_where_it_hangs(self) -> None:
        self.write_modules(hanging=HANGING, passing=PASSING)
        done = self.run_changed("parallel.HANG = 3", "hanging_test", "passing_test")
        self.assertEqual((done.returncode, done.stdout), (1, "1 passed, 1 failed, 0 skipped\n"))
        self.assertRegex(done.stderr, r"ERROR: test_hangs \(hanging_test\.HangingTest\.test_hangs\)")
        self.assertRegex(done.stderr, r'File ".*hanging_test\.py", line 8 in test_hangs')

    def test_a_module_may_say_how_long_its_tests_take(self) -> None:
        slow = HANGING.replace("threading.Event().wait()", "threading.Event().wait(4)").replace(
            "class HangingTest", "HANG = 60\n\nclass HangingTest")
        self.write_modules(hanging=slow, passing=PASSING)
        done = self.run_changed("parallel.HANG = 1", "hanging_test", "passing_test")
        self.assertEqual((done.returncode, done.stdout), (0, "2 passed, 0 failed, 0 skipped\n"))

    def test_an_interrupt_ends_the_workers_and_says_what_they_were_at(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                self.interrupt(number)

    @contextmanager
    def started(self, temporary: Path) -> Iterator[subprocess.Popen[str]]:
        """Start run.py with a module that fails and one that hangs; kill it at the end."""
        self.write_modules(failing=FAILING, hanging=HANGING)
        with subprocess.Popen(
                [sys.executable, RUN, "test", "--jobs", "1", "failing_test.py", "hanging_test.py"], cwd=self.folder,
                env={**os.environ, "TMPDIR": str(temporary)}, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def test_workers_end_when_their_parent_is_killed(self) -> None:
        with self.started(self.folder) as process:
            wait_until(self.hanging, "the test that hangs")
            process.kill()
        wait_until(lambda: not alive(self.hanging()), "the end of the worker")

    def hanging(self) -> int:
        """Return the process of the test that hangs; 0 before it does."""
        pid = self.folder / "pid"
        return int(pid.read_text() or 0) if pid.exists() else 0

    def interrupt(self, number: signal.Signals) -> None:
        """Send run.py a signal while a worker hangs."""
        temporary = self.folder / "temporary"
        temporary.mkdir(exist_ok=True)
        (self.folder / "pid").unlink(missing_ok=True)
        with self.started(temporary) as process:
            wait_until(self.hanging, "the test that hangs")
            process.send_signal(number)
            said = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 130, said)
        self.assertIn("\ninterrupted: test_hangs (hanging_test.HangingTest.test_hangs)\n", said)
        self.assertIn("FAIL: test_passes (failing_test.", said)
        self.assertFalse(alive(self.hanging()))
        self.assertEqual(list(temporary.iterdir()), [])

    def test_what_is_left_behind_fails_the_run_and_is_named(self) -> None:
        done = self.run_modules(leaving=LEAVING, passing=PASSING, ci=True)
        self.assertEqual((done.returncode, done.stdout), (1, "3 passed, 0 failed, 0 skipped\n"))
        self.assertRegex(done.stderr, r"(?m)^left behind: leaving_test: forgotten-\w+$")
        self.assertEqual(done.stderr.count("left behind"), 1)

    def test_what_is_left_in_the_project_of_an_idle_machine_is_named(self) -> None:
        left = ROOT / f"left-behind-by-a-test-{os.getpid()}"
        self.addCleanup(left.unlink, missing_ok=True)
        code = PASSING.replace("pass\n", f"from pathlib import Path; Path({str(left)!r}).touch()\n")
        self.write_modules(leaving=code, passing=PASSING)
        done = self.run_changed("runner.IDLE = True", "leaving_test", "passing_test")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"left behind: {left}\n", done.stderr)


if __name__ == "__main__":
    unittest.main()
