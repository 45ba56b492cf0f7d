# mypy: disable-error-code="import-not-found,misc,untyped-decorator,no-any-unimported"
"""BlackSheep on uvicorn[standard], with msgspec; its own middleware."""

import time
from collections.abc import Awaitable, Callable

from blacksheep import Application, Content, Request, Response, json
from blacksheep.exceptions import NotFound

from benchmarks.peers.common import (
    HEADERS, JSON, LEAN, Missing, Stale, Store, log_response, make_logger, matches, problem, request_id)
from benchmarks.peers.msgspec_task import Invalid, validated

store = Store()
logger = make_logger()
app = Application()

_FIELDS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
_JSON = JSON.encode()


async def canonical(
    request: Request, handler: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Give each request an id and a line in the log."""
    started = time.perf_counter()
    given = None if LEAN else request.headers.get_first(b"x-request-id")
    req_id = request_id(given.decode("latin-1") if given else None)
    try:
        response = await handler(request)
    except Exception as error:
        response = answer_error(request, error, req_id)
    for name, value in _FIELDS:
        response.headers.add(name, value)
    if not LEAN:
        response.headers.add(b"X-Request-Id", req_id.encode())
    log_response(logger, req_id, request.method, _uri(request), request.client_ip,
                 response.status, started)
    return response


app.middlewares.append(canonical)


def _uri(request: Request) -> str:
    return str(request.url.value.decode("latin-1"))


def answer_error(request: Request, error: Exception, req_id: str) -> Response:
    """Answer with an error."""
    match error:
        case Invalid():
            code, message = 400, f"Invalid task: {error}"
        case Missing() | NotFound():
            code, message = 404, str(error)
        case Stale():
            code, message = 412, f"{error} has changed"
        case _:
            raise error
    return json(problem(request.method, _uri(request), code, message, req_id), code)


def _task_id(request: Request) -> str:
    return (request.route_values or {})["task_id"] or ""


def _unchanged(request: Request, revision: int) -> bool:
    tags = request.headers.get_first(b"if-none-match")
    return tags is not None and matches(tags.decode("latin-1"), revision)


@app.router.get("/tasks")
async def list_tasks(request: Request) -> Response:
    """Give the list."""
    headers = [(b"ETag", store.etag.encode()), (b"Vary", b"Accept")]
    if _unchanged(request, store.revision):
        return Response(304, headers)
    return Response(200, headers, Content(_JSON, store.list()))


@app.router.post("/tasks")
async def post_task(request: Request) -> Response:
    """Create a task."""
    task_id, stored = await store.create(validated(await request.read() or b""))
    return Response(201, [
        (b"Location", f"/tasks/{task_id}".encode()), (b"ETag", stored.etag.encode())])


@app.router.get("/tasks/{task_id}")
async def get_task(request: Request) -> Response:
    """Give a task."""
    stored = await store.read(_task_id(request))
    headers = [(b"ETag", stored.etag.encode())]
    if not LEAN:
        headers.append((b"Last-Modified", stored.last_modified.encode()))
    if _unchanged(request, stored.revision):
        return Response(304, headers)
    return Response(200, headers, Content(_JSON, stored.body))


@app.router.put("/tasks/{task_id}")
async def put_task(request: Request) -> Response:
    """Replace a task."""
    tags = request.headers.get_first(b"if-match")
    stored = await store.update(
        _task_id(request), validated(await request.read() or b""),
        tags.decode("latin-1") if tags else None)
    return Response(204, [(b"ETag", stored.etag.encode())])


@app.router.delete("/tasks/{task_id}")
async def delete_task(request: Request) -> Response:
    """Delete a task."""
    await store.delete(_task_id(request))
    return Response(204)
