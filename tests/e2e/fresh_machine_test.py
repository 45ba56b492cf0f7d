"""run.py on a fresh machine: how it sets itself up, and what it does when that is interrupted."""
import contextlib
import errno
import os
import pty
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

from scripts.environment import reason_of
from tests.helpers.api import wait_until
from tests.helpers.processes import alive
from tests.helpers.run_script import ROOT, RUN, run

SERVER = """
import os, sys, tiny_package

def main(argv, *_):
    print("in", sys.prefix)
    print("at", os.getcwd())
    print("with", *argv)
    return 3 if "--fail" in argv else 0
"""
SLOW_BACKEND = """
import os, sys, time

def build_wheel(*_):
    with open(os.environ["PIDS"], "a") as file: print(os.getpid(), os.getppid(), file=file)
    time.sleep(60)
"""

INSTALL_PATIENCE = 240
"""Seconds that an installation may take, on a machine that does much else."""

NO_ENSUREPIP = """
import importlib.util, runpy, sys
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "ensurepip" else find_spec(name, package)
sys.argv, sys.path[0] = [{run!r}, "serve"], {run!r}.removesuffix("/run.py")
runpy.run_path({run!r}, run_name="__main__")
"""
OTHER_USER = """
import os, runpy, sys
os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.argv, sys.path[0] = [{run!r}, "serve"], {run!r}.removesuffix("/run.py")
runpy.run_path({run!r}, run_name="__main__")
"""
NO_RETRIES = """
import os, sys
os.environ["PIP_RETRIES"] = "1"
os.execv(sys.executable, [sys.executable, {run!r}, "serve"])
"""


class FreshMachineTest(unittest.TestCase):
    """A copy of run.py in a project of its own, whose one package this Python lacks and no network is needed for.

    Making a virtual environment takes seconds, so the tests share the one that the first runs made.
    """

    folder: Path
    stamp: Path
    stamp_after_first_runs: str
    first_runs: list[tuple[str, str, int]]

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(tempfile.mkdtemp()).resolve()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.stamp = cls.folder / ".venv" / "run.py-stamp"
        write_project(cls.folder)
        cls.first_runs = cls.run_twice_at_once_over_a_half_made_venv()
        cls.stamp_after_first_runs = cls.stamp.read_text("utf-8")

    @classmethod
    def run_twice_at_once_over_a_half_made_venv(cls) -> list[tuple[str, str, int]]:
        """What both runs printed, and their exit codes, after an install was killed."""
        (cls.folder / ".venv" / "bin").mkdir(parents=True)
        (cls.folder / ".venv" / "bin" / "left-over").touch()
        cls.stamp.write_text("unfinished\n", "utf-8")
        command = [sys.executable, str(cls.folder / "run.py"), "serve"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as one, \
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as other:
            return [(*process.communicate(timeout=INSTALL_PATIENCE), process.returncode) for process in (one, other)]

    def setUp(self) -> None:
        require(self.folder, "tiny-package==1.0")
        self.stamp.write_text(self.stamp_after_first_runs, "utf-8")

    def serve(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run that project's server from another directory."""
        return run(self.folder / "run.py", "serve", *options, cwd=self.folder / "taskservice")

    def assert_served_in_venv(self, stdout: str, stderr: str, code: int) -> None:
        """Assert that the server ran, and did so inside the virtual environment."""
        self.assertEqual(code, 0, stderr)
        self.assertIn(f"in {self.folder / '.venv'}\n", stdout)

    def test_first_runs_at_once_both_go_on_inside_the_venv(self) -> None:
        for stdout, stderr, code in self.first_runs:
            self.assert_served_in_venv(stdout, stderr, code)

    def test_one_of_the_first_runs_installed_and_the_other_waited_and_both_said_so(self) -> None:
        stderr = "".join(stderr for _, stderr, _ in self.first_runs)
        venv = self.folder / ".venv"
        self.assertEqual(sorted(stderr.splitlines()), [
            f"run.py: installing the service's packages in {venv} (once; takes a minute)",
            f"run.py: making {venv}",
            f"run.py: waiting for another run.py, which installs in {venv}"])

    def test_serving_installs_no_test_tools(self) -> None:
        require(self.folder, "tiny-package==1.0", "# Tests and tools", "package-that-is-nowhere==1.0")
        done = self.serve()
        self.assert_served_in_venv(done.stdout, done.stderr, done.returncode)
        self.assertIn("the service's packages", done.stderr)

    def test_versions_are_those_of_the_lock_file(self) -> None:
        lock = self.folder / "requirements.lock"
        lock.write_text("tiny-package==0.9\n", "utf-8")
        self.addCleanup(lock.unlink)
        done = self.serve()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"(?m)^run\.py: pip could not install .*: the reason is above$")

    def test_without_a_network_it_says_so(self) -> None:
        (self.folder / "requirements.txt").write_text(
            "--index-url http://127.0.0.1:9/\nother-package==1.0\n", "utf-8")
        done = run("-c", NO_RETRIES.format(run=str(self.folder / "run.py")), cwd=self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"(?m)^run\.py: .* in .*\.venv: there is no network, or no package index$")

    def test_a_terminal_shows_a_bar(self) -> None:
        require(self.folder, "tiny-package==1.0", "# again")
        master, terminal = pty.openpty()
        command = [sys.executable, str(self.folder / "run.py"), "serve"]
        with subprocess.Popen(command, stdout=terminal, stderr=terminal) as one:
            os.close(terminal)
            said = b""
            with contextlib.suppress(OSError):  # its end
                while piece := os.read(master, 4096):
                    said += piece
            self.assertEqual(one.wait(INSTALL_PATIENCE), 0)
        os.close(master)
        self.assertRegex(said.decode(), r"\r\x1b\[K\[#+ *\] 1/\d+ [\w.-]*.*\r\x1b\[K")

    def test_half_made_venv_was_made_anew(self) -> None:
        self.assertFalse((self.folder / ".venv" / "bin" / "left-over").exists())

    def test_next_run_installs_nothing(self) -> None:
        done = self.serve()
        self.assert_served_in_venv(done.stdout, done.stderr, done.returncode)
        self.assertNotIn("installing", done.stderr)

    def test_serve_passes_its_options_on_from_the_root_of_the_project(self) -> None:
        """A config is the one that the user sees under that name; the default is the server's."""
        root = self.folder
        for options, passed_on in (
            (["--port", "1"], "--port 1"),
            (["--debug", "--config", "a.yaml"], f"--config {root / 'taskservice' / 'a.yaml'} --debug"),
        ):
            with self.subTest(options):
                self.assertIn(f"at {root}\nwith {passed_on}\n", self.serve(*options).stdout)

    def test_exit_code_of_the_server_is_that_of_the_command(self) -> None:
        self.assertEqual(self.serve("--fail").returncode, 3)

    def test_changed_requirements_are_installed(self) -> None:
        require(self.folder, "tiny-package==1.0", "# and no more")
        done = self.serve()
        self.assert_served_in_venv(done.stdout, done.stderr, done.returncode)
        self.assertIn("run.py: installing", done.stderr)

    def test_venv_made_by_hand_is_completed_and_kept(self) -> None:
        self.stamp.unlink()
        (self.folder / ".venv" / "kept").touch()
        done = self.serve()
        self.assert_served_in_venv(done.stdout, done.stderr, done.returncode)
        self.assertTrue((self.folder / ".venv" / "kept").exists())

    def test_failing_install_fails_the_command_and_leaves_what_was_there(self) -> None:
        require(self.folder, "tiny-package==1.0", "package-that-is-nowhere==1.0")
        done = self.serve()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"(?m)^run\.py: pip could not install .* in .*\.venv: the reason is above$")
        self.assertNotIn("Traceback", done.stderr)
        self.assertNotIn("unfinished", self.stamp.read_text("utf-8"))

    def test_package_that_stays_missing_ends_in_a_message_not_in_a_loop(self) -> None:
        require(self.folder, "tiny-package==1.0", "odd-name==1.0")
        done = self.serve()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"(?m)^run\.py: cannot import odd_name, though installed in .*\.venv; remove")


class InterruptedInstallTest(unittest.TestCase):
    """Ctrl-C, SIGTERM and a closed terminal end an installation without a word, and the next one goes on."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        self.pids, self.slow = self.folder / "pids", self.folder / "slow"
        self.temporary = self.folder / "temporary"
        self.temporary.mkdir()
        write_project(self.folder)
        self.slow.mkdir()
        (self.slow / "backend.py").write_text(SLOW_BACKEND, "utf-8")
        build = 'requires = []\nbuild-backend = "backend"\nbackend-path = ["."]'
        (self.slow / "pyproject.toml").write_text(f"[build-system]\n{build}\n", "utf-8")
        require(self.folder, "tiny-package==1.0", "./slow")

    def interrupt(self, file: Path, number: signal.Signals) -> None:
        """Start an installation, and send its process group a signal, as a terminal does, once a file is there."""
        with subprocess.Popen(
                [sys.executable, "run.py", "serve"], cwd=self.folder, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                env={**os.environ, "PIDS": str(self.pids), "TMPDIR": str(self.temporary)}) as process:
            self.addCleanup(process.kill)
            wait_until(file.exists, str(file))
            os.killpg(process.pid, number)
            out, err = process.communicate(timeout=INSTALL_PATIENCE)
        self.assertEqual((process.returncode, out), (128 + number, ""))
        self.assertRegex(err, r"\A(run\.py: (making|installing) .*\n)+\Z")
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_it_ends_quietly_and_the_next_one_goes_on(self) -> None:
        for number in (signal.SIGINT, signal.SIGHUP):
            self.interrupt(self.folder / ".venv" / "pyvenv.cfg", number)
            shutil.rmtree(self.folder / ".venv")
        self.interrupt(self.pids, signal.SIGTERM)
        for pid in map(int, self.pids.read_text().split()):
            wait_until(lambda: not alive(pid), f"the end of {pid}")
        require(self.folder, "tiny-package==1.0")
        done = run(self.folder / "run.py", "serve", cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"in {self.folder / '.venv'}\n", done.stdout)


class RefusedInstallTest(unittest.TestCase):
    """Where nothing can be installed: one line says why."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        write_project(self.folder)

    def refused(self, *command: str | Path) -> str:
        """Run a command that fails; return its line."""
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=INSTALL_PATIENCE)
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), done.stderr)
        return done.stderr

    def test_a_python_without_the_venv_module(self) -> None:
        code = NO_ENSUREPIP.format(run=str(self.folder / "run.py"))
        self.assertEqual(
            self.refused(sys.executable, "-c", code),
            "run.py: this Python has no venv module (Debian: apt install python3-venv)\n")
        self.assertFalse((self.folder / ".venv").exists())

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to run as somebody else")
    def test_a_folder_of_somebody_else(self) -> None:
        self.folder.chmod(0o755)
        for parent in (*self.folder.parents, *Path(sys.base_prefix).resolve().parents):
            if not parent.stat().st_mode & 0o001:
                self.skipTest(f"{parent} is closed to others")
        code = OTHER_USER.format(run=str(self.folder / "run.py"))
        self.assertEqual(
            self.refused(sys.executable, "-c", code),
            f"run.py: cannot install in {self.folder / '.venv'}: {self.folder} is not yours but root's\n")

    def test_reasons_of_an_error(self) -> None:
        """As the test above, also where the interpreter is closed to others."""
        owner = pwd.getpwuid(ROOT.stat().st_uid).pw_name
        refused = reason_of(PermissionError(errno.EACCES, ""))
        self.assertRegex(refused, f"^{re.escape(str(ROOT))}.* is not yours but {owner}'s$")
        self.assertEqual(reason_of(OSError(errno.ENOSPC, "")), "the disk is full")
        self.assertEqual(reason_of(OSError("of its own")), "of its own")

    def test_a_read_only_file_system(self) -> None:
        mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && cd "$0" && exec "$1" run.py serve'
        command = ("unshare", "--mount", "sh", "-c", mount, self.folder, sys.executable)
        if os.geteuid() or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
            self.skipTest("needs root and unshare, to mount it")
        self.assertEqual(
            self.refused(*command), f"run.py: cannot install in {self.folder / '.venv'}: it is on a read-only file "
            "system; copy the project to another folder\n")


def write_project(folder: Path) -> None:
    """Write a project of run.py, packages to install, and a server that shows what it is started with."""
    shutil.copy(RUN, folder)
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    write_wheels(folder)
    require(folder, "tiny-package==1.0")
    server = folder / "taskservice" / "tornado" / "server.py"
    server.parent.mkdir(parents=True)
    server.write_text(SERVER, "utf-8")
    (folder / "taskservice" / "utils").mkdir()
    for name in ("__init__.py", "__main__.py", "tornado/signals.py", "utils/arguments.py"):
        shutil.copy(ROOT / "taskservice" / name, folder / "taskservice" / name)


def require(folder: Path, *requirements: str) -> None:
    """Write requirements.txt."""
    lines = ["--no-index", "--find-links .", *requirements]
    (folder / "requirements.txt").write_text("\n".join(lines), "utf-8")


def write_wheels(folder: Path) -> None:
    """Write two packages that pip installs offline; the second has another import name than run.py thinks."""
    for name, module in ("tiny_package", "tiny_package"), ("odd_name", "quite_another"):
        info = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{module}.py", "")
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")


if __name__ == "__main__":
    unittest.main()
