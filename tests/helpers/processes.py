"""The service as a user starts it: a process of its own, and a copy of the project."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO

from tests.helpers.app import ROOT

PATIENCE = 60.0
"""Seconds to wait for a process before a test fails."""

SERVER = ("python3", "taskservice/tornado/server.py")
"""The command of the tutorial, in the project's folder."""


def environment() -> dict[str, str]:
    """Return a user's environment, in which `python3` and the tools are those of this test run."""
    hidden = (
        "CI", "PYTHONPATH", "COVERAGE", "TASKSERVICE_CONFIG", "TASKSERVICE_LISTEN_", "TASKSERVICE_WORKERS",
        "TASKSERVICE_IDLE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=PATIENCE)


def shell(command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command line, as it is typed, to its end."""
    return run("bash", "-c", command, cwd=cwd)


def children(pid: int) -> set[int]:
    """Return the processes that a process has started and that have not ended."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    return {child for child in map(int, text.split()) if alive(child)}


def alive(pid: int) -> bool:
    """Return whether a process has not ended; one that nobody has asked about yet has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("latin-1").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def copy_project(folder: Path) -> Path:
    """Copy the project, as a clone of it would be, and return the copy's folder."""
    copy = folder / "project"
    made = shutil.ignore_patterns(
        ".git", ".venv*", "var", ".hypothesis", ".mypy_cache", "__pycache__", "htmlcov", ".coverage*")
    shutil.copytree(ROOT, copy, ignore=made, symlinks=True)
    return copy


class ServiceProcess:
    """A running service; its standard output and error by line, as they come."""

    def __init__(
        self, command: Sequence[str | Path], cwd: Path = ROOT, variables: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.process = subprocess.Popen(
            command, cwd=cwd, env={**environment(), **variables}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._has_workers = "--workers" in command
        self._news = threading.Condition()
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self._over = False
        self._readers = [
            threading.Thread(target=self._read, args=streams, daemon=True) for streams in
            ((self.process.stdout, self.stdout), (self.process.stderr, self.stderr))]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        for line in stream:
            with self._news:
                lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._over = self._over or lines is self.stdout
            self._news.notify_all()

    def wait_for_line(self, pattern: str) -> str:
        """Return the first line on standard output in which `pattern` is found."""
        def found() -> str | None:
            return next((line for line in self.stdout if re.search(pattern, line)), None)

        with self._news:
            self._news.wait_for(lambda: found() or self._over, PATIENCE)
        if (line := found()) is None:
            raise AssertionError(f"no {pattern} in {self.stdout}, {self.stderr}")
        return line

    @property
    def port(self) -> int:
        """The port, which its first line shows once it takes connections."""
        match = re.search(r"port=(\d+)", self.wait_for_line("STARTING"))
        assert match is not None
        return int(match[1])

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://localhost:{self.port}"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self.close()
        return code

    def close(self) -> None:
        """End it, if it has not ended, and read what it said to the end.

        A parent of workers is asked first: it has a folder to remove.
        """
        if self._has_workers:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE)
        self.process.kill()
        self.process.wait(PATIENCE)
        for reader, stream in zip(self._readers, (self.process.stdout, self.process.stderr)):
            reader.join(PATIENCE)
            assert stream is not None
            stream.close()


@contextmanager
def started(*command: str | Path, cwd: Path = ROOT) -> Iterator[ServiceProcess]:
    """Start a service, and wait until it takes connections; kill it at the end, if need be."""
    service = ServiceProcess(command, cwd)
    try:
        assert service.port
        yield service
    finally:
        service.close()
