"""What the peers do alike, so that their frameworks are what differs: the store and the log.

The store holds each task encoded, as taskservice's memory engine does: no peer serialises a task
that it only hands out. `LOG_FILE` in the environment names the log.

With `LEAN=1` there a peer is what its users would write who count microseconds: no request ids, no
header field but those that the answer needs, and logging's documented speed-ups.
"""

import logging
import os
import re
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from email.utils import formatdate
from json.encoder import encode_basestring

LEAN = os.environ.get("LEAN") == "1"

HEADERS = {} if LEAN else {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
"""What every answer has."""

JSON = "application/json; charset=UTF-8"

TABLE = """CREATE TABLE IF NOT EXISTS tasks (
    id TEXT PRIMARY KEY, revision INTEGER NOT NULL UNIQUE, body BLOB NOT NULL) WITHOUT ROWID"""
"""The table of the peers that keep tasks in SQLite."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_TAG = re.compile(r'(?:W/)?"([^"]*)"')


class Missing(Exception):
    """There is no such task."""


class Stale(Exception):
    """The task has been written since; it holds the revision of that."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A task: its revision, and its JSON."""

    revision: int
    body: bytes

    @property
    def etag(self) -> str:
        """Its entity tag."""
        return f'"{self.revision}"'

    @property
    def last_modified(self) -> str:
        """When it was written, as an HTTP date."""
        return formatdate(self.revision // 1_000_000, usegmt=True)


class Store:
    """Tasks in memory, by id; every write gets the next revision."""

    def __init__(self) -> None:
        self._tasks: dict[str, Stored] = {}
        self.revision = 0

    def _next(self, body: bytes) -> Stored:
        self.revision = max(self.revision + 1, time.time_ns() // 1000)
        return Stored(self.revision, body)

    async def create(self, body: bytes) -> tuple[str, Stored]:
        """Add a task; return its id and what was stored."""
        task_id = uuid.uuid4().hex
        self._tasks[task_id] = task = self._next(body)
        return task_id, task

    async def read(self, task_id: str) -> Stored:
        """Return a task; raises Missing."""
        try:
            return self._tasks[task_id]
        except KeyError:
            raise Missing(task_id) from None

    async def update(self, task_id: str, body: bytes, if_match: str | None) -> Stored:
        """Replace a task; raises Missing, Stale."""
        before = await self.read(task_id)
        if if_match is not None and not matches(if_match, before.revision):
            raise Stale(task_id)
        self._tasks[task_id] = task = self._next(body)
        return task

    async def delete(self, task_id: str) -> None:
        """Delete a task; raises Missing."""
        await self.read(task_id)
        del self._tasks[task_id]
        self._next(b"")

    def list(self) -> bytes:
        """Return all tasks as one JSON object."""
        members = b", ".join([b'"%b": %b' % (task_id.encode(), task.body)
                              for task_id, task in self._tasks.items()])
        return b"{%b}" % members

    @property
    def etag(self) -> str:
        """The weak tag of the list."""
        return f'W/"{self.revision}"'


def matches(field: str, revision: int) -> bool:
    """Return whether a condition's field names a revision, or any."""
    return field == "*" or str(revision) in _tags(field)


def _tags(field: str) -> Collection[str]:
    return _TAG.findall(field)


def request_id(given: str | None) -> str:
    """Return the request's id: the client's where it is well-formed, else a new one; none where LEAN."""
    if LEAN:
        return ""
    return given if given and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def make_logger() -> logging.Logger:
    """Return the logger of the canonical lines, which go to LOG_FILE."""
    if LEAN:  # https://docs.python.org/3/howto/logging.html#optimization
        setattr(logging, "_srcfile", None)
        logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.FileHandler(os.environ["LOG_FILE"], encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s : %(message)s"))
    logger = logging.getLogger("peer")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return logger


def log_response(
    logger: logging.Logger, req_id: str, method: str, uri: str, ip: str, status: int,
    started: float
) -> None:
    """Write the canonical line of a request; `started` is of time.perf_counter()."""
    level = logging.INFO if status < 400 else logging.WARNING
    if logger.isEnabledFor(level):
        time_ms = (time.perf_counter() - started) * 1000
        line = (f'method="{method}" uri={encode_basestring(uri)} ip="{ip}" '
                f'message="RESPONSE" status={status} time_ms={time_ms!r}')
        logger.log(level, line if LEAN else f'req_id="{req_id}" {line}')


def problem(method: str, uri: str, code: int, message: str, req_id: str) -> dict[str, object]:
    """Return the body of an error."""
    return {"method": method, "uri": uri, "code": code, "message": message, "req_id": req_id}
