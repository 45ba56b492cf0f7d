# mypy: disable-error-code="import-not-found,misc,untyped-decorator,no-any-unimported"
"""FastAPI on uvicorn[standard]: pydantic validates the body; pure ASGI middleware."""

from typing import Annotated, Literal

from fastapi import FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from benchmarks.peers.asgi import Canonical, uri_of
from benchmarks.peers.common import JSON, Missing, Stale, Store, matches, problem

Text = Annotated[str, Field(pattern="^[^\u0000]*$")]
Condition = Annotated[str | None, Header()]
_LIMIT = 2 ** 53


class Task(BaseModel):
    """The schema of a task."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: Annotated[Text, Field(min_length=1)]
    description: Text | None = None
    priority: Literal["urgent", "high", "normal", "low", "none"] | None = None
    completed: bool | None = None
    due_date: Annotated[int | float, Field(gt=-_LIMIT, lt=_LIMIT)] | None = None

    def encoded(self) -> bytes:
        """Return what was sent, as JSON."""
        text: str = self.model_dump_json(exclude_unset=True)
        return text.encode()


def add_errors(app: FastAPI) -> None:
    """Tell errors in the one shape that all have."""
    def answer(request: Request, code: int, message: str) -> JSONResponse:
        scope = request.scope
        return JSONResponse(
            problem(scope["method"], uri_of(scope), code, message, scope["req_id"]), code)

    app.add_exception_handler(
        RequestValidationError, lambda request, error: answer(request, 400, "Invalid task"))
    app.add_exception_handler(
        HTTPException, lambda request, error: answer(request, error.status_code, error.detail))
    app.add_exception_handler(
        Missing, lambda request, error: answer(request, 404, str(error)))
    app.add_exception_handler(
        Stale, lambda request, error: answer(request, 412, "has changed"))


def make_app(store: Store) -> FastAPI:
    """Return the application on a store."""
    app = FastAPI(openapi_url=None)
    add_errors(app)
    app.add_middleware(Canonical)

    @app.get("/tasks")
    async def list_tasks(if_none_match: Condition = None) -> Response:
        headers = {"ETag": store.etag, "Vary": "Accept"}
        if if_none_match is not None and matches(if_none_match, store.revision):
            return Response(status_code=304, headers=headers)
        return Response(store.list(), media_type=JSON, headers=headers)

    @app.post("/tasks")
    async def post_task(task: Task) -> Response:
        task_id, stored = await store.create(task.encoded())
        return Response(
            status_code=201, headers={"Location": f"/tasks/{task_id}", "ETag": stored.etag})

    @app.get("/tasks/{task_id}")
    async def get_task(task_id: str, if_none_match: Condition = None) -> Response:
        stored = await store.read(task_id)
        headers = {"ETag": stored.etag, "Last-Modified": stored.last_modified}
        if if_none_match is not None and matches(if_none_match, stored.revision):
            return Response(status_code=304, headers=headers)
        return Response(stored.body, media_type=JSON, headers=headers)

    @app.put("/tasks/{task_id}")
    async def put_task(task_id: str, task: Task, if_match: Condition = None) -> Response:
        stored = await store.update(task_id, task.encoded(), if_match)
        return Response(status_code=204, headers={"ETag": stored.etag})

    @app.delete("/tasks/{task_id}")
    async def delete_task(task_id: str) -> Response:
        await store.delete(task_id)
        return Response(status_code=204)

    return app


def memory() -> FastAPI:
    """Return the application on the memory store; uvicorn calls it."""
    return make_app(Store())
