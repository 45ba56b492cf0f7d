"""`uv sync` and `uv run` do no harm to a checkout: the service runs in their environment, and run.py goes on in it.

It needs the network, from which uv installs.
"""

import json
import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

from tests.helpers.processes import copy_project, run

UV = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


@unittest.skipIf(UV is None, "needs the package uv (requirements-dev.txt)")
class UvTest(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="uv-"))
        self.clone = copy_project(Path(self.folder))
        self.said("git", "init", "--quiet")
        self.said("git", "add", "--all")

    def said(self, *command: str) -> str:
        """Run a command in the clone that has to succeed; return its standard output."""
        done = run("env", "-u", "VIRTUAL_ENV", f"TMPDIR={self.folder}", *command, cwd=self.clone)
        self.assertEqual(done.returncode, 0, done)
        return done.stdout

    def test_the_service_runs_and_git_sees_no_change(self) -> None:
        assert UV is not None
        self.said(UV, "sync", "--quiet")
        python = self.clone / ".venv" / "bin" / "python"
        by_script, by_package = (
            json.loads(self.said(UV, "run", "--quiet", command, "openapi")) for command in ("run.py", "taskservice"))
        self.assertEqual(by_script, by_package)
        self.assertIn("usage: ", self.said("python3", "run.py", "serve", "--help"))
        self.assertEqual(self.said(str(python), "-c", "import taskservice; print(taskservice.__file__)"),
                         f"{self.clone}/taskservice/__init__.py\n")
        self.assertEqual(self.said("git", "diff"), "")
        self.assertEqual(self.said("git", "ls-files", "--others", "--exclude-standard"), "")


if __name__ == "__main__":
    unittest.main()
