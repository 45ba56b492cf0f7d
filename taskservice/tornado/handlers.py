"""The request handlers: the happy path. What goes wrong is raised, and told by `write_error`."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from http import HTTPStatus
from typing import Any

import tornado.web

from taskservice.datamodel import (
    Change, Created, IdempotencyKey, StoredTask, TaskPage, TaskQuery)
from taskservice.errors import StoreUnavailableError, TaskExistsError
from taskservice.precondition import modified_at
from taskservice.tornado import openapi, sse
from taskservice.tornado.base_handler import BaseRequestHandler
from taskservice.tornado.conditional_handler import ConditionalHandler
from taskservice.tornado.etag import list_etag, task_etag
from taskservice.tornado.listing import parse_changes_query, parse_list_query
from taskservice.tornado.merge_patch import merge_patch
from taskservice.ndjson import created_lines, parse_batch, task_lines
from taskservice.tornado.metrics import CONTENT_TYPE
from taskservice.tornado.negotiation import (
    EVENT_STREAM, MERGE_PATCH, NDJSON, accepts_gzip, preferred_type)
from taskservice.tornado.representation import JSON, GzipStream, members
from taskservice.tornado.request_fields import idempotency_key, preferred_return
from taskservice.tornado.streaming import StreamingHandler
from taskservice.validation import check_task, parse_json, parse_task

LEAST_TO_COMPRESS = 1024
"""How many bytes a list has to have: less gains nothing."""

RETRY_MS = 1_000
"""Milliseconds after which a client comes back to an event stream that was cut off."""


class TaskWriter(ConditionalHandler):
    """What the answers to writes have in common."""

    def answer(self, created: bool, revision: int, body: Callable[[], bytes]) -> None:
        """Answer a write: by its status and tag, and where it is preferred by the task's body."""
        self.facts["rev"] = revision
        preference = preferred_return(self.header("Prefer"))
        self.set_header("ETag", task_etag(revision))
        if preference is not None:
            self.set_header("Preference-Applied", f"return={preference}")
        if preference == "representation":
            self.set_status(HTTPStatus.CREATED if created else HTTPStatus.OK)
            self.set_header("Content-Type", JSON)
            self.write(body())
        else:
            self.set_status(HTTPStatus.CREATED if created else HTTPStatus.NO_CONTENT)


class TodoListRequestHandler(TaskWriter, StreamingHandler):
    """`/tasks`: the list."""

    route = "/tasks"
    _gzip: GzipStream | None = None
    bodies = {"POST": (NDJSON,)}

    async def get(self) -> None:
        """Give the tasks: a page where there is a limit, else all as they are read."""
        request = parse_list_query(self.request.query)
        self.vary("Accept")
        if self.has_tags() and self.unchanged(list_etag(await self.service.revision())):
            return
        ndjson = preferred_type(self.header("Accept"), NDJSON) == NDJSON
        self.set_header("Content-Type", NDJSON if ndjson else JSON)
        if request.limited:
            page = await self.service.read_page(request.query)
            if page.more:
                self.set_header("Link", request.next_link(self.request.path, page.tasks[-1]))
            self._write_page(page, ndjson)
        else:
            await self._write_all(request.query, ndjson)

    head = get

    async def _write_all(self, query: TaskQuery, ndjson: bool) -> None:
        async with aclosing(self.service.list_tasks(query)) as pages:
            async for page in pages:
                self._write_page(page, ndjson, page.more)
                if page.more and not self.in_one_piece:
                    await self.send()
                    if self.request.method == "HEAD":  # the headers are all it wants
                        return

    def _write_page(self, page: TaskPage, ndjson: bool, more: bool = False) -> None:
        """Write a page of the list; `more` of it come in this answer."""
        if ndjson:
            encoded = task_lines(page.tasks)
        else:
            encoded = b"".join((
                b", " if self.written else b"{", members(page.tasks),
                b"" if more else b"}"))
        if not self.written:
            self.set_header("ETag", list_etag(page.revision))
            if (more or len(encoded) >= LEAST_TO_COMPRESS) and (
                    accepts_gzip(self.header("Accept-Encoding"))):
                self._gzip = GzipStream()
                self.set_header("Content-Encoding", "gzip")
        self.write(encoded if self._gzip is None else self._gzip.compress(encoded, last=not more))

    async def post(self) -> None:
        """Create a task, or all the tasks of the lines of an NDJSON body."""
        key = idempotency_key(
            self.header("Idempotency-Key"), self.owner, self.request.body)
        await (self._create_batch(key) if self.media_type == NDJSON else self._create_task(key))

    async def _create_task(self, key: IdempotencyKey | None) -> None:
        entry = parse_task(self.request.body)
        created = await self.service.create_task(entry, key)
        self._note_replay(created)
        [(task_id, revision)] = created.tasks
        self.set_header("Location", f"/tasks/{task_id}")
        self.answer(True, revision, entry.to_json)

    async def _create_batch(self, key: IdempotencyKey | None) -> None:
        # There may be very many lines, and the event loop has other things to do.
        batch = await asyncio.to_thread(parse_batch, self.request.body)
        try:
            created = await self.service.create_tasks(batch.tasks, key)
        except TaskExistsError as error:
            raise batch.id_taken(error.task_id) from error
        self._note_replay(created)
        self.set_header("Content-Type", NDJSON)  # 200: no one resource is created (§15.3.2)
        self.write(await asyncio.to_thread(created_lines, created.tasks))

    def _note_replay(self, created: Created) -> None:
        if created.replayed:
            self.facts["idempotency"] = "replayed"
            self.set_header("Idempotent-Replayed", "true")


class TodoListEntryRequestHandler(TaskWriter):
    """`/tasks/{id}`: one task."""

    route = "/tasks/{id}"
    bodies = {"PUT": (), "PATCH": (MERGE_PATCH,)}
    conditional = ("PUT", "PATCH", "DELETE")

    async def get(self, task_id: str) -> None:
        """Give the task."""
        task = await self.service.get_task(task_id)
        if self.unchanged(task_etag(task.revision), modified_at(task.revision, self.now)):
            return
        self.set_header("Content-Type", JSON)
        self.write(task.body)

    head = get

    async def put(self, task_id: str) -> None:
        """Replace the task; with `If-None-Match: *` create it."""
        entry = parse_task(self.request.body)
        precondition = self.precondition()
        if precondition.creates:
            created = await self.service.create_task(entry, task_id=task_id)
            [(_, revision)] = created.tasks
            self.set_header("Location", f"/tasks/{task_id}")
            self.answer(True, revision, entry.to_json)
        else:
            self._answer_task(await self.service.update_task(task_id, entry, precondition))

    async def patch(self, task_id: str) -> None:
        """Change some members of the task."""
        patch = parse_json(self.request.body)
        # What is wrong with a patch is wrong whatever the task is: no rule spans two members.
        check_task(merge_patch({"title": "any"}, patch))
        self._answer_task(await self.service.modify_task(
            task_id, lambda entry: check_task(merge_patch(entry.to_dict(), patch)),
            self.precondition()))

    def _answer_task(self, task: StoredTask) -> None:
        self.answer(False, task.revision, lambda: task.body)

    async def delete(self, task_id: str) -> None:
        """Delete the task."""
        self.facts["rev"] = await self.service.delete_task(task_id, self.precondition())
        self.set_status(HTTPStatus.NO_CONTENT)


class ChangesRequestHandler(StreamingHandler):
    """`/changes`: what was written, in order; as it happens where an event stream is asked for."""

    route = "/changes"

    async def get(self) -> None:
        """Give the changes after `since`."""
        request = parse_changes_query(self.request.query)
        self.vary("Accept")
        if preferred_type(self.header("Accept"), EVENT_STREAM) == EVENT_STREAM:
            last_id = sse.last_event_id(self.header("Last-Event-ID"))
            await self._stream(request.since if last_id is None else last_id)
            return
        page = await self.service.read_changes(request.since, request.limit)
        self.set_header("Content-Type", JSON)
        changes = b", ".join(map(sse.change_json, page.changes))
        self.write(b'{"changes": [%b], "revision": %d}' % (changes, page.revision))

    head = get

    async def _stream(self, since: int | None) -> None:
        if since is None:
            since = await self.service.revision()
        async with aclosing(self.service.follow_changes(since)) as batches:
            first = await anext(batches, None) or ()  # None: the service is going away
            self.set_header("Content-Type", EVENT_STREAM)
            self.write(sse.opening(since, RETRY_MS))
            if self.request.method == "HEAD":
                return
            self.streams = True
            await self._send_batch(first)
            with self._until_client_goes(), self.metrics.event_streams.track_inprogress():
                async for batch in batches:
                    await self._send_batch(batch)

    async def _send_batch(self, batch: Sequence[Change]) -> None:
        self.write(b"".join(map(sse.event, batch)) or sse.COMMENT)
        await self.send()

    @contextmanager
    def _until_client_goes(self) -> Iterator[None]:
        """Be cancelled when the client closes the connection, which may be long before a write."""
        self._streaming = asyncio.current_task()
        try:
            yield
        except asyncio.CancelledError:
            if self._streaming is not None:  # it was not the client
                raise
            current = asyncio.current_task()
            assert current is not None
            current.uncancel()
            self.give_up()

    def on_connection_close(self) -> None:
        """Wake up a stream that waits for changes."""
        super().on_connection_close()
        if self._streaming is not None:
            streaming, self._streaming = self._streaming, None
            streaming.cancel()

    _streaming: asyncio.Task[Any] | None = None


class DocumentRequestHandler(ConditionalHandler):
    """A file that comes with the service."""

    def give(self, file: openapi.ServedFile) -> None:
        """Give the file, compressed beforehand."""
        if self.unchanged(file.etag):
            return
        self.set_header("Content-Type", file.media_type)
        gzipped = accepts_gzip(self.header("Accept-Encoding"))
        if gzipped:
            self.set_header("Content-Encoding", "gzip")
        self.write(file.gzipped if gzipped else file.body)


class OpenAPIRequestHandler(DocumentRequestHandler):
    """`/openapi.json`: the description of this API."""

    route = "/openapi.json"

    async def get(self) -> None:
        """Give it."""
        self.give(await asyncio.to_thread(openapi.openapi_file))

    head = get


class DocsRequestHandler(DocumentRequestHandler):
    """`/docs`: the page to read and try the API, and what it loads."""

    route = "/docs"

    async def get(self, name: str | None = None) -> None:
        """Give one of its files."""
        self.set_header("Content-Security-Policy", openapi.CONTENT_SECURITY_POLICY)
        self.give(await asyncio.to_thread(openapi.docs_file, *filter(None, [name])))

    head = get


class HealthRequestHandler(BaseRequestHandler):
    """`/healthz`: the process lives."""

    route = "/healthz"
    public = True

    async def get(self) -> None:
        """Say so."""
        self.set_header("Content-Type", JSON)
        self.write(b'{"status": "ok"}')

    head = get


class ReadinessRequestHandler(HealthRequestHandler):
    """`/readyz`: the store answers and takes writes, and the service is not going away."""

    route = "/readyz"

    async def get(self) -> None:
        """Say so; raises StoreError."""
        if self.settings["draining"]:
            raise StoreUnavailableError("the service is going away")
        await self.service.check_ready()
        await super().get()

    head = get


class MetricsRequestHandler(BaseRequestHandler):
    """`/metrics`: what Prometheus reads."""

    route = "/metrics"

    def get(self) -> None:
        """Give all measurements."""
        self.set_header("Content-Type", CONTENT_TYPE)
        self.write(self.metrics.render())

    head = get


class DefaultRequestHandler(BaseRequestHandler):
    """Every path that is not another's; it has no method that is not allowed."""

    def _check_access(self, method: str) -> None:
        """Check that it may be told so; raises 404."""
        super()._check_access(method)
        raise tornado.web.HTTPError(HTTPStatus.NOT_FOUND, reason="Unknown Endpoint")
