# mypy: disable-error-code="import-not-found,misc,no-any-unimported"
"""Starlette on uvicorn[standard], with msgspec; pure ASGI middleware."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks.peers.asgi import Canonical, uri_of
from benchmarks.peers.common import JSON, LEAN, Missing, Stale, Store, Stored, matches, problem
from benchmarks.peers.msgspec_task import Invalid, validated

store = Store()


async def list_tasks(request: Request) -> Response:
    """Give the list."""
    headers = {"ETag": store.etag, "Vary": "Accept"}
    tags = request.headers.get("if-none-match")
    if tags is not None and matches(tags, store.revision):
        return Response(status_code=304, headers=headers)
    return Response(store.list(), media_type=JSON, headers=headers)


async def post_task(request: Request) -> Response:
    """Create a task."""
    return answer_created(*await store.create(validated(await request.body())))


def answer_created(task_id: str, stored: Stored) -> Response:
    """Answer that a task was created."""
    return Response(
        status_code=201, headers={"Location": f"/tasks/{task_id}", "ETag": stored.etag})


async def get_task(request: Request) -> Response:
    """Give a task."""
    return answer_task(request, await store.read(request.path_params["task_id"]))


def answer_task(request: Request, stored: Stored) -> Response:
    """Answer with a task, unless the client has it."""
    headers = {"ETag": stored.etag}
    if not LEAN:
        headers["Last-Modified"] = stored.last_modified
    tags = request.headers.get("if-none-match")
    if tags is not None and matches(tags, stored.revision):
        return Response(status_code=304, headers=headers)
    return Response(stored.body, media_type=JSON, headers=headers)


async def put_task(request: Request) -> Response:
    """Replace a task."""
    stored = await store.update(
        request.path_params["task_id"], validated(await request.body()),
        request.headers.get("if-match"))
    return Response(status_code=204, headers={"ETag": stored.etag})


async def delete_task(request: Request) -> Response:
    """Delete a task."""
    await store.delete(request.path_params["task_id"])
    return Response(status_code=204)


async def answer_error(request: Request, error: Exception) -> Response:
    """Answer with an error."""
    match error:
        case HTTPException():
            code, message = error.status_code, error.detail
        case Invalid():
            code, message = 400, f"Invalid task: {error}"
        case Missing():
            code, message = 404, str(error)
        case _:
            code, message = 412, f"{error} has changed"
    scope = request.scope
    return JSONResponse(
        problem(scope["method"], uri_of(scope), code, message, scope["req_id"]), code)


app = Starlette(
    routes=[
        Route("/tasks/{task_id}", get_task, methods=["GET"]),
        Route("/tasks/{task_id}", put_task, methods=["PUT"]),
        Route("/tasks/{task_id}", delete_task, methods=["DELETE"]),
        Route("/tasks", list_tasks, methods=["GET"]),
        Route("/tasks", post_task, methods=["POST"]),
    ],
    middleware=[Middleware(Canonical)],
    exception_handlers={error: answer_error for error in (HTTPException, Invalid, Missing, Stale)},
)
