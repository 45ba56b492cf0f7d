"""A plain Tornado service on its stock HTTPServer, as its documentation teaches it.

With jsonschema-rs, compiled from taskservice's schema file, and orjson.
"""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import tornado.httpserver
import tornado.web

from benchmarks.peers.common import (
    HEADERS, JSON, Missing, Stale, Store, log_response, make_logger, matches, problem, request_id)

SCHEMA = Path(__file__).resolve().parents[2] / "schema" / "todoList-v1.0.json"
_validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text("utf-8")))
_logger = make_logger()


class BaseHandler(tornado.web.RequestHandler):
    """Request id, common headers, conditions, errors."""

    def initialize(self, store: Store) -> None:
        """Take the store."""
        self.store = store
        self.started = time.perf_counter()

    def set_default_headers(self) -> None:
        """Set what every answer has."""
        self.req_id = request_id(self.request.headers.get("X-Request-Id"))
        for name, value in HEADERS.items():
            self.set_header(name, value)
        self.set_header("X-Request-Id", self.req_id)

    def compute_etag(self) -> None:
        """Have no tags but our own."""

    def unchanged(self, revision: int) -> bool:
        """Answer 304 where the client has this revision."""
        tags = self.request.headers.get("If-None-Match")
        if tags is None or not matches(tags, revision):
            return False
        self.set_status(304)
        return True

    def task(self) -> bytes:
        """Return the task that the body holds, as JSON; raises HTTPError."""
        try:
            document = orjson.loads(self.request.body)
        except orjson.JSONDecodeError:
            raise tornado.web.HTTPError(400, reason="Invalid JSON body") from None
        if not _validator.is_valid(document):
            raise tornado.web.HTTPError(400, reason="JSON Schema validation failed")
        return orjson.dumps(document)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Tell what went wrong."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if isinstance(error, (Missing, Stale)):
            self.set_status(404 if isinstance(error, Missing) else 412)
        self.set_header("X-Request-Id", self.req_id)
        self.set_header("Content-Type", JSON)
        request = self.request
        self.finish(json.dumps(problem(
            request.method or "", request.uri or "", self.get_status(), self._reason,
            self.req_id)))

    def log_exception(self, *error: Any) -> None:
        """Leave it to the canonical line."""


class TasksHandler(BaseHandler):
    """`/tasks`."""

    async def get(self) -> None:
        """Give the list."""
        self.set_header("ETag", self.store.etag)
        self.set_header("Vary", "Accept")
        if not self.unchanged(self.store.revision):
            self.set_header("Content-Type", JSON)
            self.write(self.store.list())

    async def post(self) -> None:
        """Create a task."""
        task_id, stored = await self.store.create(self.task())
        self.set_status(201)
        self.set_header("Location", f"/tasks/{task_id}")
        self.set_header("ETag", stored.etag)


class TaskHandler(BaseHandler):
    """`/tasks/{id}`."""

    async def get(self, task_id: str) -> None:
        """Give the task."""
        stored = await self.store.read(task_id)
        self.set_header("ETag", stored.etag)
        self.set_header("Last-Modified", stored.last_modified)
        if not self.unchanged(stored.revision):
            self.set_header("Content-Type", JSON)
            self.write(stored.body)

    async def put(self, task_id: str) -> None:
        """Replace the task."""
        tags = self.request.headers.get("If-Match")
        stored = await self.store.update(task_id, self.task(), tags)
        self.set_status(204)
        self.set_header("ETag", stored.etag)

    async def delete(self, task_id: str) -> None:
        """Delete the task."""
        await self.store.delete(task_id)
        self.set_status(204)


def log_function(handler: tornado.web.RequestHandler) -> None:
    """Write the canonical line."""
    assert isinstance(handler, BaseHandler)
    request = handler.request
    log_response(_logger, handler.req_id, request.method or "", request.uri or "",
                 request.remote_ip or "", handler.get_status(), handler.started)


async def main() -> None:
    """Serve until the process is ended."""
    arguments = {"store": Store()}
    app = tornado.web.Application([
        (r"/tasks/?", TasksHandler, arguments),
        (r"/tasks/([a-zA-Z0-9-]+)/?", TaskHandler, arguments),
    ], log_function=log_function)
    server = tornado.httpserver.HTTPServer(app)
    server.listen(int(os.environ["PORT"]), "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
