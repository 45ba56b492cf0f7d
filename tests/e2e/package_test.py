"""The package: installed from a copy of the project that is removed afterwards, it works from any folder."""

import json
import re
import sys
import tempfile
import unittest
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

from tests.helpers.installed import PROJECT, install
from tests.helpers.app import ROOT
from tests.helpers.processes import copy_project, run, started

NO_SERVICE = {  # in requirements.txt for the tests, the tools, and their types
    "coverage", "flake8", "hypothesis", "mypy", "asyncpg-stubs", "types-jsonschema", "types-pyyaml", "types-tqdm"}


class PackageTest(unittest.TestCase):

    folder: Path
    site: Path
    elsewhere: Path

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="taskservice-package-")))
        cls.site = cls.folder / "site packages"
        install(copy_project(cls.folder), cls.site)
        cls.elsewhere = cls.folder / "elsewhere"
        cls.elsewhere.mkdir()

    def command(self, *arguments: str | Path) -> tuple[str | Path, ...]:
        return ("env", f"PYTHONPATH={self.site}", sys.executable, "-m", "taskservice", *arguments)

    def said(self, *arguments: str | Path) -> str:
        done = run(*self.command(*arguments), cwd=self.elsewhere)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        return done.stdout

    def test_the_script_is_the_module(self) -> None:
        done = run("env", f"PYTHONPATH={self.site}", self.site / "bin" / "taskservice", "--version", cwd=self.elsewhere)
        self.assertEqual(done.stdout, self.said("--version"))
        self.assertRegex(done.stdout, r"\Ataskservice \d+\.\d+\.\d+ \(plain\)\n\Z")

    def test_help_names_every_command(self) -> None:
        for command in ("serve", "export", "import", "token", "openapi"):
            self.assertIn(f"\n  {command} ", self.said("--help"))
            self.assertIn(f"usage: taskservice {command} ", self.said(command, "--help"))

    def test_an_unknown_command_is_refused_in_one_line(self) -> None:
        done = run(*self.command("sevre"), cwd=self.elsewhere)
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (2, "", 1))
        self.assertIn("'sevre'", done.stderr)

    def test_the_openapi_document_and_a_token_need_no_service(self) -> None:
        self.assertIn("/tasks", json.loads(self.said("openapi"))["paths"])
        self.assertIn("scope: read", self.said("token", "dashboard", "--scope", "read"))

    def test_a_reader_that_leaves_makes_no_traceback(self) -> None:
        for command in (f"PYTHONPATH='{self.site}' {sys.executable} -m taskservice", f"'{ROOT / 'run.py'}'"):
            done = run("bash", "-c", f"{command} openapi | head -c 1", cwd=self.elsewhere)
            self.assertEqual((done.stdout, done.stderr), ("{", ""))

    def test_it_serves_with_all_its_files(self) -> None:
        with started(*self.command("serve", "--port", "0"), cwd=self.elsewhere) as service:
            script = re.search(rb'src="(static/[\w./-]+\.js)"', self.get(service.url + "/"))
            assert script is not None
            for path in ("/" + script[1].decode(), "/docs", "/docs/init.js", "/openapi.json", "/readyz", "/metrics"):
                self.assertTrue(self.get(service.url + path), path)
            tasks = self.elsewhere / "tasks.ndjson"
            tasks.write_text('{"title": "Bread"}\n', "utf-8")
            self.assertIn("imported 1 task", self.said("import", tasks, "--url", service.url))
            self.said("export", tasks, "--url", service.url)
            self.assertEqual(json.loads(tasks.read_bytes())["task"], {"title": "Bread"})
            self.assertEqual(service.stop(), 0)
        self.assertTrue((self.elsewhere / "var" / "tasks.db").exists())

    def get(self, url: str) -> bytes:
        with urlopen(url, timeout=30) as answer:
            body: bytes = answer.read()
        return body

    def test_it_has_every_file_of_the_project(self) -> None:
        for folder, installed in (("taskservice", ""), ("schema", "schema"), ("configs", "configs")):
            for file in (ROOT / folder).rglob("*"):
                if file.is_file() and "__pycache__" not in file.parts:
                    self.assertTrue(
                        (self.site / "taskservice" / installed / file.relative_to(ROOT / folder)).exists(), file)


@unittest.skipIf(find_spec("packaging") is None, "needs the package packaging (requirements-dev.txt)")
class RequirementsTest(unittest.TestCase):

    def test_requirements_txt_pins_what_the_package_asks_for(self) -> None:
        from packaging.requirements import Requirement
        project = PROJECT["project"]
        asked = {
            requirement.name.lower(): requirement for requirement in map(
                Requirement, project["dependencies"] + project["optional-dependencies"]["postgres"])}
        lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
        pinned = {
            requirement.name.lower(): requirement.specifier for requirement in
            map(Requirement, filter(lambda line: line and not line.startswith("#"), lines))}
        self.assertEqual(set(pinned) - NO_SERVICE, set(asked))
        for name, requirement in asked.items():
            [version] = {str(pin.version) for pin in pinned[name] if pin.operator in ("==", ">=")}
            self.assertTrue(requirement.specifier.contains(version), f"{name} {version}")

    def test_the_lock_file_has_every_requirement_in_the_version_that_is_pinned(self) -> None:
        """`run.py lock` makes it, and run.py installs by it: here it may lack nothing, nor say anything else."""
        from packaging.requirements import Requirement
        locked = {
            requirement.name.lower(): requirement.specifier for requirement in
            map(Requirement, lines_of("requirements.lock"))}
        for line in (*lines_of("requirements.txt"), *lines_of("requirements-dev.txt")):
            requirement = Requirement(line)
            [pin] = locked[requirement.name.lower()]
            self.assertEqual(pin.operator, "==")
            self.assertTrue(requirement.specifier.contains(pin.version), line)


def lines_of(name: str) -> list[str]:
    """Return the requirements of a file, without comments and other files."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-"))]


if __name__ == "__main__":
    unittest.main()
