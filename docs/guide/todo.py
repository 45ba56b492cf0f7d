"""The to-do list of the tutorial, in plain Tornado and in memory."""

import json
from typing import Any
from uuid import uuid4

from tornado.web import Application, HTTPError, RequestHandler

Task = dict[str, Any]


class TodoListService:
    """The business logic; it knows nothing of HTTP."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}

    def create(self, task: Task) -> str:
        task_id = uuid4().hex
        self.tasks[task_id] = task
        return task_id


class BaseRequestHandler(RequestHandler):
    """What all handlers do alike."""

    def initialize(self, service: TodoListService) -> None:
        self.service = service  # from the route

    def prepare(self) -> None:
        """Refuse a bad body before any method sees it."""
        if self.request.method in ("POST", "PUT"):
            try:
                self.task = json.loads(self.request.body)
            except ValueError as error:
                raise HTTPError(400, reason="Invalid JSON body") from error

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer an exception as JSON; Tornado's own answer is a page of HTML."""
        self.finish({"code": status_code, "message": self._reason})


class TodoListRequestHandler(BaseRequestHandler):
    def get(self) -> None:
        self.write(self.service.tasks)

    def post(self) -> None:
        self.set_header("Location", f"/tasks/{self.service.create(self.task)}")
        self.set_status(201)


class TodoListEntryRequestHandler(BaseRequestHandler):
    def get(self, task_id: str) -> None:
        try:
            self.write(self.service.tasks[task_id])
        except KeyError as error:
            raise HTTPError(404, reason=str(error)) from error

    def put(self, task_id: str) -> None:
        self.service.tasks[task_id] = self.task
        self.set_status(204)

    def delete(self, task_id: str) -> None:
        del self.service.tasks[task_id]
        self.set_status(204)


def make_app(**settings: Any) -> Application:
    arguments = {"service": TodoListService()}
    return Application([
        (r"/tasks", TodoListRequestHandler, arguments),
        (r"/tasks/([0-9a-f]{32})", TodoListEntryRequestHandler, arguments),
    ], **settings)
