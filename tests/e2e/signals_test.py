"""No signal is lost, and none but a stop signal ends the service, whenever it comes."""

import os
import pty
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.contract import quick_folder
from tests.helpers.api import wait_until
from tests.helpers.app import ROOT
from tests.helpers.processes import PATIENCE, SERVER, ServiceProcess, alive, children, environment
from tests.helpers.raw import peer
from tests.helpers.running import running, write_config
from tests.helpers.timing import FULL

IGNORED = (signal.SIGUSR1, signal.SIGUSR2)
MOMENTS = 40 if FULL else 5
"""How many moments of a start are tried."""


class IgnoredSignalsTest(unittest.TestCase):
    """SIGUSR1 and SIGUSR2 do nothing but a line in the log, in each process."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))

    def assert_ignored(self, service: ServiceProcess, *pids: int) -> None:
        for number in IGNORED:
            line = f'message="SIGNAL IGNORED" signal="{number.name}"'
            for count, pid in enumerate(pids, 1):
                os.kill(pid, number)
                wait_until(lambda: list(service.stdout).count(line) == count, f"{line} of each")
        self.assertEqual(ask(service.port), 200)
        self.assertEqual(service.stop(), 0)
        self.assertEqual(service.stderr, [])
        self.assertFalse([line for line in service.stdout if "WORKER" in line])

    def test_one_process_on_both_servers(self) -> None:
        for server in ("taskservice", "tornado"):
            with self.subTest(server), running(
                    self.folder, {"memory": None}, http={"server": server}) as service:
                self.assert_ignored(service, service.process.pid)

    def test_the_parent_of_workers_and_each_worker(self) -> None:
        store = {"sqlite": str(self.folder / "tasks.db")}
        with running(self.folder, store, "--workers", "2") as service:
            wait_until(lambda: len(started(service)) == 3, "workers")
            parent = service.process.pid
            self.assert_ignored(service, parent, *children(parent))

    def test_a_terminal_that_is_closed(self) -> None:
        """It drains and ends, as its parent alone gets SIGHUP where there are workers."""
        for options in (), ("--workers", "2"):
            with self.subTest(options):
                self.assert_ends_with_its_terminal(*options)

    def assert_ends_with_its_terminal(self, *options: str) -> None:
        (self.folder / "log").unlink(missing_ok=True)
        config = write_config(
            self.folder, {"sqlite": str(self.folder / "tasks.db")}, logging=to_file(self.folder / "log"))
        master, terminal = pty.openpty()
        process = subprocess.Popen(
            [*SERVER, "--config", config, "--port", "0", *options], cwd=ROOT, env=environment(), stdin=terminal,
            stdout=terminal, stderr=terminal, start_new_session=True,
            preexec_fn=take_terminal)
        self.addCleanup(process.kill)
        os.close(terminal)
        log = self.folder / "log"
        wait_until(
            lambda: log.exists() and log.read_text().count("STARTING") == (3 if options else 1), "the start")
        workers = children(process.pid)
        os.close(master)
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertIn('"STOPPED"', log.read_text().splitlines()[-1])
        self.assertIn("SHUTTING DOWN", log.read_text())
        self.assertNotIn("WORKER", log.read_text())
        self.assertFalse([worker for worker in workers if alive(worker)])


@unittest.skipUnless(shutil.which("bash"), "needs bash")
class LeftWindowTest(unittest.TestCase):
    """Started by a shell in a terminal, in the background; then the shell ends, and the terminal goes."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))
        self.log = self.folder / "log"

    def leave(self, *last_words: str, options: Sequence[str] = ()) -> int:
        """Start the service by a shell that says these words at the end; return its process id."""
        config = write_config(self.folder, {"sqlite": str(self.folder / "tasks.db")}, logging=to_file(self.log))
        master, terminal = pty.openpty()
        window = self.enterContext(open(master, "w", encoding="utf-8", buffering=1))
        shell = subprocess.Popen(
            ["bash", "--login", "--noprofile", "--norc", "-i"], cwd=ROOT, env=environment(), stdin=terminal,
            stdout=terminal, stderr=terminal, start_new_session=True, preexec_fn=take_terminal)
        self.addCleanup(shell.wait, PATIENCE)
        self.addCleanup(shell.kill)
        os.close(terminal)

        window.write(f"{shlex.join([*SERVER, '--config', str(config), '--port', '0', *options])} &\n")
        self.wait_for("STARTING", 3 if options else 1)
        [pid] = children(shell.pid)
        self.addCleanup(end, pid)
        window.writelines(f"{line}\n" for line in (*last_words, "exit"))
        wait_until(lambda: shell.poll() is not None, "the end of the shell")
        window.close()
        return pid

    def wait_for(self, message: str, count: int = 1) -> None:
        wait_until(lambda: self.log.exists() and self.log.read_text().count(f'"{message}"') >= count, message)

    def test_a_shell_that_ends_its_jobs(self) -> None:
        pid = self.leave("shopt -s huponexit")
        wait_until(lambda: not alive(pid), "its end")
        self.assertIn('"STOPPED"', self.log.read_text().splitlines()[-1])

    def test_where_it_was_left_running_it_reloads(self) -> None:
        for last_words, options in (
                (["shopt -u huponexit"], ()), (["shopt -s huponexit", "disown"], ("--workers", "2"))):
            with self.subTest(last_words):
                self.log.unlink(missing_ok=True)
                pid = self.leave(*last_words, options=options)
                self.wait_for("TERMINAL GONE")
                os.kill(pid, signal.SIGHUP)
                self.wait_for("RELOADED", 3 if options else 1)
                self.assertNotIn("SHUTTING DOWN", self.log.read_text())
                os.kill(pid, signal.SIGTERM)
                wait_until(lambda: not alive(pid), "its end")
                self.assertIn('"STOPPED"', self.log.read_text().splitlines()[-1])


class SignalsDuringStartTest(unittest.TestCase):
    """At any moment of a start a stop signal ends the service with 0, and the others do not."""

    options: tuple[str, ...] = ()

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))
        write_config(self.folder, {"sqlite": str(self.folder / "tasks.db")})

    def start(self) -> ServiceProcess:
        """Start it, and return when its program runs: until then no program could see a signal."""
        service = ServiceProcess(
            [*SERVER, "--config", self.folder / "config.yaml", "--port", "0", *self.options])
        self.addCleanup(service.close)
        wait_until(lambda: catches(service.process.pid, signal.SIGHUP), "its handlers")
        return service

    def moments(self) -> list[float]:
        """Return the times, from the beginning of a start to its end, at which it is signalled."""
        began = time.monotonic()
        service = self.start()
        wait_until(lambda: len(started(service)) == self.processes, "all of it")
        took = time.monotonic() - began
        self.assertEqual(service.stop(), 0)
        return [took * number / MOMENTS for number in range(MOMENTS)]

    @property
    def processes(self) -> int:
        """How many say that they have started."""
        return 3 if self.options else 1

    def test_at_any_moment(self) -> None:
        for number, moment in enumerate(self.moments()):
            with self.subTest(moment):
                service = self.start()
                time.sleep(moment)
                service.process.send_signal((signal.SIGHUP, *IGNORED)[number % 3])
                before = children(service.process.pid)
                self.assertEqual(service.stop((signal.SIGTERM, signal.SIGINT)[number % 2]), 0)
                self.assertEqual(service.stderr, [])
                self.assertEqual(len(started(service)), len(stopped(service)), service.stdout)
                self.assertFalse([line for line in service.stdout if "WORKER" in line])
                self.assertFalse([child for child in before if alive(child)])

    def test_a_signal_to_ignore_before_it_serves(self) -> None:
        service = self.start()
        service.process.send_signal(signal.SIGUSR1)
        service.wait_for_line('message="SIGNAL IGNORED" signal="SIGUSR1"')
        self.assertGreater(service.port, 0)
        self.assertEqual(service.stop(), 0)


class SignalsDuringStartOfWorkersTest(SignalsDuringStartTest):

    options = ("--workers", "2")

    def test_a_worker_that_is_signalled_before_its_program_runs(self) -> None:
        service = self.start()
        found: set[int] = set()
        while len(found) < 2:
            for child in children(service.process.pid) - found:
                os.kill(child, signal.SIGHUP)
                found.add(child)
        wait_until(lambda: sum('"RELOADED"' in line for line in list(service.stdout)) == 2, "both")
        wait_until(lambda: len(started(service)) == 3, "all of it")
        self.assertEqual(children(service.process.pid), found)
        self.assertEqual(service.stop(), 0)


class StopDuringARestartTest(unittest.TestCase):
    """Workers die and are started again, and amid that the service is stopped."""

    def test_the_stop_is_not_lost(self) -> None:
        folder = Path(self.enterContext(quick_folder()))
        for moment in (0, .001, .005, .05):
            with self.subTest(moment), running(
                    folder, {"sqlite": str(folder / "tasks.db")}, "--workers", "2") as service:
                wait_until(lambda: len(started(service)) == 3, "workers")
                for worker in (workers := children(service.process.pid)):
                    os.kill(worker, signal.SIGKILL)
                time.sleep(moment)
                self.assertEqual(service.stop(), 0)
                self.assertEqual(service.stderr, [])
                self.assertFalse([worker for worker in workers if alive(worker)])


class GoneOutputTest(unittest.TestCase):
    """Nobody reads its output any more, as with `| head -1`."""

    def test_it_goes_on_and_ends_cleanly(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        config = write_config(folder, {"memory": None})
        with subprocess.Popen(
                [*SERVER, "--config", config, "--port", "0"], cwd=ROOT, env=environment(),
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            self.addCleanup(process.kill)
            assert process.stdout is not None
            port = int(process.stdout.readline().rpartition(b"port=")[2])
            process.stdout.close()
            self.assertEqual(ask(port), 200)
            process.terminate()
            self.assertEqual(process.wait(PATIENCE), 0)


def take_terminal() -> None:
    """Have standard input control the process from now on, which minds SIGHUP also where the tests run under nohup."""
    os.close(os.open(os.ttyname(0), os.O_RDWR))
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def end(pid: int) -> None:
    """Kill a process, if it is there, and those that it has started."""
    with suppress(OSError):
        for each in (pid, *children(pid)):
            os.kill(each, signal.SIGKILL)


def ask(port: int) -> int:
    """Return the status of a request on a connection of its own."""
    with peer(port) as client:
        return client.ask("GET", "/tasks")[0]


def to_file(path: Path) -> dict[str, object]:
    """Return a `logging` section that logs to a file."""
    handler = {"class": "logging.FileHandler", "filename": str(path), "formatter": "brief"}
    return {
        "version": 1, "formatters": {"brief": {"format": "%(levelname)s %(message)s"}},
        "handlers": {"file": handler}, "root": {"level": "INFO", "handlers": ["file"]}}


def started(service: ServiceProcess) -> list[str]:
    """Return the lines with which processes of the service said that they have started."""
    return [line for line in list(service.stdout) if '"STARTING"' in line]


def stopped(service: ServiceProcess) -> list[str]:
    """Return the lines with which they said that they have ended."""
    return [line for line in list(service.stdout) if '"STOPPED"' in line]


def catches(pid: int, number: int) -> bool:
    """Return whether a process has a handler for a signal."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    [mask] = [line.split()[1] for line in lines if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> (number - 1) & 1)
