"""`/tasks` and `/tasks/{id}`: the happy paths. `write_error` answers what they raise."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from taskservice.datamodel import Created, IdempotencyKey, StoredTask, TaskEntry, TaskPage
from taskservice.errors import TaskExistsError
from taskservice.http.etag import list_etag, task_etag
from taskservice.http.fields import idempotency_key, preferred_return
from taskservice.http.listing import ListRequest, parse_list_query
from taskservice.http.merge_patch import merge_patch
from taskservice.http.ndjson import Batch, created_lines, parse_batch, task_lines
from taskservice.http.negotiation import MERGE_PATCH, NDJSON, accepts_gzip, preferred_type
from taskservice.http.representation import JSON, GzipStream, Joined, joined_members
from taskservice.precondition import modified_at
from taskservice.tornado.handlers.conditional import ConditionalHandler
from taskservice.tornado.handlers.streaming import StreamingHandler
from taskservice.validation import check_size, check_task, parse_json, parse_task

TASK_PATH = "/tasks/{id}"

MIN_GZIP_BYTES = 1024
"""Minimum size of a list for gzip, in bytes: smaller ones gain nothing."""


class TaskWriter(ConditionalHandler):
    """The answers to writes."""

    def set_location(self, task_id: str) -> None:
        """Set the Location of a new task."""
        self.set_header("Location", self.http.base_path + TASK_PATH.replace("{id}", task_id))

    def answer(self, created: bool, revision: int, body: Callable[[], bytes]) -> None:
        """Answer a write: with its status and tag, and with the task's body if the client prefers that."""
        self.facts["rev"] = revision
        preference = preferred_return(self.fields["prefer"]) if "prefer" in self.fields else None
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
        """Return the tasks: a page if there is a limit, else all as they are read."""
        request = parse_list_query(self.request.query)
        self.vary("Accept")
        if self.has_tags() and self.unchanged(list_etag(await self.service.revision())):
            return
        ndjson = preferred_type(self.fields.get("accept"), NDJSON) == NDJSON
        self.set_header("Content-Type", NDJSON if ndjson else JSON)
        await self._write_list(request, None if ndjson else Joined(b"{"))

    head = get

    async def _write_list(self, request: ListRequest, members: Joined | None) -> None:
        """Write a page, or all pages, in portions: as lines, or as `members` of an object."""
        read = self.service.read_page if request.limited else self.service.list_tasks
        begun = False
        async with aclosing(read(request.query)) as portions:
            async for page in portions:
                more = bool(page.unread) or not request.limited and page.end is not None
                piece = _encoded(page.tasks, members, more)
                if not begun:
                    self._begin_list(request, page, more or len(piece) >= MIN_GZIP_BYTES)
                    begun = True
                self.write(self._gzip.compress(piece, last=not more) if self._gzip else piece)
                if more and not self.in_one_piece:
                    del page, piece  # a client may be slow to take the portion before
                    await self.send()
                    if self.request.method == "HEAD":  # the headers are complete
                        return

    def _begin_list(self, request: ListRequest, page: TaskPage, large: bool) -> None:
        """Set the headers, which the first portion of the list decides."""
        self.set_header("ETag", list_etag(page.revision))
        if request.limited and page.end is not None:
            self.set_header("Link", request.next_link(self.request.path, page.end))
        if large and accepts_gzip(self.fields.get("accept-encoding")):
            self._gzip = GzipStream()
            self.set_header("Content-Encoding", "gzip")

    async def post(self) -> None:
        """Create a task, or all the tasks of an NDJSON body, one a line."""
        await (self._create_batch() if self.media_type == NDJSON else self._create_task())

    def _key(self) -> IdempotencyKey | None:
        return idempotency_key(self.fields.get("idempotency-key"), self.owner, self.request.body)

    async def _create_task(self) -> None:
        key = self._key()
        entry = parse_task(self.request.body)
        created = await self.service.create_task(entry, key)
        self._note_replay(created)
        [(task_id, revision)] = created.tasks
        self.set_location(task_id)
        self.answer(True, revision, entry.to_json)

    async def _create_batch(self) -> None:
        async with self.service.bulk_turn:
            if getattr(self.request.connection, "lost", self.gone):  # while it waited for its turn
                self.abandoned = True
                self.give_up()
            # There may be very many lines, and the event loop serves others meanwhile.
            batch, key = await asyncio.to_thread(self._read_batch)
            try:
                created = await self.service.create_tasks(batch.tasks, key)
            except TaskExistsError as error:
                raise batch.id_taken(error.task_id) from error
        self._note_replay(created)
        self.set_header("Content-Type", NDJSON)  # 200: there is not one single created resource (§15.3.2)
        self.write(await asyncio.to_thread(created_lines, created.tasks))

    def _read_batch(self) -> tuple[Batch, IdempotencyKey | None]:
        key = self._key()
        http = self.http
        return parse_batch(self.request.body, http.max_ndjson_lines, http.max_task), key

    def _note_replay(self, created: Created) -> None:
        if created.replayed:
            self.facts["idempotency"] = "replayed"
            self.set_header("Idempotent-Replayed", "true")


def _encoded(tasks: Sequence[StoredTask], members: Joined | None, more: bool) -> bytes:
    """Return a portion of a list; `more` of them follow in this answer."""
    if members is None:
        return task_lines(tasks)
    return members.portion(joined_members(tasks)) + (b"" if more else members.end(b"}"))


class TodoListEntryRequestHandler(TaskWriter):
    """`/tasks/{id}`: one task."""

    route = TASK_PATH
    bodies = {"PUT": (), "PATCH": (MERGE_PATCH,)}
    conditional = ("PUT", "PATCH", "DELETE")

    async def get(self, task_id: str) -> None:
        """Return the task."""
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
            self.set_location(task_id)
            self.answer(True, revision, entry.to_json)
        else:
            self._answer_task(await self.service.update_task(task_id, entry, precondition))

    async def patch(self, task_id: str) -> None:
        """Change some members of the task."""
        patch = parse_json(self.request.body)
        # A patch is valid or not whatever the task is: no rule spans two members.
        check_task(merge_patch({"title": "any"}, patch))
        self._answer_task(await self.service.modify_task(
            task_id, lambda entry: self._patched(entry, patch), self.precondition()))

    def _patched(self, entry: TaskEntry, patch: Any) -> TaskEntry:
        patched = check_task(merge_patch(entry.to_dict(), patch))
        return check_size(patched, self.http.max_task)

    def _answer_task(self, task: StoredTask) -> None:
        self.answer(False, task.revision, lambda: task.body)

    async def delete(self, task_id: str) -> None:
        """Delete the task."""
        self.facts["rev"] = await self.service.delete_task(task_id, self.precondition())
        self.set_status(HTTPStatus.NO_CONTENT)
