"""A measured server: its start on a core of its own, its CPU time and its memory."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.client import Client, ClientError
from benchmarks.environment import ROOT

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]

PATIENCE = 30.0
"""Seconds in which a server has to answer."""


@dataclass(frozen=True)
class Place:
    """The port of a server, and the folder for its log and its store."""

    port: int
    folder: Path

    @property
    def log(self) -> Path:
        """Its log file."""
        return self.folder / "log"


@dataclass(frozen=True)
class Candidate:
    """Something to measure: a server, how it is started, and what to set in its environment."""

    name: str
    label: str
    command: Callable[[Place], Sequence[str]]
    environment: Callable[[Place], Mapping[str, str]] = lambda place: {}
    core_api: bool = True
    """Whether it has all of the checked API, not just POST and GET of a task."""
    lean: bool = False
    """Whether it is the lean form: see `benchmarks/peers/common.py`."""


class Server:
    """A running candidate."""

    def __init__(self, candidate: Candidate, folder: Path) -> None:
        self.candidate = candidate
        self.place = Place(free_port(), folder)
        folder.mkdir(parents=True, exist_ok=True)
        command = ["taskset", "-c", str(SERVER_CORE), *candidate.command(self.place)]
        environment = {**os.environ, **candidate.environment(self.place)}
        self._output = open(folder / "output", "wb")
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=self._output,
            stderr=subprocess.STDOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def wait_until_ready(self) -> float:
        """Return the seconds from its start to its first answer; raises ClientError."""
        while time.perf_counter() - self.started < PATIENCE:
            if self._process.poll() is not None:
                break
            try:
                with Client(self.place.port) as client:
                    client.ask("GET", "/tasks/0")
            except (OSError, ClientError):
                time.sleep(0.002)
            else:
                return time.perf_counter() - self.started
        output = (self.place.folder / "output").read_text("utf-8", "replace")
        raise ClientError(f"{self.candidate.name} does not answer: {output[-2000:]}")

    def cpu_seconds(self) -> float:
        """Return the CPU time that all its threads have taken: user and system, in seconds.

        It is the process's CPU clock (clock_getcpuclockid(3)), in nanoseconds; `/proc/PID/stat`
        has the same in ticks of 10 ms.
        """
        return time.clock_gettime((~self.pid << 3) | 2)

    def resident_bytes(self) -> int:
        """Return how much memory it has."""
        pages = Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def running(candidate: Candidate, folder: Path) -> Iterator[Server]:
    """Run a candidate in the block, which begins when it answers."""
    with Server(candidate, folder) as server:
        server.wait_until_ready()
        yield server
