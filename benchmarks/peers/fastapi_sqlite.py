# mypy: disable-error-code="import-not-found,misc,untyped-decorator,no-any-unimported"
"""FastAPI on aiosqlite, every write durable: WAL, synchronous=FULL, a transaction a write.

One connection: SQLite has one writer. In autocommit mode each INSERT is its own transaction, in
one trip to aiosqlite's thread, and none waits for a lock of ours. `DATABASE` names the file.
"""

import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiosqlite
from fastapi import FastAPI, Response

from benchmarks.peers.asgi import Canonical
from benchmarks.peers.common import JSON, TABLE, Missing, Stored
from benchmarks.peers.fastapi_app import Task, add_errors

INSERT = """INSERT INTO tasks (id, revision, body)
    VALUES (?, max(?, coalesce((SELECT max(revision) FROM tasks), 0) + 1), ?) RETURNING revision"""


class Database:
    """The tasks in SQLite; open inside `connected`."""

    _connection: aiosqlite.Connection

    @asynccontextmanager
    async def connected(self, app: FastAPI) -> AsyncIterator[None]:
        """Hold the connection open; the application's lifespan."""
        async with aiosqlite.connect(os.environ["DATABASE"], isolation_level=None) as connection:
            await connection.execute("PRAGMA journal_mode=WAL")
            await connection.execute("PRAGMA synchronous=FULL")
            await connection.execute(TABLE)
            self._connection = connection
            yield

    async def create(self, body: bytes) -> tuple[str, Stored]:
        """Add a task; it is on the disk when this returns."""
        task_id = uuid.uuid4().hex
        rows = await self._connection.execute_fetchall(
            INSERT, (task_id, time.time_ns() // 1000, body))
        [(revision,)] = rows
        return task_id, Stored(revision, body)

    async def read(self, task_id: str) -> Stored:
        """Return a task; raises Missing."""
        rows = list(await self._connection.execute_fetchall(
            "SELECT revision, body FROM tasks WHERE id = ?", (task_id,)))
        if not rows:
            raise Missing(task_id)
        return Stored(*rows[0])


def make_app() -> FastAPI:
    """Return the application; uvicorn calls it."""
    database = Database()
    app = FastAPI(openapi_url=None, lifespan=database.connected)
    add_errors(app)
    app.add_middleware(Canonical)

    @app.post("/tasks")
    async def post_task(task: Task) -> Response:
        task_id, stored = await database.create(task.encoded())
        return Response(
            status_code=201, headers={"Location": f"/tasks/{task_id}", "ETag": stored.etag})

    @app.get("/tasks/{task_id}")
    async def get_task(task_id: str) -> Response:
        stored = await database.read(task_id)
        headers = {"ETag": stored.etag, "Last-Modified": stored.last_modified}
        return Response(stored.body, media_type=JSON, headers=headers)

    return app
