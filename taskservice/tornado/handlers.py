"""The request handlers: the happy path. What goes wrong is raised, and told by `write_error`."""

import asyncio
import logging
import re
import time
import uuid
from http import HTTPStatus
from types import TracebackType
from typing import Any

import tornado.web

from taskservice import LOGGER_NAME
from taskservice.datamodel import TaskQuery
from taskservice.service import TodoListService
from taskservice.tornado import representation
from taskservice.tornado.etag import ETags, list_etag, task_etag
from taskservice.tornado.problems import Problem, problem_of
from taskservice.utils import logutils, taskcontext
from taskservice.validation import parse_task

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class BaseRequestHandler(tornado.web.RequestHandler):
    """What all handlers share: the request's context, its headers, and how errors are told."""

    error: BaseException | None = None
    """What went wrong, for the canonical log line."""

    def initialize(self, service: TodoListService) -> None:
        """Take the service, and keep the body from Tornado's form parser.

        curl's `-d` declares a form; Tornado would parse it before `prepare`, and refuse JSON that
        has many `&` or looks like a broken multipart.
        """
        self.service = service
        self.started = time.perf_counter()
        self.content_type: str = self.request.headers.get("Content-Type", "")
        if "Content-Type" in self.request.headers:
            del self.request.headers["Content-Type"]

    def set_default_headers(self) -> None:
        """Set what every answer has, also an error."""
        self.set_header("Server", "taskservice")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "private, no-cache")
        if (request_id := taskcontext.get("req_id")) is not None:
            self.set_header("X-Request-Id", request_id)

    def prepare(self) -> None:
        """Bind the request to the task context, and log that it came."""
        self._bind()
        self.set_header("X-Request-Id", taskcontext.get("req_id"))
        self._count()
        logutils.log(
            logging.getLogger(LOGGER_NAME), logging.DEBUG, include_context=True,
            message="REQUEST", service_name=self.settings["service_name"])

    def _count(self) -> None:
        """Be among the requests in flight until the task that runs this one is done."""
        in_flight: set[asyncio.Task[Any]] = self.settings["in_flight"]
        task = asyncio.current_task()
        assert task is not None
        in_flight.add(task)
        task.add_done_callback(in_flight.discard)

    def _bind(self) -> None:
        request = self.request
        request_id = request.headers.get("X-Request-Id", "")
        known = _REQUEST_ID.fullmatch(request_id) is not None
        taskcontext.set("req_id", request_id if known else uuid.uuid4().hex)
        taskcontext.set("method", request.method)
        taskcontext.set("uri", request.uri)
        taskcontext.set("ip", request.remote_ip)

    def options(self, *args: str) -> None:
        """Tell which methods there are."""
        self.set_status(HTTPStatus.NO_CONTENT)
        self.set_header("Allow", self._allow())

    def _allow(self) -> str:
        base = tornado.web.RequestHandler
        implemented = [
            method for method in self.SUPPORTED_METHODS
            if getattr(type(self), method.lower()) is not getattr(base, method.lower())]
        return ", ".join(implemented)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer with an error; cut an answer that has begun, so that nobody takes it for whole."""
        if not self._headers_written:
            super().send_error(status_code, **kwargs)
            return
        assert self.error is not None
        taskcontext.set("reason", f"cut: {self.error or type(self.error).__name__}")
        self.detach().close()
        self.application.log_request(self)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Tell what went wrong, as JSON in the one shape that all errors have."""
        self.error = kwargs["exc_info"][1] if "exc_info" in kwargs else (
            tornado.web.HTTPError(status_code))
        if taskcontext.get("req_id") is None:  # it was refused before `prepare`
            self._bind()
            self.set_default_headers()
        problem = self._problem(self.error)
        taskcontext.set("reason", problem.message)
        self.set_status(problem.status, problem.reason)
        for name, value in problem.headers.items():
            self.set_header(name, value)
        self.set_header("Content-Type", representation.JSON)
        trace = logutils.format_trace(self.error) if self.settings["debug_errors"] else None
        self.finish(problem.to_json(taskcontext.current(), trace))

    def _problem(self, error: BaseException) -> Problem:
        if not isinstance(error, tornado.web.HTTPError):
            return problem_of(error)
        reason = error.reason or HTTPStatus(error.status_code).phrase
        headers = {"Allow": self._allow()} if error.status_code == 405 else {}
        return Problem(error.status_code, reason, reason, headers=headers)

    def log_exception(
        self, typ: type[BaseException] | None, value: BaseException | None,
        tb: TracebackType | None
    ) -> None:
        """Keep the error for the canonical line, which tells all of it."""
        self.error = value


class TodoListRequestHandler(BaseRequestHandler):
    """`/tasks`: the list."""

    async def get(self) -> None:
        """Give all tasks, oldest first, in one piece when they are few, else as they are read."""
        self.set_header("Content-Type", representation.JSON)
        conditions = ETags.from_header(self.request.headers.get("If-None-Match"))
        if conditions is not None:
            etag = list_etag(await self.service.revision())
            if conditions.contains_weak(etag):
                self.set_header("ETag", etag)
                self.set_status(HTTPStatus.NOT_MODIFIED)
                return
        await self._write_list(TaskQuery())

    head = get

    async def _write_list(self, query: TaskQuery) -> None:
        opening = b"{"
        async for page in self.service.list_tasks(query):
            if opening == b"{":
                self.set_header("ETag", list_etag(page.revision))
            self.write(opening + representation.members(page.tasks))
            opening = b", "
            if page.more:
                await self.flush()
                if self.request.method == "HEAD":
                    return
        self.write(b"}")

    async def post(self) -> None:
        """Create a task."""
        created = await self.service.create_task(parse_task(self.request.body))
        [(task_id, revision)] = created.tasks
        self.set_status(HTTPStatus.CREATED)
        self.set_header("Location", f"/tasks/{task_id}")
        self.set_header("ETag", task_etag(revision))


class TodoListEntryRequestHandler(BaseRequestHandler):
    """`/tasks/{id}`: one task."""

    async def get(self, task_id: str) -> None:
        """Give the task."""
        task = await self.service.get_task(task_id)
        etag = task_etag(task.revision)
        self.set_header("ETag", etag)
        self.set_header("Last-Modified", representation.last_modified(task.revision))
        conditions = ETags.from_header(self.request.headers.get("If-None-Match"))
        if conditions is not None and conditions.contains_weak(etag):
            self.set_status(HTTPStatus.NOT_MODIFIED)
            return
        self.set_header("Content-Type", representation.JSON)
        self.write(task.body)

    head = get

    async def put(self, task_id: str) -> None:
        """Replace the task."""
        entry = parse_task(self.request.body)
        task = await self.service.update_task(task_id, entry, self._expected())
        self.set_status(HTTPStatus.NO_CONTENT)
        self.set_header("ETag", task_etag(task.revision))

    async def delete(self, task_id: str) -> None:
        """Delete the task."""
        await self.service.delete_task(task_id, self._expected())
        self.set_status(HTTPStatus.NO_CONTENT)

    def _expected(self) -> Any:
        conditions = ETags.from_header(self.request.headers.get("If-Match"))
        return None if conditions is None else conditions.revisions()


class DefaultRequestHandler(BaseRequestHandler):
    """Every other path."""

    def initialize(self, service: TodoListService) -> None:
        """Know every method: a path that is not there has none that is not allowed."""
        super().initialize(service)
        self.SUPPORTED_METHODS = (self.request.method or "",)

    def prepare(self) -> None:
        """Log the request as any other; raises 404."""
        super().prepare()
        raise tornado.web.HTTPError(HTTPStatus.NOT_FOUND, reason="Unknown Endpoint")
