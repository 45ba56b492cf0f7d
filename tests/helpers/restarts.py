"""What the fault tests share: a service that is killed and started again, and a client of it."""

import http.client
import json
import os
import random
import signal
import socket
import time
import unittest
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers import postgres
from tests.helpers.live import config
from tests.helpers.processes import SERVER, ServiceProcess
from tests.helpers.timing import FULL

SEED = int(os.environ.get("TASKSERVICE_SEED", "2026"))
"""What chance goes by; a failed test shows it. TASKSERVICE_SEED=N chooses another."""

PATIENCE = 60.0
"""Seconds to wait for something before a test fails."""

READY = 2.0 if FULL else 15.0
"""Seconds from the start of a process to its first answer; the goal, where there are no others."""


class Cut(Exception):
    """There was no answer: what was asked for happened, or it did not."""


class Refused(Cut):
    """There was no connection: what was asked for did not happen."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and how long it took."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    seconds: float

    @property
    def revision(self) -> int:
        """The revision in its ETag."""
        return int(self.headers["ETag"].removeprefix("W/").strip('"'))

    @property
    def json(self) -> Any:
        """What its body says."""
        return json.loads(self.body)


class Client:
    """A client on one connection, which it makes anew when that is cut; it never tries twice."""

    def __init__(self, port: int, timeout: float = 20.0) -> None:
        self._connection = http.client.HTTPConnection("localhost", port, timeout=timeout)

    def ask(self, method: str, path: str, body: Any = None, /, **headers: str) -> Answer:
        """Ask for something; `A_b` is the header A-b. Raises Cut."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        started = time.monotonic()
        try:
            if self._connection.sock is None:
                self._connection.connect()
        except OSError as error:
            raise Refused(f"{error!r}") from error
        try:
            self._connection.request(method, path, data, named)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Cut(f"{method} {path}: {error!r}") from error
        if answer.will_close:
            self._connection.close()
        return Answer(answer.status, answer.headers, content, time.monotonic() - started)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Service:
    """The service on one port: started as a user does, killed, and started again."""

    def __init__(self, folder: Path, task_db: Mapping[str, Any], *options: str) -> None:
        self.port = postgres.free_port()
        self._config = folder / "config.yaml"
        self._config.write_text(config(task_db, "INFO"), "utf-8")
        self._options = options
        self._process: ServiceProcess | None = None

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self.process.process.pid

    @property
    def process(self) -> ServiceProcess:
        """Its process; it has to run."""
        assert self._process is not None, "the service does not run"
        return self._process

    def start(self) -> float:
        """Start it; return after how many seconds it answered."""
        started = time.monotonic()
        self._process = ServiceProcess(
            [*SERVER, "--port", str(self.port), "--config", str(self._config), *self._options])
        while not self._answers():
            if self._process.process.poll() is not None or time.monotonic() > started + PATIENCE:
                raise AssertionError(f"no start: {self._process.stdout} {self._process.stderr}")
            time.sleep(0.005)
        return time.monotonic() - started

    def _answers(self) -> bool:
        client = Client(self.port)
        try:
            return client.ask("GET", "/tasks?limit=1").status == 200
        except Cut:
            return False
        finally:
            client.close()

    def kill(self) -> float:
        """Kill it (-9); return a time by which it was no more."""
        self.process.stop(signal.SIGKILL)
        return time.monotonic()

    def stop(self) -> int:
        """End it the proper way, and return its exit code."""
        return self.process.stop()

    def close(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def client(self) -> Client:
        """Make a client."""
        return Client(self.port)


@contextmanager
def service(folder: Path, task_db: Mapping[str, Any], *options: str) -> Iterator[Service]:
    """Run a service; it is gone at the end."""
    running = Service(folder, task_db, *options)
    try:
        running.start()
        yield running
    finally:
        running.close()


def task_db(engine: str, folder: Path) -> Mapping[str, Any]:
    """Return what the config's `task-db` is for a new store; may raise SkipTest."""
    match engine:
        case "memory":
            return {"memory": None}
        case "fs":
            return {"fs": str(folder / "tasks")}
        case "sqlite":
            return {"sqlite": str(folder / "tasks.db")}
        case _:
            if (reason := postgres.available()) is not None:
                raise unittest.SkipTest(reason)
            return {"postgres": postgres.fresh_database()}


def tasks(client: Client) -> tuple[int, dict[str, tuple[int, dict[str, Any]]]]:
    """Return the store's revision, and each task's revision and content, by its path."""
    answer = client.ask("GET", "/tasks", Accept="application/x-ndjson")
    assert answer.status == 200, answer
    lines = [json.loads(line) for line in answer.body.splitlines()]
    return answer.revision, {
        f"/tasks/{line['id']}": (line["revision"], line["task"]) for line in lines}


def chance(*names: object) -> random.Random:
    """Return a random generator of its own for each combination of these names."""
    return random.Random(":".join(map(str, (SEED, *names))))


def whole(title: str, size: int) -> dict[str, Any]:
    """Make a task of which each part shows what the others are, so that a torn one shows.

    It has about 8 * `size` characters, which PostgreSQL cannot compress.
    """
    filling = random.Random(title).randbytes(4 * size).hex()
    return {"title": title, "description": f"{title};{size};{filling}"}


def is_whole(task: Mapping[str, Any]) -> bool:
    """Return whether a task is one that `whole` made."""
    title, size, _ = task["description"].split(";", 2)
    return task == whole(title, int(size))


def listens(port: int) -> bool:
    """Return whether something takes connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def batch(titles: Sequence[str]) -> bytes:
    """Return the NDJSON that creates tasks of these titles."""
    return b"\n".join(json.dumps(whole(title, 1)).encode() for title in titles)
