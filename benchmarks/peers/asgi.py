"""Request id and canonical log line as ASGI middleware: lighter than BaseHTTPMiddleware."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from benchmarks.peers.common import HEADERS, LEAN, log_response, make_logger, request_id

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_FIELDS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


class Canonical:
    """Gives each request an id, in `scope["req_id"]` and `X-Request-Id`, and a line in the log."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._logger = make_logger()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request, or the lifespan."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        req_id = scope["req_id"] = "" if LEAN else request_id(_given(scope))

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if not LEAN:
                    message["headers"] = [
                        *message["headers"], *_FIELDS, (b"x-request-id", req_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            log_response(self._logger, req_id, scope["method"], uri_of(scope),
                         scope["client"][0], status, started)


def _given(scope: Message) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return str(value, "latin-1")
    return None


def uri_of(scope: Message) -> str:
    """Return the request's target."""
    query = scope["query_string"]
    path: str = scope["raw_path"].decode("latin-1")
    return f"{path}?{query.decode('latin-1')}" if query else path
