"""A connection: turns the bytes that come into requests in order, and sends their answers back.

One request is with the application at a time. Further input stays unread, in the connection's buffer (at most one read
of it) and in the kernel's, until it is answered (RFC 9112 §9.3.2).
"""

import math
from asyncio import Future
from asyncio.transports import BaseTransport
from collections.abc import Callable
from functools import partial
from typing import Any

from tornado.gen import convert_yielded
from tornado.httputil import HTTPInputError, HTTPMessageDelegate
from tornado.log import app_log

from taskservice.http1.answer import CONTINUE, Refusal
from taskservice.http1.exchange import Exchange
from taskservice.http1.owner import Server
from taskservice.http1.parser import Head, PartialHead, guess_line, parse_head, whole_head
from taskservice.http1.request import BadRequest
from taskservice.http1.upload import Upload
from taskservice.http1.state import ANSWER, BODY, HEAD, HELD, IDLE
from taskservice.http1.wire import Wire

TURN = 64 * 1024
"""Yield to other connections after this many bytes: the event loop would go on to read, up to 32 times, and the input
may be made to be expensive."""


class Connection(Wire):
    """Serves one client, from a request to the next; `state` is its state."""

    __slots__ = (
        "_server", "_reserved", "_buffer", "_partial", "_exchange", "_delegate", "_eof")

    def __init__(self, server: "Server[Connection]", reserved: bool = False) -> None:
        super().__init__(server)
        self._server = server
        self._reserved = reserved  # for probes
        self._buffer = b""
        self._partial: PartialHead | None = None  # the head that is incomplete in HEAD
        self._exchange: Exchange | None = None  # the request that is with the application
        self._delegate: HTTPMessageDelegate | None = None  # receives it, until it is complete
        self._eof = False

    # Called by the event loop and the server.

    def connection_made(self, transport: BaseTransport) -> None:
        """Start to wait for a request."""
        super().connection_made(transport)
        self._server.opened(self)
        self.allow(self._server.idle_timeout)

    def data_received(self, data: bytes) -> None:
        """Take input, and process it; input after the last answer is discarded."""
        if self.state.takes_input:
            self._buffer = self._buffer + data if self._buffer else data
            self._advance()
            if len(data) >= TURN and self.state.takes_input and self._reading:
                self.read(False)
                self.loop.call_soon(self._advance)  # reads on
        else:
            self.discard(data)

    def eof_received(self) -> bool:
        """Notify the application that its client has ended its input, but answer: it may still read."""
        self._eof = True
        if self.state is ANSWER and self._exchange is not None:
            self._tell(self._exchange.tell_gone)
        self._advance()
        if self.context.protocol != "https":
            return self.state.takes_input
        if self._exchange is not None and self._exchange.started:  # TLS has no half-closed connections
            self.cut()
        return False

    def resume_writing(self) -> None:
        """Resume writers, and start the next request."""
        super().resume_writing()
        self.loop.call_soon(self._advance, context=self._variables)

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the application that the client has left."""
        super().connection_lost(exc)
        self._server.lost(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.lose()
            self._tell(self._tell_gone, exchange)

    def expired(self) -> None:
        """Act on a timeout: of the wait for a request, of the request, or of its answer."""
        if self._idle:
            self.close()
        elif self._exchange is None:
            self.refuse(408, "The head took too long to come")
        elif self.state is BODY and self._exchange.upload is not None:
            self.refuse(408, self._exchange.upload.lateness())
        else:
            self.refuse(503, "The answer took too long")

    def drain(self, grace: float) -> None:
        """Close an idle connection, once idle for `grace` seconds; a busy one after its answer."""
        self.wait_longer(grace - self._server.limits.idle_timeout)
        if not self.state.takes_input:
            self._linger_at_most(self._server.limits.linger)

    def wait_longer(self, seconds: float) -> None:
        """Extend the wait of an idle connection for its next request; negative `seconds` shorten it."""
        if self._idle:
            self.deadline += seconds

    def give_way(self) -> bool:
        """End it, and return True, unless a request is being answered."""
        if self._exchange is None:
            self.abort("")
        return self._exchange is None

    def abort(self, reason: str) -> None:
        """End the connection now."""
        self.break_off(reason, answering=self._exchange is not None and self._exchange.started)

    @property
    def _idle(self) -> bool:
        """Whether nothing of a request has come, and none is being answered."""
        return self.state is IDLE and not self._buffer

    # Called by an exchange.

    def may_stay(self, exchange: Exchange) -> bool:
        """Return whether another request can follow this one."""
        return (exchange.head.keep_alive and self.state is ANSWER and not exchange.too_large
                and not (self._eof or self._reserved or self._server.draining))

    def send_first(self, data: bytes) -> "Future[None]":
        """Send the first bytes of an answer: from now on its duration has no limit."""
        if self.state is ANSWER:
            self.deadline = math.inf
        return self.send(data)

    def drop(self) -> None:
        """Break off at the application's own wish, without a call to it."""
        self._delegate = None
        self.cut()

    def answered(self, exchange: Exchange) -> None:
        """Go on to the next request, or close, after the end of an answer."""
        self._exchange = None
        if exchange.upload is not None:
            exchange.release()
        if self.state.in_request:  # the application has not seen, and did not want, the whole request
            self.loop.call_soon(self._tell, self._tell_gone, exchange)
        if self.state.in_request or exchange.too_large:
            self.close(linger=not self._eof)
        elif not exchange.keep_alive:
            # More may be on its way from a client that did not know that this is the last request; but a client that
            # does not see the end of the answer while input is read (TLS) waits for that.
            self.close(linger=not (self._eof or self._server.draining) and self._transport.can_write_eof())
        else:
            self.state = self.state.to(IDLE)
            self.allow(self._server.idle_timeout)
            if self._buffer or self._eof or not self._reading:  # the next must not see this one's context variables
                self.loop.call_soon(self._advance, context=self._variables)

    def refuse(self, status: int, message: str) -> None:
        """Answer for the application, which has not seen the request or takes too long; then close."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            method, uri = guess_line(self._partial.block if self._partial else self._buffer)
            refusal = Refusal(status, message, method, uri, self.context.remote_ip)
        else:
            exchange.refused = 0 if exchange.started else status
            exchange.lose()
            self._tell(self._tell_gone, exchange)
            if exchange.started:
                self.cut()
                return
            refusal = exchange.refusal(status, message)
        self.send(self._server.refusal(refusal))
        self.close(linger=not self._eof)

    # Reading.

    def _advance(self) -> None:
        """Proceed as far as the input, the application and the client allow."""
        try:
            while self.state.takes_input and self._step():
                pass
        except BadRequest as error:
            self.refuse(error.status, error.message)
        if self.state.takes_input and self._eof:
            self._end()
        if self.state.takes_input:  # with a full buffer do not read; else do, to see a client's end
            self.read(self.state is not HELD and not (
                self._buffer and (self._paused or self._exchange is not None)))

    def _step(self) -> bool:
        """Take a head or a piece of a body; False if it has to wait first."""
        exchange = self._exchange
        if exchange is None:
            return bool(self._buffer) and not self._paused and self._begin()
        if self.state is not BODY:
            return False
        if exchange.upload is None or exchange.upload.complete:
            self._received(exchange)
            return True
        return bool(self._buffer) and self._read_body(exchange, exchange.upload)

    def _end(self) -> None:
        """Close, now that the client has ended its input, unless there is work left."""
        if self._paused or self.state in (HELD, ANSWER):
            return
        if self._idle:
            self.close()
        else:
            self.refuse(400, "The request ended before it was complete")

    def _begin(self) -> bool:
        """Start the next request once its head is complete; raises BadRequest."""
        block, limits = b"", self._server.limits
        if self._partial is None:
            block, self._buffer = whole_head(self._buffer, limits.header_bytes)
            if not block and self._buffer not in (b"", b"\r"):
                self.state = self.state.to(HEAD)
                self._partial = PartialHead(limits.header_bytes)
                self.allow(limits.header_timeout)
        if self._partial is not None:
            block, self._buffer = self._partial.take(self._buffer)
        if block:
            rest, self._buffer = self._buffer, block  # a refusal quotes its line
            head = parse_head(block)
            self._buffer = rest
            self._open_exchange(head)
        return bool(block)

    def _open_exchange(self, head: Head) -> None:
        """Pass a head to the application."""
        server = self._server
        self._partial, self.state = None, self.state.to(BODY)
        self._exchange = exchange = Exchange(self, head)
        if self._reserved and not server.may_serve(head.start_line):
            self.refuse(503, "All connections are taken (max-connections)")
            return
        if head.length:
            exchange.upload = upload = Upload(head.length, server.limits)
            if upload.may_grow_large:
                self._tell(server.admit_body, upload, head, self.context.remote_ip)
        if self._exchange is not None:
            self._delegate = self._tell(server.delegate.start_request, self, exchange)
        if self._delegate is None:
            return
        self._ask(self._delegate.headers_received, head.start_line, head.headers)
        if self.state is BODY:
            self._expect_body()

    def _expect_body(self) -> None:
        """Refuse a body that is too large; ask for one that the client holds back (RFC 9110 §10.1.1)."""
        exchange = self._exchange
        if exchange is None or (upload := exchange.upload) is None:
            return
        self.deadline = upload.begin(self._server.time())
        if upload.too_large:
            self._too_large(exchange, upload)
            return
        if exchange.head.waits and not self._buffer and not exchange.started:
            self.send(CONTINUE)

    def _read_body(self, exchange: Exchange, upload: Upload) -> bool:
        """Pass a piece of the body to the application; raises BadRequest."""
        assert self._delegate is not None
        data, self._buffer = upload.take(self._buffer)
        if upload.too_large:
            self._too_large(exchange, upload)
            return False
        upload.hold()
        if not upload.complete:
            self.deadline = upload.deadline(self._server.time())
        if data:
            self._ask(self._delegate.data_received, data)
        return True

    def _too_large(self, exchange: Exchange, upload: Upload) -> None:
        """Let the application refuse a request, as it may know other faults; else refuse it here."""
        if self._server.pass_too_large:
            exchange.too_large = True
            self._received(exchange)
        else:
            self.refuse(413, f"The body is larger than {upload.max_bytes} bytes")

    def _received(self, exchange: Exchange) -> None:
        """Notify the application that the request is complete."""
        delegate, self._delegate = self._delegate, None
        assert delegate is not None
        self.state = self.state.to(ANSWER)
        self.allow(math.inf if exchange.started else self._server.limits.answer_timeout)
        self._tell(delegate.finish)

    # Calls of the application, whose errors must not break the connection.

    def _tell_gone(self, exchange: Exchange) -> None:
        """Notify the application that the client has left: the receiver of the request, or the handler."""
        delegate, self._delegate = self._delegate, None
        if delegate is None:
            exchange.tell_gone()
        else:
            delegate.on_connection_close()
        exchange.forget()

    def _tell(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call the application; an exception is answered if anybody still waits."""
        try:
            return call(*args)
        except Exception as error:
            self._failed(error)
            return None

    def _ask(self, call: Callable[..., Any], *args: Any) -> None:
        """Pass a piece of a request to it; read no further before it has processed that."""
        answer = self._tell(call, *args)
        if answer is not None:
            taken = convert_yielded(answer)
            if self.state is BODY:  # else it was answered meanwhile
                self.state = self.state.to(HELD)
                self.allow(self._server.limits.answer_timeout)
                taken.add_done_callback(partial(self._unblocked, self._server.time()))

    def _unblocked(self, since: float, future: "Future[Any]") -> None:
        error = None if future.cancelled() else future.exception()
        if self.state is not HELD:
            return
        self.state = self.state.to(BODY)
        if error is not None:
            self._failed(error)
        elif self._exchange is not None and (upload := self._exchange.upload) is not None and upload.size:
            now = self._server.time()
            upload.pause(now - since)
            self.deadline = upload.deadline(now)
        else:
            self._expect_body()
        self._advance()

    def _failed(self, error: BaseException) -> None:
        status, message = 400, str(error)
        if not isinstance(error, HTTPInputError):
            app_log.error("Uncaught exception", exc_info=error)
            status, message = 500, "Internal Server Error"
        if self._exchange is not None:
            self.refuse(status, message)
