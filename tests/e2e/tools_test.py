"""The tutorial's commands beside the server: type checker, linter, tests, coverage."""

import tempfile
import unittest
from pathlib import Path

from tests.helpers.processes import copy_project, shell
from tests.helpers.tutorial import REQUEST_ID


class ToolsTest(unittest.TestCase):
    """The tutorial's other commands, each in a fresh copy of the project, on a small part of it."""

    def setUp(self) -> None:
        self.folder = copy_project(Path(self.enterContext(tempfile.TemporaryDirectory())))

    def run_all(self, *commands: str) -> str:
        """Run commands that have to succeed, and return what they printed."""
        said = ""
        for command in commands:
            done = shell(command, self.folder)
            self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")
            said += done.stdout + done.stderr
        return said

    def test_the_type_checker(self) -> None:
        for said in (self.run_all("mypy ./taskservice/errors.py ./tests/__init__.py"),
                     self.run_all("./run.py typecheck taskservice/errors.py")):
            self.assertIn("Success: no issues found", said)

    def test_the_linter(self) -> None:
        self.assertEqual(
            self.run_all("flake8 ./taskservice ./tests/unit/etag_test.py", "./run.py lint data"), "")

    def test_the_test_commands(self) -> None:
        for command in ("python3 tests/unit/task_data_test.py",
                        "cd data && python3 ../tests/unit/task_data_test.py",
                        "python -m unittest discover tests -p 'task_data_test.py'",
                        "./run.py test tests/unit/task_data_test.py"):
            with self.subTest(command):
                self.assertRegex(
                    self.run_all(command), r"\A\.\.\n-{70}\nRan 2 tests in [0-9.]+s\n\nOK\n\Z")

    def test_v_names_the_tests(self) -> None:
        self.assertRegex(
            self.run_all("./run.py test -v tests/unit/tornado_app_handlers_test.py"),
            r"(?m)^test_default_handler \(unit\.tornado_app_handlers_test"
            r"\.TaskServiceTornadoAppUnitTests.*\) \.\.\. ok$")

    def test_coverage(self) -> None:
        said = self.run_all(
            'coverage run --source=taskservice --omit="taskservice/tornado/server.py" --branch '
            "./run.py test tests/unit/etag_test.py", "coverage report", "coverage html")
        self.assertRegex(said, r"(?m)^taskservice/http/etag\.py .* 100%$")
        self.assertNotIn("taskservice/tornado/server.py", said)
        self.assertTrue((self.folder / "htmlcov" / "index.html").exists())

    def test_level_info_in_the_unit_test_shows_the_log_lines_of_the_tutorial(self) -> None:
        name = "tests/unit/tornado_app_handlers_test.py"
        self.assertNotIn("taskservice:", self.run_all(f"./run.py test {name}"))
        self.run_all(f"sed -i 's/level: ERROR/level: INFO/' {name}")
        said = self.run_all(f"./run.py test {name} tests/unit/task_data_test.py")
        for method, rest in (
                ("GET", r'message="RESPONSE" status=200 time_ms=[0-9.e-]+ store_ms=.*$'),
                ("POST", r'message="RESPONSE" status=201 time_ms=[0-9.e-]+ store_ms=.*$'),
                ("POST", r'reason="Invalid JSON body" message="RESPONSE" status=400 '
                         r'time_ms=[0-9.e-]+ .*trace="Traceback .*"$')):
            level = "WARNING" if "reason" in rest else "INFO"
            self.assertRegex(
                said, rf'(?m)^\.*{level}:taskservice:{REQUEST_ID} method="{method}" '
                      rf'uri="/tasks/" ip="127.0.0.1" {rest}')
