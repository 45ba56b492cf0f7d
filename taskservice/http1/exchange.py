"""One request and its answer, as the application sees them."""

from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from typing import Protocol

from tornado.httputil import (
    HTTPConnection, HTTPHeaders, HTTPOutputError, RequestStartLine, ResponseStartLine)

from taskservice.http1.answer import (
    Refusal, content_length, has_no_body, head_bytes, http_date)
from taskservice.http1.headers import field_lines, fields_of
from taskservice.http1.memory import Claim
from taskservice.http1.parser import Head
from taskservice.http1.state import BEGUN, DUE, WHOLE
from taskservice.http1.upload import Upload
from taskservice.http1.wire import Context

_SWITCHING_PROTOCOLS = 101


class Channel(Protocol):
    """The operations of the connection that an exchange needs."""

    context: Context
    loop: AbstractEventLoop
    cut_reason: str

    def may_stay(self, exchange: "Exchange") -> bool:
        """Return whether another request can follow this one."""

    def send_first(self, data: bytes) -> "Future[None]":
        """Send the first bytes of an answer; as `send`."""

    def send(self, data: bytes) -> "Future[None]":
        """Send; the future is done when there is room for more."""

    def flushed(self) -> "Future[None]":
        """Return a future that is done when the kernel has everything that was sent."""

    def failed_write(self) -> "Future[None]":
        """Return a failed future, the result of a write that nobody can receive."""

    def reset_on_close(self, reset: bool) -> None:
        """Choose whether the end of the connection is a reset."""

    def answered(self, exchange: "Exchange") -> None:
        """Go on after the end of an answer."""

    def refuse(self, status: int, message: str) -> None:
        """Answer in place of the application."""

    def drop(self) -> None:
        """Break off by a reset, without a call to the application."""


class Exchange(HTTPConnection):
    """The connection of a request, as Tornado calls it: the application writes its answer here.

    If the client has gone, or was answered without the application, further writes are dropped: their futures fail with
    StreamClosedError.
    """

    upload: Upload | None = None
    """The body; None if there is none."""
    too_large = False
    """Whether the application gets the request without its body, which is larger than allowed."""
    request_id = ""
    """The application's id of the request, for a later refusal; the application may set it."""
    refused = 0
    """The status with which the connection has answered in place of the application; 0: it has not."""
    ends_with_connection = False
    """Whether only the end of the connection ends the answer: over HTTP/1.0, without a length."""
    keep_alive = True
    """Whether the connection stays open, as far as the answer's head says."""
    _chunked = False
    _left: int | None = None
    _close_callback: Callable[[], None] | None = None

    def __init__(self, connection: Channel, head: Head) -> None:
        self.context = connection.context
        self.loop = connection.loop
        self.head = head
        self.began = self.loop.time()
        self.state = DUE
        """The state of the answer."""
        self._connection = connection

    # The methods that RequestHandler and its like call.

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Set a callback for a client that leaves after its request and before the answer's end.

        It is called when the client ends its input, and when the exchange is `lost`.
        """
        self._close_callback = callback

    def set_max_body_size(self, max_body_size: int) -> None:
        """Set the limit of this request's body, in bytes, before or while it is received."""
        if self.upload is not None:
            self.upload.max_bytes = max_body_size

    def set_body_timeout(self, timeout: float) -> None:
        """Give this request's body `timeout` seconds in all; call it before the body is received.

        They count from the end of `prepare`, and replace the server's limit.
        """
        if self.upload is not None:
            self.upload.timeout = timeout

    def take_claim(self) -> Claim | None:
        """Hand over the body's share of the memory of large bodies: the caller has to release it.

        Otherwise it is released when the exchange ends.
        """
        if self.upload is None:
            return None
        claim, self.upload.claim = self.upload.claim, None
        return claim

    def write_headers(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders,
        chunk: bytes | None = None
    ) -> "Future[None]":
        """Write the answer's head, and optionally the first part of its body, in one go.

        Raises ValueError for a field with a line end, and HTTPOutputError as `write` does.
        """
        assert isinstance(start_line, ResponseStartLine)
        if not self.state.writable:
            return self._connection.failed_write()
        if start_line.code == _SWITCHING_PROTOCOLS:
            self._connection.refuse(501, "This server switches to no other protocol")
            return self._connection.failed_write()
        own = self._frame(start_line.code, headers)
        data = head_bytes(start_line.code, start_line.reason, [*field_lines(headers), *own])
        if self.state is DUE:  # else it is one after a 1xx
            self.state = self.state.to(BEGUN)
        if self.ends_with_connection:
            self._connection.reset_on_close(True)
        return self._connection.send_first(data + self._framed(chunk) if chunk else data)

    def write(self, chunk: bytes) -> "Future[None]":
        """Write a part of the body; the future is done when there is room for more.

        Raises HTTPOutputError, and cuts the answer, if the body exceeds its Content-Length.
        """
        if not self.started:  # its head could not be sent, and a body must not go out without one
            self.cut()
        if not self.state.writable:
            return self._connection.failed_write()
        return self._connection.send(self._framed(chunk))

    def finish(self) -> None:
        """End the answer; an incomplete one is cut, and raises HTTPOutputError."""
        if not self.state.writable:
            return
        if self._left or not self.state.started:
            self.cut()
            lack = f"{self._left} bytes less than Content-Length" if self.started else "no head"
            raise HTTPOutputError(f"Tried to write {lack}")
        if self._chunked:
            self._connection.send(b"0\r\n\r\n")
        self.state = self.state.to(WHOLE)
        if self.ends_with_connection:
            self._connection.flushed().add_done_callback(self._end)
        else:
            self._connection.answered(self)

    def _end(self, sent: "Future[None]") -> None:
        """The end of the connection ends the answer: the kernel sends the bytes it has."""
        if sent.exception() is None:
            self._connection.reset_on_close(False)
            self._connection.answered(self)

    def detach(self) -> "Cutter":
        """Detach the connection from HTTP; after that it can only be closed."""
        return Cutter(self)

    def cut(self) -> None:
        """Break the answer off, so that nobody takes it for complete."""
        self._close_callback = None
        if self.state.writable:
            self.state = self.state.broken_off()
            self._connection.drop()

    @property
    def started(self) -> bool:
        """Whether the head of the answer has been written."""
        return self.state.started

    @property
    def lost(self) -> bool:
        """Whether nobody can read the answer any more, or the connection has answered itself."""
        return self.state.lost

    @property
    def cut_reason(self) -> str:
        """Why the service has broken the connection off; empty if the client did."""
        return self._connection.cut_reason

    # The methods that the connection calls.

    def release(self) -> None:
        """Release the memory of the body."""
        if (claim := self.take_claim()) is not None:
            claim.release()

    def lose(self) -> None:
        """Record that nobody waits for the answer any more."""
        self.state = self.state.broken_off()
        self.release()

    def refusal(self, status: int, message: str) -> Refusal:
        """Return what the connection answers in the application's place."""
        method, uri, _version = self.head.start_line
        return Refusal(
            status, message, method, uri, self.context.remote_ip, self.head.headers, self.request_id,
            self.loop.time() - self.began)

    def tell_gone(self) -> None:
        """Call back an application that has the whole request: the client has left; it may still write."""
        if self._close_callback is not None:
            self._close_callback()

    def forget(self) -> None:
        """Make no more calls to the application."""
        self._close_callback = None

    def _frame(self, code: int, headers: HTTPHeaders) -> list[str]:
        """Choose how the body ends: it is empty, or by a length, chunks, or the connection's end.

        Return lines of the fields that belong to the connection, and remove the application's where they are wrong.
        """
        fields, line = fields_of(headers), self.head.start_line
        own = [] if "date" in fields else [f"Date: {http_date()}"]
        if has_no_body(line.method, code):
            self._left = 0
        elif (length := fields.get("content-length")) is not None:
            self._left = content_length(length)
        elif line.version == "HTTP/1.1":
            self._chunked = True
            headers["Transfer-Encoding"] = "chunked"
        else:
            self.ends_with_connection = True
        said = fields.get("connection")
        self.keep_alive = not self.ends_with_connection and not (said and "close" in said.lower()) and (
            self._connection.may_stay(self))
        if not self.keep_alive:  # RFC 9112 §9.6
            if said is not None:
                del headers["Connection"]
            own.append("Connection: close")
        elif line.version == "HTTP/1.0" and not said:
            own.append("Connection: Keep-Alive")
        return own

    def _framed(self, chunk: bytes) -> bytes:
        if self._left is not None:
            self._left -= len(chunk)
            if self._left < 0:
                self.cut()
                raise HTTPOutputError("Tried to write more data than Content-Length")
        if self._chunked and chunk:  # an empty chunk would end the body
            return b"%x\r\n%b\r\n" % (len(chunk), chunk)
        return chunk


class Cutter:
    """The rest of a connection that was detached from HTTP."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def close(self) -> None:
        """Break the connection off."""
        self._exchange.cut()
