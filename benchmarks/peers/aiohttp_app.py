# mypy: disable-error-code="import-not-found,misc,untyped-decorator,no-any-unimported"
"""aiohttp's own server on uvloop, with msgspec; its own middleware."""

import os
import time
from collections.abc import Awaitable, Callable

import uvloop
from aiohttp import web

from benchmarks.peers.common import (
    HEADERS, JSON, Missing, Stale, Store, log_response, make_logger, matches, problem, request_id)
from benchmarks.peers.msgspec_task import Invalid, validated

store = Store()
logger = make_logger()
routes = web.RouteTableDef()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def canonical(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give each request an id and a line in the log."""
    started = time.perf_counter()
    req_id = request_id(request.headers.get("X-Request-Id"))
    try:
        response = await handler(request)
    except (Invalid, Missing, Stale, web.HTTPException) as error:
        response = answer_error(request, error, req_id)
    response.headers.update(HEADERS)
    response.headers["X-Request-Id"] = req_id
    log_response(logger, req_id, request.method, request.path_qs, request.remote or "",
                 response.status, started)
    return response


def answer_error(request: web.Request, error: Exception, req_id: str) -> web.Response:
    """Answer with an error."""
    match error:
        case web.HTTPException():
            code, message = error.status, error.reason
        case Invalid():
            code, message = 400, f"Invalid task: {error}"
        case Missing():
            code, message = 404, str(error)
        case _:
            code, message = 412, f"{error} has changed"
    body = problem(request.method, request.path_qs, code, message, req_id)
    return web.json_response(body, status=code)


def _unchanged(request: web.Request, revision: int) -> bool:
    tags = request.headers.get("If-None-Match")
    return tags is not None and matches(tags, revision)


@routes.get("/tasks")
async def list_tasks(request: web.Request) -> web.Response:
    """Give the list."""
    headers = {"ETag": store.etag, "Vary": "Accept"}
    if _unchanged(request, store.revision):
        return web.Response(status=304, headers=headers)
    return web.Response(body=store.list(), headers={"Content-Type": JSON, **headers})


@routes.post("/tasks")
async def post_task(request: web.Request) -> web.Response:
    """Create a task."""
    task_id, stored = await store.create(validated(await request.read()))
    return web.Response(
        status=201, headers={"Location": f"/tasks/{task_id}", "ETag": stored.etag})


@routes.get("/tasks/{task_id}")
async def get_task(request: web.Request) -> web.Response:
    """Give a task."""
    stored = await store.read(request.match_info["task_id"])
    headers = {"ETag": stored.etag, "Last-Modified": stored.last_modified}
    if _unchanged(request, stored.revision):
        return web.Response(status=304, headers=headers)
    return web.Response(body=stored.body, headers={"Content-Type": JSON, **headers})


@routes.put("/tasks/{task_id}")
async def put_task(request: web.Request) -> web.Response:
    """Replace a task."""
    stored = await store.update(
        request.match_info["task_id"], validated(await request.read()),
        request.headers.get("If-Match"))
    return web.Response(status=204, headers={"ETag": stored.etag})


@routes.delete("/tasks/{task_id}")
async def delete_task(request: web.Request) -> web.Response:
    """Delete a task."""
    await store.delete(request.match_info["task_id"])
    return web.Response(status=204)


if __name__ == "__main__":
    app = web.Application(middlewares=[canonical])
    app.add_routes(routes)
    web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=None,
                print=None, loop=uvloop.new_event_loop())
