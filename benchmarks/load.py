"""The load: wrk, and where there is none, a generator on httptools and asyncio.

Both send the same requests from the same file, whatever these mean.
"""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import cast

import httptools
import uvloop

SCRIPT = Path(__file__).with_name("load.lua")


class LoadError(Exception):
    """A request failed, or was answered by a status above 399."""


@dataclass(frozen=True, slots=True)
class Load:
    """The outcome of a load; times in seconds, percentiles of the time of a request."""

    requests: int
    seconds: float
    errors: int
    p50: float
    p90: float
    p99: float


def generator() -> str:
    """Return the name of the load generator."""
    return "wrk" if shutil.which("wrk") else "benchmarks/load.py (no wrk here)"


def write_requests(file: Path, requests: Sequence[bytes]) -> None:
    """Write the requests to send, in turn and over and over."""
    file.write_bytes(b"".join(request + b"\0" for request in requests))


def run(port: int, file: Path, connections: int, seconds: float) -> Load:
    """Send requests for so long, on so many connections; raises LoadError."""
    load = by_wrk if shutil.which("wrk") else by_asyncio
    result = load(port, file, connections, seconds)
    if result.errors:
        raise LoadError(f"{result.errors} of {result.requests} requests failed")
    return result


def by_wrk(port: int, file: Path, connections: int, seconds: float) -> Load:
    """Run wrk."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", "--timeout", "30s",
               "-s", str(SCRIPT), f"http://127.0.0.1:{port}", "--", str(file)]
    output = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    return parse(output.stdout + output.stderr)


def parse(output: str) -> Load:
    """Return what the script printed at wrk's end; raises LoadError."""
    for line in output.splitlines():
        if line.startswith("RESULT "):
            return Load(**json.loads(line.removeprefix("RESULT ")))
    raise LoadError(f"wrk said {output!r}")


def by_asyncio(port: int, file: Path, connections: int, seconds: float) -> Load:
    """Run the generator that replaces wrk."""
    requests = cycle(file.read_bytes().split(b"\0")[:-1])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_drive(port, requests, connections, seconds))


async def _drive(port: int, requests: Iterator[bytes], connections: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    users = [User(requests, started + seconds) for _ in range(connections)]
    for user in users:
        await loop.create_connection(partial(_same, user), "127.0.0.1", port)
    await asyncio.wait_for(asyncio.gather(*[user.done for user in users]), seconds + 30)
    taken = sorted(each for user in users for each in user.taken)
    at = [taken[int(len(taken) * share)] if taken else 0.0 for share in (0.5, 0.9, 0.99)]
    errors = sum(user.errors for user in users)
    return Load(len(taken), time.perf_counter() - started, errors, *at)


def _same(user: "User") -> "User":
    return user


class User(asyncio.Protocol):
    """Sends a request when the one before it is answered, until the time is over."""

    def __init__(self, requests: Iterator[bytes], end: float) -> None:
        self._requests = requests
        self._end = end
        self.taken: list[float] = []
        self.errors = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._next()

    def _next(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        """Take some of an answer."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Send the next."""
        now = time.perf_counter()
        self.taken.append(now - self._sent)
        self.errors += self._parser.get_status_code() >= 400
        if now < self._end:
            self._next()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """End; too early is an error."""
        self.errors += time.perf_counter() < self._end
        self.done.set_result(None)
