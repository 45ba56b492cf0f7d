""".ci/run with programs in the place of python3 and timeout: what it runs, and what it makes of what they answer."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from tests.helpers.app import ROOT
from tests.helpers.processes import PATIENCE

PYTHON = """#!/bin/sh
[ "$1" = -c ] && exit 0
[ "$TASKSERVICE_IDLE" ] || exit 1
echo "$*" >> "$COMMANDS"
case "$*" in *" $FAILING"*) exit 1;; esac
"""
TIMEOUT = """#!/bin/sh
case "$*" in *" $SLOW"*) exit 124;; esac
case "$1" in --kill-after=*) shift;; esac
shift
exec "$@"
"""


APT_GET = """#!/bin/sh
case "$*" in *strace*) exit 100;; esac
echo "$*" >> "$COMMANDS.apt"
"""


class CiTest(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.folder / ".ci").mkdir()
        shutil.copy(ROOT / ".ci" / "run", self.folder / ".ci")
        (self.folder / "bin").mkdir()
        script = (ROOT / ".ci" / "run").read_text("utf-8")
        tools = re.findall(r"\[([\w-]+)\]=", script[:script.index("for command")])  # nothing is installed here
        self.assertIn("strace", tools)
        fakes = {"python3": PYTHON, "timeout": TIMEOUT, "apt-get": APT_GET}
        for name, text in (fakes | dict.fromkeys(tools, "#!/bin/sh\n")).items():
            program = self.folder / "bin" / name
            program.write_text(text, "utf-8")
            program.chmod(0o700)
        for name in "bash", "dirname", "env":
            (self.folder / "bin" / name).symlink_to(str(shutil.which(name)))

    def run_ci(self, failing: str = "nothing", slow: str = "nothing") -> tuple[int, str, list[str]]:
        """Run it; return its exit code, what it said, and the commands of Python that it ran."""
        commands = self.folder / "commands"
        done = subprocess.run(
            ["bash", self.folder / ".ci" / "run"], capture_output=True, text=True, timeout=PATIENCE, env={
                **os.environ, "PATH": str(self.folder / "bin"), "COMMANDS": str(commands), "FAILING": failing,
                "SLOW": slow})
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout, commands.read_text("utf-8").splitlines()

    def test_each_step_is_run_once_and_says_what_it_took(self) -> None:
        code, said, commands = self.run_ci()
        self.assertEqual(code, 0)
        self.assertTrue(said.endswith("\nall passed\n"), said)
        self.assertEqual(len(commands), len(set(commands)))
        for suite in "e2e", "tutorial", "reliability", "browser", "clients", "company":
            self.assertIn(f"run.py test --suite {suite}", commands)
        self.assertIn("run.py coverage -- tests/unit tests/integration tests/e2e/check_config_test.py", commands)
        compiled, faults = [command.split() for command in commands if "--compiled" in command]
        self.assertEqual(compiled, ["run.py", "test", "--compiled", "tests/unit", "tests/integration"])
        for name in faults[3:]:
            self.assertTrue((ROOT / name).exists(), name)
        self.assertIn("run.py audit", commands)
        self.assertRegex(said, r"(?m)^tests and coverage: took \d s of 600 s$")

    def test_one_that_fails_is_not_tried_again_and_the_others_are_run(self) -> None:
        everything = self.run_ci()[2]
        (self.folder / "commands").unlink()
        code, said, commands = self.run_ci(failing="test --suite reliability")
        self.assertEqual((code, commands), (1, everything))
        self.assertTrue(said.endswith("\nfailed: reliability, short\n"), said)

    def test_a_package_that_cannot_be_installed_is_named_and_the_others_are_installed(self) -> None:
        for tool in "strace", "jq", "firefox-esr":
            (self.folder / "bin" / tool).unlink()
        code, said, _ = self.run_ci()
        self.assertEqual((code, re.findall("could not install .*", said)), (0, ["could not install strace"]))
        installed = [line.split()[-1] for line in (self.folder / "commands.apt").read_text("utf-8").splitlines()]
        self.assertLessEqual({"jq", "firefox-esr"}, set(installed))

    def test_one_that_takes_too_long_fails(self) -> None:
        code, said, _ = self.run_ci(slow="run.py test --suite browser")
        self.assertEqual(code, 1)
        self.assertTrue(
            said.endswith("\nfailed: the page, in a browser: over its budget of 15 minutes\n"), said)


if __name__ == "__main__":
    unittest.main()
