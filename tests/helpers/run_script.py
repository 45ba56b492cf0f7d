"""run.py in a folder of its own, with test modules to run."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "run.py"

HIDDEN = ("CI", "PYTHONPATH", "TASKSERVICE_IDLE")
"""What these tests have in their environment where they want it."""

PASSING = """
import unittest

class PassingTest(unittest.TestCase):
    def test_passes(self): pass
"""

FAILING = PASSING.replace("pass\n", "self.fail()\n")

MIXED = """
import unittest

class MixedTest(unittest.TestCase):
    def test_passes(self): pass

    @unittest.skip("for the count")
    def test_skips(self): pass

    def test_fails_twice(self):
        for number in 1, 2:
            with self.subTest(number): self.fail()

class SkippedTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise unittest.SkipTest("for the count")

    def test_does_not_run(self): pass
"""

PERIODIC = """
import sys
sys.path.insert(0, {root!r})
from tests import runner
runner.PERIOD = -1
runner.run_tests(["sample_test"], 1)
"""


def run(
    *command: str | Path, cwd: Path, path: Path | None = None, ci: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a command with this Python, outside of CI unless asked to, and return what it printed and its exit code."""
    environment = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    environment |= {"CI": "true"} if ci else {}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=240
    )


class RunScriptTestCase(unittest.TestCase):
    """Tests with a temporary folder, which is also where the user is."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_script(self, *args: str | Path, ci: bool = False) -> subprocess.CompletedProcess[str]:
        """Run the project's run.py."""
        return run(RUN, *args, cwd=self.folder, ci=ci)

    def write_test(self, code: str) -> None:
        """Write sample_test.py where the user is."""
        (self.folder / "sample_test.py").write_text(code, "utf-8")
