"""A connection: from the bytes that come to requests in order, and their answers back.

One request is with the application at a time. What follows it stays unread, in the connection's
buffer (no more than one read of it) and in the kernel's, until it is answered (RFC 9112 §9.3.2).
"""

import math
import re
from asyncio import Future
from asyncio.transports import BaseTransport
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tornado.gen import convert_yielded
from tornado.httputil import HTTPInputError
from tornado.log import app_log

from taskservice.tornado.http1_answer import Refusal
from taskservice.tornado.http1_exchange import Exchange
from taskservice.tornado.http1_parser import HEAD_END, Head, PartialHead, guess_line, parse_head
from taskservice.tornado.http1_request import BadRequest
from taskservice.tornado.http1_wire import Wire

if TYPE_CHECKING:
    from taskservice.tornado.http1 import HTTP1Server

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")

TURN = 64 * 1024
"""After how many bytes at once others have their turn: the event loop would go on to read, up to
32 times, and what is read may have been made to be hard to take."""


class Connection(Wire):
    """Serves one client, from a request to the next."""

    __slots__ = ("_buffer", "_exchange", "_partial", "_reading", "_blocked", "_eof")

    def __init__(self, server: "HTTP1Server") -> None:
        super().__init__(server)
        self._buffer = b""
        self._exchange: Exchange | None = None
        self._partial: PartialHead | None = None  # a head that arrives in pieces
        self._reading = True
        self._blocked = False  # the application takes its time with a piece of the request
        self._eof = False

    # What the event loop and the server call.

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._server.opened(self)
        self.allow(self._server.idle_timeout)

    def data_received(self, data: bytes) -> None:
        """Take what has come, and go on; what comes after the last answer is thrown away."""
        if self._open:
            self._buffer = self._buffer + data if self._buffer else data
            self._advance()
            if len(data) >= TURN and self._open and self._reading:
                self._reading = False
                self._transport.pause_reading()
                self.loop.call_soon(self._advance)  # reads on
        else:
            self.discard(data)

    def eof_received(self) -> bool:
        """Tell the application that its client has left, but answer: it may still be reading."""
        self._eof = True
        if self._exchange is not None and self._exchange.delegate is None:
            self._tell(self._exchange.tell_gone)
        self._advance()
        if self.context.protocol != "https":
            return self._open
        if self._answering():  # TLS ends with its client's end: there is no half-closed
            self.cut()
        return False

    def resume_writing(self) -> None:
        """Let writers go on, and the next request begin."""
        super().resume_writing()
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application that the client has left."""
        super().connection_lost(exc)
        self._server.lost(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._tell(exchange.lose)

    def expired(self) -> None:
        """End what takes too long: a wait for a request, the request, or the answer to it."""
        if self._idle:
            self.close()
        elif self._exchange is None:
            self.refuse(408, "The head took too long to come")
        elif self._exchange.delegate is not None and not self._blocked:
            self.refuse(408, "The body took too long to come")
        else:
            self.refuse(503, "The answer took too long")

    def drain(self, grace: float) -> None:
        """Close an idle connection, once idle for `grace` seconds; another after its answer."""
        if not self._open:
            self._linger_at_most(self._server.limits.linger)
        elif self._idle:
            self.deadline += grace - self._server.limits.header_timeout

    def abort(self, reason: str) -> None:
        """End the connection now: by a reset where an answer would look whole that is not."""
        if self._answering() or self._transport.get_write_buffer_size():
            self.cut(reason)
        else:
            self.cut_reason = reason
            self._open = False
            self._transport.abort()

    def _answering(self) -> bool:
        """Tell whether an answer has begun and not ended."""
        return self._exchange is not None and self._exchange.started

    @property
    def _idle(self) -> bool:
        """Whether nothing of a request has come, and none is being answered."""
        return self._exchange is None and not self._buffer and self._partial is None

    # What an exchange calls.

    def may_stay(self, exchange: Exchange) -> bool:
        """Tell whether there can be another request after this one."""
        return (exchange.head.keep_alive and exchange.delegate is None and not exchange.too_large
                and not self._eof and not self._server.draining)

    def send_first(self, data: bytes) -> "Future[None]":
        """Send the first of an answer: from now on it takes the time that it takes."""
        if self._exchange is not None and self._exchange.delegate is None:
            self.deadline = math.inf
        return self.send(data)

    def answered(self, exchange: Exchange) -> None:
        """Go on to the next request, or close, after the end of an answer."""
        self._exchange = None
        if exchange.delegate is not None:  # it has not seen, and did not want, all of the request
            self.loop.call_soon(self._tell, exchange.tell_gone)
            self.close(linger=not self._eof)
        elif exchange.too_large:
            self.close(linger=not self._eof)
        elif not exchange.keep_alive:
            # There may be more on its way from a client that did not know that this is the last.
            self.close(linger=self._can_linger())
        else:
            self.allow(self._server.idle_timeout)
            if self._buffer or self._eof or not self._reading:
                self.loop.call_soon(self._advance)

    def _can_linger(self) -> bool:
        """Tell whether the client sees the end of the last answer even while input is read."""
        return not self._eof and not self._server.draining and self._transport.can_write_eof()

    def refuse(self, status: int, message: str) -> None:
        """Answer for the application, which has not seen the request or takes too long; close."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            method, uri = guess_line(self._partial.block if self._partial else self._buffer)
        else:
            method, uri, _version = exchange.head.start_line
            exchange.refused = 0 if exchange.started else status
            self._tell(exchange.lose)
        if exchange is not None and exchange.started:
            self.cut()
            return
        headers, request_id = (exchange.head.headers, exchange.request_id) if exchange else (None, "")
        seconds = None if exchange is None else self._server.time() - exchange.began
        refusal = Refusal(
            status, message, method, uri, self.context.remote_ip, headers, request_id, seconds)
        self.send(self._server.refusal(refusal))
        self.close(linger=not self._eof)

    # Reading.

    def _advance(self) -> None:
        """Go as far as the input, the application and the client let it."""
        try:
            while self._open and self._step():
                pass
        except BadRequest as error:
            self.refuse(error.status, error.message)
        if self._open and self._eof:
            self._end()
        if self._open:
            self._regulate()

    def _step(self) -> bool:
        """Take a head or a piece of a body; False: there is something to wait for first."""
        exchange = self._exchange
        if exchange is None:
            return bool(self._buffer) and not self._paused and self._begin()
        if exchange.delegate is None or self._blocked:
            return False
        if exchange.body is None or exchange.body.complete:
            self._received(exchange)
            return True
        return bool(self._buffer) and self._read_body(exchange)

    def _regulate(self) -> None:
        """Read no further than into the buffer; else do read, so that a client's end is seen."""
        reading = not self._blocked and not (
            self._buffer and (self._paused or self._exchange is not None))
        if reading != self._reading and not self._transport.is_closing():
            self._reading = reading
            if reading:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _end(self) -> None:
        """Close, now that the client has ended its input, unless there is something to do."""
        exchange = self._exchange
        if self._blocked or self._paused or (exchange is not None and exchange.delegate is None):
            return
        if self._idle:
            self.close()
        else:
            self.refuse(400, "The request ended before it was complete")

    def _begin(self) -> bool:
        """Start on the next request when its head is there; raises BadRequest."""
        if self._partial is None:
            if (empty := _EMPTY_LINES.match(self._buffer)) is not None:  # RFC 9112 §2.2
                self._buffer = self._buffer[empty.end():]
            size = self._buffer.find(HEAD_END) + len(HEAD_END)
            if len(HEAD_END) <= size <= self._server.limits.header_bytes:
                self._open_exchange(parse_head(self._buffer[:size]), self._buffer[size:])
                return True
            if self._buffer in (b"", b"\r"):
                return False
            self._partial = PartialHead(self._server.limits.header_bytes)
            self.allow(self._server.limits.header_timeout)
        block, self._buffer = self._partial.take(self._buffer)
        if not block:
            return False
        self._open_exchange(parse_head(block), self._buffer)
        return True

    def _open_exchange(self, head: Head, rest: bytes) -> None:
        """Hand a head to the application; `rest` came after it."""
        server = self._server
        self._partial = None
        self._buffer = rest
        self._exchange = exchange = Exchange(self, head)
        if head.length:
            exchange.max_body = self._tell(server.body_limit, head) or 0
        if self._exchange is not None:
            exchange.delegate = self._tell(server.delegate.start_request, self, exchange)
        if exchange.delegate is None:
            return
        self._ask(exchange.delegate.headers_received, head.start_line, head.headers)
        if not self._blocked:
            self._expect_body()

    def _expect_body(self) -> None:
        """Refuse a body that is too large; ask for one that is held back (RFC 9110 §10.1.1)."""
        exchange = self._exchange
        if exchange is None or not exchange.head.length:
            return
        timeout = exchange.body_timeout
        self.allow(self._server.limits.body_timeout if timeout is None else timeout)
        if exchange.head.length > exchange.max_body:
            self._too_large(exchange)
            return
        if exchange.head.waits and not self._buffer and not exchange.started:
            self.send(_CONTINUE)

    def _read_body(self, exchange: Exchange) -> bool:
        """Hand a piece of the body to the application; raises BadRequest."""
        assert exchange.body is not None and exchange.delegate is not None
        data, self._buffer = exchange.body.take(self._buffer)
        portion = self._server.limits.body_bytes  # what may take body_timeout
        before, exchange.size = exchange.size, exchange.size + len(data)
        if exchange.size > exchange.max_body:
            self._too_large(exchange)
            return False
        if exchange.body_timeout is None and before // portion != exchange.size // portion:
            self.allow(self._server.limits.body_timeout)
        if data:
            self._ask(exchange.delegate.data_received, data)
        return True

    def _too_large(self, exchange: Exchange) -> None:
        """Have a request refused by the application, which knows what else is wrong, or here."""
        if self._server.pass_too_large:
            exchange.too_large = True
            self._received(exchange)
        else:
            self.refuse(413, f"The body is larger than {exchange.max_body} bytes")

    def _received(self, exchange: Exchange) -> None:
        """Tell the application that it has the whole request."""
        delegate, exchange.delegate = exchange.delegate, None
        assert delegate is not None
        if exchange.started:
            self.deadline = math.inf
        else:
            self.allow(self._server.limits.answer_timeout)
        self._tell(delegate.finish)

    # The application, whose errors must not break the connection's.

    def _tell(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call the application; what it raises is answered, if anybody still waits."""
        try:
            return call(*args)
        except Exception as error:
            self._failed(error)
            return None

    def _ask(self, call: Callable[..., Any], *args: Any) -> None:
        """Call it with a piece of a request; read no further before it is done with that."""
        answer = self._tell(call, *args)
        if answer is not None:
            self._blocked = True
            left = self.deadline - self._server.time()  # for the client to send the rest
            self.allow(self._server.limits.answer_timeout)
            convert_yielded(answer).add_done_callback(partial(self._unblocked, left))

    def _unblocked(self, left: float, future: "Future[Any]") -> None:
        self._blocked = False
        error = None if future.cancelled() else future.exception()
        if self._exchange is None:
            return
        self.allow(left)
        if error is not None:
            self._failed(error)
        elif self._exchange.size == 0:
            self._expect_body()
        self._advance()

    def _failed(self, error: BaseException) -> None:
        status, message = 400, str(error)
        if not isinstance(error, HTTPInputError):
            app_log.error("Uncaught exception", exc_info=error)
            status, message = 500, "Internal Server Error"
        if self._exchange is not None:
            self.refuse(status, message)
