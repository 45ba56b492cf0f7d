"""One request and its answer, as the application sees them."""

from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from typing import Protocol

from tornado.httputil import (
    HTTPConnection, HTTPHeaders, HTTPOutputError, RequestStartLine, ResponseStartLine)

from taskservice.http1.answer import (
    Refusal, content_length, has_no_body, head_bytes, http_date)
from taskservice.http1.memory import Claim
from taskservice.http1.parser import Head
from taskservice.http1.state import BEGUN, DUE, WHOLE
from taskservice.http1.upload import Upload
from taskservice.http1.wire import Context

_SWITCHING_PROTOCOLS = 101


class Channel(Protocol):
    """What an exchange needs of its connection."""

    context: Context
    loop: AbstractEventLoop
    cut_reason: str

    def may_stay(self, exchange: "Exchange") -> bool:
        """Return whether there can be another request after this one."""

    def send_first(self, data: bytes) -> "Future[None]":
        """Send the first of an answer; as `send`."""

    def send(self, data: bytes) -> "Future[None]":
        """Send; the future is done when there is room for more."""

    def flushed(self) -> "Future[None]":
        """Return what is done when the kernel has all that was sent."""

    def failed_write(self) -> "Future[None]":
        """Return what a write to nobody returns."""

    def reset_on_close(self, reset: bool) -> None:
        """Choose whether what ends the connection resets it."""

    def answered(self, exchange: "Exchange") -> None:
        """Go on after the end of an answer."""

    def refuse(self, status: int, message: str) -> None:
        """Answer in the application's place."""

    def drop(self) -> None:
        """Break off by a reset, and tell the application nothing more."""


class Exchange(HTTPConnection):
    """What Tornado calls the connection of a request: the application writes its answer here.

    Once the client is gone, or was answered without the application, what the application still
    writes goes nowhere, quietly: the futures that it gets fail with StreamClosedError.
    """

    upload: Upload | None = None
    """The body; None where there is none."""
    too_large = False
    """Whether the application gets the request without its body: that has more than it may."""
    request_id = ""
    """What the application calls the request, for those who refuse it later; it may set this."""
    refused = 0
    """The status by which the connection has answered in the application's place; 0: it has not."""
    ends_with_connection = False
    """Whether nothing else marks the end of the answer: over HTTP/1.0, without a length."""
    keep_alive = True
    """Whether the connection stays, as far as the answer's head says."""
    _chunked = False
    _left: int | None = None
    _close_callback: Callable[[], None] | None = None

    def __init__(self, connection: Channel, head: Head) -> None:
        self.context = connection.context
        self.loop = connection.loop
        self.head = head
        self.began = self.loop.time()
        self.state = DUE
        """How far the answer is."""
        self._connection = connection

    # What RequestHandler and its likes call.

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Take what is called if the client leaves after its request, before the answer's end.

        It is called when the client ends its input, and when the exchange is `lost`.
        """
        self._close_callback = callback

    def set_max_body_size(self, max_body_size: int) -> None:
        """Set the limit of this request's body, in bytes, before or while it is received."""
        if self.upload is not None:
            self.upload.max_bytes = max_body_size

    def set_body_timeout(self, timeout: float) -> None:
        """Give this request's body `timeout` seconds in all; to be called before it is received.

        They count from the end of `prepare`, and instead of the server's limit.
        """
        if self.upload is not None:
            self.upload.timeout = timeout

    def take_claim(self) -> Claim | None:
        """Hand over the body's share of the memory of large bodies: the caller has to release it.

        Else it is released when the exchange ends.
        """
        if self.upload is None:
            return None
        claim, self.upload.claim = self.upload.claim, None
        return claim

    def write_headers(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders,
        chunk: bytes | None = None
    ) -> "Future[None]":
        """Write the answer's head, and perhaps the first of its body, in one go.

        Raises ValueError where a field has a line end in it, and HTTPOutputError as `write`.
        """
        assert isinstance(start_line, ResponseStartLine)
        if not self.state.writable:
            return self._connection.failed_write()
        if start_line.code == _SWITCHING_PROTOCOLS:
            self._connection.refuse(501, "This server switches to no other protocol")
            return self._connection.failed_write()
        self._delimit(start_line.code, headers)
        own = self._own_fields(headers)
        fields = [*headers.get_all(), *own]
        data = head_bytes(start_line.code, start_line.reason, fields)
        if self.state is DUE:  # else it is one after a 1xx
            self.state = self.state.to(BEGUN)
        if self.ends_with_connection:
            self._connection.reset_on_close(True)
        return self._connection.send_first(data + self._framed(chunk) if chunk else data)

    def write(self, chunk: bytes) -> "Future[None]":
        """Write some of the body; the future is done when there is room for more.

        Raises HTTPOutputError, and cuts the answer, when it is more than Content-Length says.
        """
        if not self.started:  # its head could not be sent, and a body without one must not be
            self.cut()
        if not self.state.writable:
            return self._connection.failed_write()
        return self._connection.send(self._framed(chunk))

    def finish(self) -> None:
        """End the answer; one that is not whole is cut, and raises HTTPOutputError."""
        if not self.state.writable:
            return
        if self._left or not self.started:
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
        """End with the connection, now that the kernel has all: what it has it sends."""
        if sent.exception() is None:
            self._connection.reset_on_close(False)
            self._connection.answered(self)

    def detach(self) -> "Cutter":
        """Take the connection from HTTP; all that can be done with it then is to close it."""
        return Cutter(self)

    def cut(self) -> None:
        """Break the answer off, so that nobody takes it for whole."""
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
        """Whether nobody can read the answer any more, or the connection has given one itself."""
        return self.state.lost

    @property
    def cut_reason(self) -> str:
        """Why the service has broken the connection off; empty where it was the client's doing."""
        return self._connection.cut_reason

    # What the connection calls.

    def release(self) -> None:
        """Give back the memory of the body."""
        if (claim := self.take_claim()) is not None:
            claim.release()

    def lose(self) -> None:
        """Note that nobody waits for the answer any more."""
        self.state = self.state.broken_off()
        self.release()

    def refusal(self, status: int, message: str) -> Refusal:
        """Return what the connection answers in the application's place."""
        method, uri, _version = self.head.start_line
        return Refusal(
            status, message, method, uri, self.context.remote_ip, self.head.headers, self.request_id,
            self.loop.time() - self.began)

    def tell_gone(self) -> None:
        """Tell the application, which has the whole request, that the client has left; it may still write."""
        if self._close_callback is not None:
            self._close_callback()

    def forget(self) -> None:
        """Tell the application nothing more."""
        self._close_callback = None

    def _delimit(self, code: int, headers: HTTPHeaders) -> None:
        """Choose what ends the body: nothing, a length, chunks, or the connection's end."""
        if has_no_body(self.head.start_line.method, code):
            self._left = 0
        elif "Content-Length" in headers:
            self._left = content_length(headers["Content-Length"])
        elif self.head.start_line.version == "HTTP/1.1":
            self._chunked = True
            headers["Transfer-Encoding"] = "chunked"
        else:
            self.ends_with_connection = True

    def _own_fields(self, headers: HTTPHeaders) -> list[tuple[str, str]]:
        """Return the fields that are the connection's, and take those back that are not so."""
        fields = []
        if "Date" not in headers:
            fields.append(("Date", http_date()))
        said = headers["Connection"].lower() if "Connection" in headers else ""
        self.keep_alive = not self.ends_with_connection and "close" not in said and (
            self._connection.may_stay(self))
        if not self.keep_alive:  # RFC 9112 §9.6
            if said:
                del headers["Connection"]
            fields.append(("Connection", "close"))
        elif self.head.start_line.version == "HTTP/1.0" and not said:
            fields.append(("Connection", "Keep-Alive"))
        return fields

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
    """What is left of a connection that was taken from HTTP."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def close(self) -> None:
        """Break the connection off."""
        self._exchange.cut()
