"""Clients that keep a service busy: many at once on kept connections, in one event loop."""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from http.client import HTTPMessage
from pathlib import Path
from typing import NamedTuple

from tests.helpers.raw import read_in_loop, reading, received, request

PATIENCE = 60.0
"""Seconds after which a request that is not answered has failed."""


class Answer(NamedTuple):
    """An answer, and how many seconds it took."""

    status: int
    headers: HTTPMessage
    body: bytes
    seconds: float


class NotSent(Exception):
    """There is nobody to send a request to: nothing has happened."""


class Unanswered(Exception):
    """A request was sent, and no answer came."""


class KeptConnection:
    """A client on one connection, made anew when the server has closed it between two requests."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, body: bytes = b"", /, **headers: str) -> Answer:
        """Send a request, once, and return the answer; raises NotSent, Unanswered."""
        if self._reader is None or self._writer is None or self._reader.at_eof():
            await self.connect()
        assert self._reader is not None and self._writer is not None
        started = time.perf_counter()
        try:
            self._writer.write(request(method, path, body, **headers))
            async with asyncio.timeout(PATIENCE):
                status, fields, content = await read_in_loop(reading(method), partial(received, self._reader))
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            raise Unanswered(f"{method} {path}: {error!r}") from error
        if fields.get("Connection") == "close":
            self.close()
        return Answer(status, fields, content, time.perf_counter() - started)

    async def connect(self) -> None:
        """Connect; raises NotSent."""
        self.close()
        try:
            self._reader, self._writer = await asyncio.open_connection(
                "127.0.0.1", self._port, limit=1 << 20)
        except OSError as error:
            raise NotSent from error

    def close(self) -> None:
        """Leave."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


class Mix:
    """What one client of the mixed load does: it creates, reads, lists, changes and deletes tasks.

    It keeps `kept` tasks of its own, so that the store is of one size once it has them.
    """

    def __init__(self, port: int, number: int, kept: int = 20) -> None:
        self.client = KeptConnection(port)
        self.chance = random.Random(number)
        self.paths: list[str] = []
        self.seen: Counter[tuple[str, int]] = Counter()
        self.slowest = 0.0
        self._kept = kept

    async def step(self) -> Answer:
        """Do one thing; raises NotSent, Unanswered, and AssertionError for a wrong answer."""
        method, path, body, expected = self._next()
        answer = await self.client.ask(method, path, body)
        self.seen[method, answer.status] += 1
        self.slowest = max(self.slowest, answer.seconds)
        assert answer.status in expected, (method, path, answer)
        if method == "POST" and answer.status == 201:
            self.paths.append(answer.headers["location"])
        elif method == "DELETE" and answer.status == 204:
            self.paths.remove(path)
        return answer

    def _next(self) -> tuple[str, str, bytes, tuple[int, ...]]:
        task = b'{"title": "%d", "description": "%b", "priority": "%b"}' % (
            self.chance.randrange(10 ** 6), b"x " * self.chance.randrange(100),
            self.chance.choice((b"high", b"low", b"none")))
        if len(self.paths) < self._kept:
            return "POST", "/tasks", task, (201,)
        path = self.chance.choice(self.paths)
        match self.chance.randrange(10):
            case 0:
                return "DELETE", path, b"", (204,)
            case 1:
                return "PUT", path, task, (204,)
            case 2:
                return "PATCH", path, b'{"completed": true}', (204,)
            case 3:
                return "GET", "/tasks?limit=20&sort=-updated&completed=false", b"", (200,)
            case 4:
                return "POST", "/tasks", b"{}", (400,)
            case 5:
                return "GET", "/tasks/none", b"", (404,)
            case _:
                return "GET", path, b"", (200,)


def rss(pid: int) -> int:
    """Return how much memory a process has, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def own_memory(pid: int) -> int:
    """Return how much of that is its own, in bytes: not files that it maps, such as SQLite's."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) * 1024


def descriptors(pid: int) -> int:
    """Return how many file descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def percentile(values: list[float], share: float) -> float:
    """Return the value that this share of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def slope(points: list[tuple[float, float]]) -> float:
    """Return by how much y grows a unit of x: the line of least squares."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


async def sampled(
    values: dict[str, list[float]], seconds: float, interval: float,
    **probes: Callable[[], float]
) -> None:
    """Look at some values every `interval` seconds for so many `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name, probe in probes.items():
            values.setdefault(name, []).append(probe())
        await asyncio.sleep(interval)
