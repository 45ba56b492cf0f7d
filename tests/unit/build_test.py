"""`run.py build`, as far as it goes without compiling; `run.py test --compiled` in .ci/run does the rest."""

import contextlib
import io
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

from scripts import build
from tests.helpers.app import ROOT
from tests.helpers.processes import PATIENCE


class BuildTest(unittest.TestCase):

    def test_without_a_compiler_it_says_so_and_makes_nothing(self) -> None:
        said = io.StringIO()
        with (mock.patch.object(shutil, "which", return_value=None), mock.patch.object(build, "pip") as pip,
              contextlib.redirect_stderr(said)):
            self.assertEqual(build.build([]), 1)
        self.assertRegex(said.getvalue(), r"\Arun.py build: needs a C compiler, .*\n\Z")
        pip.assert_not_called()


@unittest.skipIf(find_spec("setuptools") is None, "needs the package setuptools (requirements-dev.txt)")
class EndedTest(unittest.TestCase):

    def test_one_that_is_ended_leaves_nothing_behind(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        program = "import sys; from scripts.build import test_compiled; sys.exit(test_compiled([]))"
        process = subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, env={**os.environ, "TMPDIR": str(folder)})
        try:
            while not list(folder.glob("taskservice-install-*/pip-*")):  # pip is at work
                self.assertIsNone(process.poll())
                time.sleep(0.01)
            process.terminate()
            self.assertEqual(process.wait(PATIENCE), 128 + signal.SIGTERM)
        finally:
            process.kill()
            process.wait()
        self.assertEqual(list(folder.iterdir()), [])


@unittest.skipIf(find_spec("setuptools") is None, "needs the package setuptools (requirements-dev.txt)")
class SetupTest(unittest.TestCase):

    def asked(self, command: str, compiled: str) -> dict[str, Any]:
        """Return what setup.py asks of setuptools; `ext_modules` are the arguments of mypycify."""
        with (mock.patch("setuptools.setup") as setup, mock.patch("sys.argv", ["setup.py", command]),
              mock.patch("mypyc.build.mypycify", side_effect=lambda arguments, **_: arguments),
              mock.patch.dict(os.environ, TASKSERVICE_COMPILE=compiled), contextlib.chdir(ROOT)):
            runpy.run_path("setup.py")
        return dict(setup.call_args.kwargs)

    def test_unless_it_is_asked_for_the_package_is_plain_python(self) -> None:
        for value in ("", "0"):
            self.assertEqual(self.asked("bdist_wheel", value), {})

    def test_what_compiles_is_installed_before_it_is_used(self) -> None:
        asked = self.asked("egg_info", "1")
        self.assertEqual(asked.keys(), {"setup_requires"})
        names = {re.split("[<>=]", each)[0] for each in asked["setup_requires"]}
        self.assertLessEqual({"mypy", "tornado", "httptools"}, names)

    def test_only_a_wheel_is_compiled(self) -> None:
        """What `pip install --editable .` and `setup.py build_ext --inplace` make would shadow the source."""
        for command in ("editable_wheel", "build_ext", "develop"):
            self.assertNotIn("ext_modules", self.asked(command, "1"))
        modules = [each for each in self.asked("bdist_wheel", "1")["ext_modules"] if not each.startswith("--")]
        self.assertIn("taskservice/http1/parser.py", modules)
        for module in modules:
            self.assertTrue((ROOT / module).is_file(), module)
            self.assertNotRegex(module, "/handlers/|_db.py$")


if __name__ == "__main__":
    unittest.main()
