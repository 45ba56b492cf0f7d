"""The way of a request from our own connection to its handler, shorter than Tornado's.

Tornado has a delegate for its router, another for the handler, and a request object that checks the
Host again, and parses and copies the query for handlers that may never use it. This module relies on
Tornado's internals; behind Tornado's own server the handlers work without it. `docs/fast.md` has what each
part saves, as `benchmarks/fast.py` measures it.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from io import SEEK_END, BytesIO
from typing import Any

import tornado.web
from tornado.escape import parse_qs_bytes
from tornado.httputil import (
    HTTPHeaders, HTTPMessageDelegate, HTTPServerRequest, RequestStartLine, ResponseStartLine,
    split_host_and_port)
from tornado.log import app_log

from taskservice.http.dates import http_date
from taskservice.http1.exchange import Exchange
from taskservice.http1.headers import LeanHeaders, fields_of
from taskservice.tornado.handlers.base import DEFAULT_FIELDS, BaseRequestHandler
from taskservice.tornado.outcome import log_cut_request

_BEGINNING = {
    "server": "", "content-type": "text/html; charset=UTF-8", "date": "",
    **{name.lower(): value for name, value in DEFAULT_FIELDS.items()}}
_running: set[asyncio.Task[None]] = set()  # the loop itself would not keep them alive
# To find out whether there is another in its place:
_set_default_headers = BaseRequestHandler.set_default_headers
_init = inspect.unwrap(tornado.web.RequestHandler.__init__)


class Request(HTTPServerRequest):
    """Tornado's request, for a head that the connection has checked already."""

    def __init__(self, exchange: Exchange) -> None:
        # Not the base's: `__getattr__` makes its other attributes when they are used.
        self.connection = exchange
        self.method, self.uri, self.version = exchange.head.start_line
        self.path, _, self.query = self.uri.partition("?")
        self.headers = exchange.head.headers
        self.host = self.headers.get("host", "127.0.0.1")  # HTTP/1.0 need not say it
        self.remote_ip = exchange.context.remote_ip
        self.protocol = exchange.context.protocol
        self.body = b""
        self.body_arguments = {}
        self.files = {}
        self._start_time = time.time()
        self._finish_time = None

    def __getattr__(self, name: str) -> Any:
        match name:
            case "arguments" | "query_arguments":
                value: Any = parse_qs_bytes(self.query, keep_blank_values=True)
            case "host_name":
                value = split_host_and_port(self.host.lower())[0]
            case "server_connection":
                value = None
            case _:
                raise AttributeError(name)
        setattr(self, name, value)
        return value


class _LeanHandler(BaseRequestHandler):
    """Does what RequestHandler does, on a shorter way, and leaves to it what is unusual.

    It comes after the handler's own class and before the base's in the order of methods, so that what a subclass
    overrides counts.
    """

    def __init__(
        self, application: tornado.web.Application, request: HTTPServerRequest, **options: Any
    ) -> None:
        # Not the base's: this is all that it does beside the namespaces of templates.
        self.application = application
        self.request = request
        self._headers_written = self._finished = False
        self._auto_finish = True
        self._prepared_future = None
        self.clear()
        assert request.connection is not None
        request.connection.set_close_callback(  # type: ignore[attr-defined]  # each has it
            self.on_connection_close)
        self.initialize(**options)

    def clear(self) -> None:
        """Begin an answer as the base does, with fields that need no check."""
        self.now = now = int(time.time())
        if type(self).set_default_headers is not _set_default_headers:
            super().clear()
            return
        self._headers = LeanHeaders.of({**_BEGINNING, "date": http_date(now)})
        self._write_buffer: list[bytes] = []
        self._status_code = 200
        self._reason = "OK"

    def set_header(self, name: str, value: Any) -> None:
        """Set a field as the base does; numbers and printable ASCII need no further check."""
        if type(value) is str and value.isascii() and value.isprintable():
            self._headers[name] = value
        elif type(value) is int:
            self._headers[name] = str(value)
        else:
            super().set_header(name, value)

    def write(self, chunk: str | bytes | dict[str, Any]) -> None:
        """Write to the answer, and count its bytes."""
        if type(chunk) is bytes and not self._finished:
            self.written += len(chunk)
            self._write_buffer.append(chunk)
        else:
            super().write(chunk)

    async def _execute(self, transforms: list[tornado.web.OutputTransform], *args: bytes, **kwargs: bytes) -> None:
        """Answer the request as the base does; it would parse the body as a form if there were a Content-Type."""
        if self._stream_request_body or kwargs or "content-type" in self.fields:
            return await super()._execute(transforms, *args, **kwargs)
        self._transforms = transforms
        try:
            method = self.request.method
            if method not in self.SUPPORTED_METHODS:
                raise tornado.web.HTTPError(405)
            self.path_args = [self.decode_argument(arg) for arg in args]
            self.path_kwargs = {}
            if method != "GET" and (
                    "origin" in self.fields or "sec-fetch-site" in self.fields or "xsrf_cookies" in self.settings):
                self._cross_origin_protection()
            prepare: Callable[[], Awaitable[None] | None] = self.prepare  # a subclass's may be a coroutine
            if (prepared := prepare()) is not None:
                await prepared
            if self._finished:
                return
            answered = getattr(self, method.lower())(*self.path_args)
            if answered is not None:
                await answered
            if self._auto_finish and not self._finished:
                self.finish()
        except (Exception, asyncio.CancelledError) as error:
            self._end_with(error)

    def _end_with(self, error: BaseException) -> None:
        """Answer an error that is being handled; raises it again if it is the cancellation of the request's task."""
        task = asyncio.current_task()
        cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling()
        try:
            if not cancelled:
                self._handle_request_exception(error)
            elif not self._finished:
                self.send_error(500)
        except Exception:
            app_log.error("Exception in exception handler", exc_info=True)
        if cancelled:
            raise error

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> "asyncio.Future[None]":
        """End the answer as the base does; one that may get a tag, or has begun, is left to it."""
        fields, status = fields_of(self._headers), self._status_code
        if self._finished or self._headers_written or (
                status == 200 and "etag" not in fields and self.request.method in ("GET", "HEAD")):
            return super().finish(chunk)
        if chunk is not None:
            self.write(chunk)
        if self._should_not_send_content(status):
            if self._write_buffer:
                raise RuntimeError(f"Cannot send body with status code HTTP{status}")
            self._clear_representation_headers()
        elif "content-length" not in fields:
            self.set_header("Content-Length", sum(map(len, self._write_buffer)))
        connection: Any = self.request.connection
        connection.set_close_callback(None)
        future = self.flush(include_footers=True)
        connection.finish()
        self._log()
        self._finished = True
        self.on_finish()
        return future

    def flush(self, include_footers: bool = False) -> "asyncio.Future[None]":
        """Send what was written, as the base does; transforms, cookies and later parts are left to it."""
        if self._headers_written or self._transforms or "_new_cookie" in vars(self):
            return super().flush(include_footers)
        self._headers_written = True
        body = b"" if self.request.method == "HEAD" else b"".join(self._write_buffer)
        self._write_buffer = []
        connection: Any = self.request.connection
        return connection.write_headers(  # type: ignore[no-any-return]
            ResponseStartLine("", self._status_code, self._reason), self._headers, body)


class LeanHandlers(dict[type[BaseRequestHandler], type[BaseRequestHandler]]):
    """For each handler class, a subclass that does the same in less time."""

    def __missing__(self, handler: type[BaseRequestHandler]) -> type[BaseRequestHandler]:
        self[handler] = found = type(handler.__name__, (handler, _LeanHandler), {})
        return found


LEAN = LeanHandlers()


class HandlerDelegate(HTTPMessageDelegate):
    """Collects a request's body, and runs the handler."""

    def __init__(
        self, application: tornado.web.Application, exchange: Exchange,
        handler: type[BaseRequestHandler], options: Mapping[str, Any], path_args: Sequence[bytes]
    ) -> None:
        self._application = application
        self._exchange = exchange
        self._handler = handler
        self._options = options
        self._path_args = path_args
        self._body = b""
        self._more: BytesIO | None = None  # a body that comes in pieces

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        """Do nothing: the exchange has the head."""

    def data_received(self, chunk: bytes) -> None:
        """Keep a piece of the body."""
        if self._more is not None:
            self._more.write(chunk)
        elif not self._body:
            self._body = chunk
        else:
            self._more = BytesIO(self._body)
            self._more.seek(0, SEEK_END)
            self._more.write(chunk)

    def finish(self) -> None:
        """Run the handler in a task of its own.

        It begins in the next turn of the loop. So requests that come together are all read first, and then answered: to
        do the same for one after the other takes less time than to do all for each, as the processor has the code at
        hand.
        """
        request = Request(self._exchange)
        request.body = self._whole_body()
        handler, makers = self._make(request), self._application.transforms
        transforms = [make(request) for make in makers] if makers else []
        # Tornado's own delegate calls this as well; it catches whatever a handler raises.
        task = self._exchange.loop.create_task(handler._execute(transforms, *self._path_args))
        handler.task = task
        _running.add(task)
        task.add_done_callback(_running.discard)
        if (claim := self._exchange.take_claim()) is not None:  # it has the body to its end
            task.add_done_callback(lambda task: claim.release())

    def _make(self, request: Request) -> BaseRequestHandler:
        # Something may have wrapped what the lean handler leaves out, such as OpenTelemetry's instrumentation.
        instrumented = tornado.web.RequestHandler.__init__ is not _init
        handler = self._handler if instrumented else LEAN[self._handler]
        return handler(self._application, request, **self._options)

    def _whole_body(self) -> bytes:
        """Return the body, and drop it here, so that it is never in memory twice."""
        more, self._more = self._more, None
        body, self._body = self._body, b""
        return body if more is None else more.getvalue()  # which is no copy

    def on_connection_close(self) -> None:
        """Log and count a request whose body ended too early, unless the connection has done so."""
        self._whole_body()
        if not self._exchange.refused:
            log_cut_request(
                self._make(Request(self._exchange)), self._exchange.loop.time() - self._exchange.began)
