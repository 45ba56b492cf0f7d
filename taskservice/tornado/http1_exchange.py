"""One request and its answer, as the application sees them."""

from asyncio import Future
from collections.abc import Callable
from typing import TYPE_CHECKING

from tornado.httputil import (
    HTTPConnection, HTTPHeaders, HTTPMessageDelegate, HTTPOutputError, RequestStartLine,
    ResponseStartLine)

from taskservice.tornado.http1_answer import (
    content_length, has_no_body, head_bytes, http_date)
from taskservice.tornado.http1_body import ChunkedBody, SizedBody
from taskservice.tornado.http1_parser import Head

if TYPE_CHECKING:
    from taskservice.tornado.http1_connection import Connection


_SWITCHING_PROTOCOLS = 101


class Exchange(HTTPConnection):
    """What Tornado calls the connection of a request: the application writes its answer here.

    Once the client is gone, or was answered without the application, what the application still
    writes goes nowhere, quietly: the futures that it gets fail with StreamClosedError.
    """

    delegate: HTTPMessageDelegate | None = None
    """Takes the request; None when it has been received."""
    body: SizedBody | ChunkedBody | None = None
    max_body = 0
    """How many bytes the body may have."""
    body_timeout: float | None = None
    """Seconds for all of the body; None: as the server's limits say."""
    size = 0
    """How many bytes of the body have come."""
    too_large = False
    """Whether the application gets the request without its body: that has more than it may."""
    started = False
    """Whether the head of the answer has been written."""
    request_id = ""
    """What the application calls the request, for those who refuse it later; it may set this."""
    refused = 0
    """The status by which the connection has answered in the application's place; 0: it has not."""
    ends_with_connection = False
    """Whether nothing else tells where the answer ends: over HTTP/1.0, without a length."""
    keep_alive = True
    """Whether the connection stays, as far as the answer's head told the client."""
    _closed = False
    _chunked = False
    _left: int | None = None
    _close_callback: Callable[[], None] | None = None

    def __init__(self, connection: "Connection", head: Head) -> None:
        self.context = connection.context
        self.loop = connection.loop
        self.head = head
        self.began = self.loop.time()
        self._connection = connection
        if head.length:
            self.body = SizedBody(head.length) if head.length > 0 else ChunkedBody()

    # What RequestHandler and its likes call.

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Take what is called if the client leaves after its request, before the answer's end."""
        self._close_callback = callback

    def set_max_body_size(self, max_body_size: int) -> None:
        """Set the limit of this request's body, in bytes, before or while it is received."""
        self.max_body = max_body_size

    def set_body_timeout(self, timeout: float) -> None:
        """Give this request's body `timeout` seconds in all; to be called before it is received.

        They count from the end of `prepare`, and instead of the server's limit.
        """
        self.body_timeout = timeout

    def write_headers(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders,
        chunk: bytes | None = None
    ) -> "Future[None]":
        """Write the answer's head, and perhaps the first of its body, in one go.

        Raises ValueError where a field has a line end in it, and HTTPOutputError as `write`.
        """
        assert isinstance(start_line, ResponseStartLine)
        if self._closed:
            return self._connection.failed_write()
        if start_line.code == _SWITCHING_PROTOCOLS:
            self._connection.refuse(501, "This server switches to no other protocol")
            return self._connection.failed_write()
        self._delimit(start_line.code, headers)
        own = self._own_fields(headers)
        fields = [*headers.get_all(), *own]
        data = head_bytes(start_line.code, start_line.reason, fields)
        self.started = True
        if self.ends_with_connection:
            self._connection.reset_on_close(True)
        return self._connection.send_first(data + self._framed(chunk) if chunk else data)

    def write(self, chunk: bytes) -> "Future[None]":
        """Write some of the body; the future is done when there is room for more.

        Raises HTTPOutputError, and cuts the answer, when it is more than Content-Length says.
        """
        if not self.started:  # its head could not be sent, and a body without one must not be
            self.cut()
        if self._closed:
            return self._connection.failed_write()
        return self._connection.send(self._framed(chunk))

    def finish(self) -> None:
        """End the answer; one that is not whole is cut, and raises HTTPOutputError."""
        if self._closed:
            return
        if self._left or not self.started:
            self.cut()
            lack = f"{self._left} bytes less than Content-Length" if self.started else "no head"
            raise HTTPOutputError(f"Tried to write {lack}")
        if self._chunked:
            self._connection.send(b"0\r\n\r\n")
        self._closed = True
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
        self.delegate = self._close_callback = None
        if not self._closed:
            self._closed = True
            self._connection.cut()

    @property
    def cut_reason(self) -> str:
        """Why the service has broken the connection off; empty where it was the client's doing."""
        return self._connection.cut_reason

    # What the connection calls.

    def lose(self) -> None:
        """Tell the application, once, that nobody waits for its answer any more."""
        self._closed = True
        self.tell_gone()

    def tell_gone(self) -> None:
        """Tell the application that the client has left; it may write nevertheless."""
        delegate, self.delegate = self.delegate, None
        callback, self._close_callback = self._close_callback, None
        if delegate is not None:
            delegate.on_connection_close()
        elif callback is not None:
            callback()

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
