"""`run.py matrix` runs the tests on every Python that there is, and fails when one of them fails."""

import io
import os
import subprocess
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from scripts import commands


class PythonsTest(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def make(self, path: str, does: str) -> None:
        """Make a program."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{does}\n", "utf-8")
        file.chmod(0o755)

    def test_those_that_work_are_found_on_the_path_and_of_pyenv(self) -> None:
        self.make("bin/python3.11", "exit 0")
        self.make("bin/python3.12", "exit 127")  # a shim of pyenv, for a version that is not chosen
        self.make("pyenv/versions/3.12.9/bin/python3.12", "exit 0")
        self.make("pyenv/versions/3.13.0/bin/python3.13", "exit 1")
        self.make("pyenv/versions/3.10.1/bin/python3.10", "exit 0")
        where = {"PATH": str(self.folder / "bin"), "PYENV_ROOT": str(self.folder / "pyenv")}
        with mock.patch.dict(os.environ, where):
            found = commands.pythons()
        self.assertEqual(found, {
            "3.11": str(self.folder / "bin/python3.11"),
            "3.12": str(self.folder / "pyenv/versions/3.12.9/bin/python3.12")})

    def test_each_runs_the_tests_and_one_that_fails_fails_all(self) -> None:
        for codes, code, said in (
                ({"3.11": 0, "3.12": 0}, 0, "Python 3.11: passed, Python 3.12: passed\n"),
                ({"3.11": 1, "3.12": 0}, 1, "Python 3.11: failed, Python 3.12: passed\n")):
            ran = []

            def call(command: list[str]) -> int:
                ran.append(command)
                [version] = [version for version in codes if f"python-{version}/" in command[0]]
                return codes[version]

            with (mock.patch.object(commands, "pythons", lambda: dict.fromkeys(codes, sys.executable)),
                  mock.patch.object(subprocess, "call", call), mock.patch.object(subprocess, "check_call"),
                  redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO())):
                self.assertEqual(commands.matrix(["--suite", "unit"]), code)
            self.assertEqual(out.getvalue(), said)
            self.assertEqual([command[2:] for command in ran], [["test", "--suite", "unit"]] * 2)


if __name__ == "__main__":
    unittest.main()
