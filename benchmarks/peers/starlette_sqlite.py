# mypy: disable-error-code="import-not-found,misc,no-any-unimported"
"""Starlette on SQLite, every write durable: WAL, synchronous=FULL, and writes that wait are committed together.

A thread takes the writes that have come while it committed those before, as this service does. `DATABASE` names the
file.
"""

import asyncio
import os
import sqlite3
import threading
import time
import uuid
from asyncio import Future
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from queue import Empty, SimpleQueue

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.peers.asgi import Canonical
from benchmarks.peers.common import TABLE, Missing, Stored
from benchmarks.peers.msgspec_task import Invalid, validated
from benchmarks.peers.starlette_app import answer_created, answer_error, answer_task

Created = tuple[str, Stored]
Write = tuple[bytes, "Future[Created]"]


class Database:
    """The tasks in SQLite; open inside `connected`."""

    def __init__(self) -> None:
        self._writes: SimpleQueue[Write | None] = SimpleQueue()
        self._reader: sqlite3.Connection

    @asynccontextmanager
    async def connected(self, app: Starlette) -> AsyncIterator[None]:
        """Have the writer run; the application's lifespan."""
        self._loop = asyncio.get_running_loop()
        writer = _connect()
        self._reader = _connect()
        thread = threading.Thread(target=self._write, args=(writer,))
        thread.start()
        yield
        self._writes.put(None)
        thread.join()

    async def create(self, body: bytes) -> Created:
        """Add a task; it is on the disk when this returns."""
        created: Future[Created] = self._loop.create_future()
        self._writes.put((body, created))
        return await created

    async def read(self, task_id: str) -> Stored:
        """Return a task; raises Missing."""
        row = self._reader.execute("SELECT revision, body FROM tasks WHERE id = ?", (task_id,)).fetchone()
        if row is None:
            raise Missing(task_id)
        return Stored(*row)

    def _write(self, connection: sqlite3.Connection) -> None:
        revision = 0
        while (write := self._writes.get()) is not None:
            group = [write, *self._waiting()]
            done: list[Created] = []
            for body, _ in group:
                revision = max(revision + 1, time.time_ns() // 1000)
                done.append((uuid.uuid4().hex, Stored(revision, body)))
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO tasks (id, revision, body) VALUES (?, ?, ?)",
                [(task_id, stored.revision, stored.body) for task_id, stored in done])
            connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(_answer, group, done)

    def _waiting(self) -> Sequence[Write]:
        """Return what else has come."""
        found: list[Write] = []
        while True:
            try:
                write = self._writes.get_nowait()
            except Empty:
                return found
            if write is None:
                self._writes.put(None)
                return found
            found.append(write)


def _connect() -> sqlite3.Connection:
    connection = sqlite3.connect(os.environ["DATABASE"], isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(TABLE)
    return connection


def _answer(group: Sequence[Write], done: Sequence[Created]) -> None:
    for (_, future), created in zip(group, done, strict=True):
        if not future.done():
            future.set_result(created)


database = Database()


async def post_task(request: Request) -> Response:
    """Create a task."""
    return answer_created(*await database.create(validated(await request.body())))


async def get_task(request: Request) -> Response:
    """Give a task."""
    return answer_task(request, await database.read(request.path_params["task_id"]))


app = Starlette(
    routes=[
        Route("/tasks/{task_id}", get_task, methods=["GET"]),
        Route("/tasks", post_task, methods=["POST"]),
    ],
    lifespan=database.connected,
    middleware=[Middleware(Canonical)],
    exception_handlers={error: answer_error for error in (HTTPException, Invalid, Missing)},
)
