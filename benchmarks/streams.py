"""Very many idle event streams: the memory of each, and the time until one write reaches all."""

import resource
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.client import TASK, Client, ClientError, request
from benchmarks.measure import say
from benchmarks.processes import Candidate, running

SUBSCRIBE = request("GET", "/changes", headers={"Accept": "text/event-stream"})
AT_ONCE = 100
WRITES = 5
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Streams:
    """The number of streams, the server's bytes for each, and the cost of a write that reaches all.

    `seconds` is the time of the slowest write, `cpu` the server's CPU time for a write.
    """

    count: int
    bytes_each: float
    seconds: float
    cpu: float


def allow_files(count: int) -> int:
    """Allow so many open files, here and in servers started from now on; return how many may be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def measure_streams(candidate: Candidate, count: int, folder: Path) -> Streams:
    """Open the streams, write a few times, and return what it cost."""
    count = min(count, allow_files(count + 200) - 200)
    with running(candidate, folder / "streams" / candidate.name) as server, ExitStack() as stack:
        client = stack.enter_context(Client(server.place.port))
        client.ask("POST", "/tasks", TASK)
        before = server.resident_bytes()
        listeners = Listeners(stack)
        for _ in range(0, count, AT_ONCE):
            listeners.open(server.place.port, AT_ONCE)
        each = (server.resident_bytes() - before) / listeners.count
        cpu = server.cpu_seconds()
        slowest = max(_write(client, listeners) for _ in range(WRITES))
        cpu = (server.cpu_seconds() - cpu) / WRITES
    say(f"streams: {candidate.name}, {count}: {each / 1024:.1f} KiB each, {slowest:.3f} s to all")
    return Streams(listeners.count, each, slowest, cpu)


def _write(client: Client, listeners: "Listeners") -> float:
    started = time.perf_counter()
    if client.ask("POST", "/tasks", TASK).status != 201:
        raise ClientError("a write failed")
    listeners.wait(b"data:")
    return time.perf_counter() - started


class Listeners:
    """Clients of an event stream."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._sockets: dict[int, socket.socket] = {}
        self._poll = stack.enter_context(select.epoll())

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._sockets)

    def open(self, port: int, count: int) -> None:
        """Add some, and wait until their streams have begun."""
        new = []
        for _ in range(count):
            sock = self._stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            sock.sendall(SUBSCRIBE)
            self._sockets[sock.fileno()] = sock
            self._poll.register(sock, select.EPOLLIN)
            new.append(sock.fileno())
        self._wait(new, b"\r\n\r\n")

    def wait(self, mark: bytes) -> None:
        """Wait until all have received something with this in it."""
        self._wait([*self._sockets], mark)

    def _wait(self, numbers: Sequence[int], mark: bytes) -> None:
        waiting, end = set(numbers), time.perf_counter() + PATIENCE
        received: dict[int, bytes] = {}
        while waiting:
            if time.perf_counter() > end:
                raise ClientError(f"{len(waiting)} streams received no event")
            for number, data in self._receive():
                received[number] = received.get(number, b"") + data
                if mark in received[number]:
                    waiting.discard(number)

    def _receive(self) -> Iterator[tuple[int, bytes]]:
        for number, _ in self._poll.poll(1.0, 1000):
            data = self._sockets[number].recv(4096)
            if not data:
                raise ClientError("a stream was cut off")
            yield number, data
