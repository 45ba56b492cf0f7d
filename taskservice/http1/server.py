"""An HTTP/1.1 server on httptools that drives a Tornado Application, on any asyncio loop.

It does what `tornado.httpserver.HTTPServer` does, at a fraction of the cost: no task, no timer
and no future for a request, one write for a small answer. And it has what Tornado's lacks: an
answer to what is refused, and limits for clients that read slowly and for handlers that hang.

    listener.py    accepting connections, and those that are kept for probes
    wire.py        a client's socket: flow control, closing, slow readers
    connection.py  from bytes to requests in order, and to what Tornado calls delegates
    exchange.py    one request and its answer: what Tornado calls the connection
    parser.py      from bytes to heads; headers.py holds their fields
    request.py     what a head means; for requests on Tornado's server as well
    upload.py      a body on its way: how much of it may come, how fast it must
    body.py        where a body ends, and what is in it
    memory.py      what all large bodies hold together
    limits.py      what clients and handlers may take
    answer.py      writing
"""

import asyncio
import socket
import ssl
from asyncio import Future
from collections.abc import Callable, Iterable, Iterator

from tornado.httputil import HTTPServerConnectionDelegate, RequestStartLine
from tornado.log import app_log, gen_log
from tornado.netutil import bind_sockets

from taskservice.http1.answer import Refusal, Refuse, refusal_bytes, refuse_plainly
from taskservice.http1.connection import Connection
from taskservice.http1.listener import Listener
from taskservice.http1.limits import VANISHED_TIMEOUT, AllowLargeBody, LargeBody, Limits
from taskservice.http1.memory import BodyMemory, Claim
from taskservice.http1.parser import Head
from taskservice.http1.upload import Upload

__all__ = [
    "VANISHED_TIMEOUT", "AllowLargeBody", "HTTP1Server", "LargeBody", "Limits", "Refusal", "Refuse"]

DRAIN_GRACE = 1.0
"""How long a connection must have been idle to be closed at once when the server drains: the
next request of one that was busy just now is on its way, and would be lost."""

MAX_INTERVAL = 1.0
"""Seconds from one look at all connections to the next: by so much may a limit be exceeded."""

SWEEP_TURN = 0.01
"""Seconds after which that look lets the loop do other things: thousands may have exceeded one at once."""


class HTTP1Server:
    """Serves an Application, or any other delegate, on listening sockets."""

    def __init__(
        self, delegate: HTTPServerConnectionDelegate, limits: Limits = Limits(), *,
        refuse: Refuse = refuse_plainly,
        allow_large_body: AllowLargeBody = lambda start_line, headers, address: None,
        observe_body_memory: Callable[[int], object] = lambda size: None,
        is_probe: Callable[[RequestStartLine], bool] = lambda start_line: False,
        pass_too_large: bool = False, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        """Set the server up; to be called where the loop is that is to run it.

        `observe_body_memory` is called with the bytes that large bodies hold, when that changes.
        `is_probe` says which requests `Limits.reserve` is for.

        With `pass_too_large` a request whose body is too large goes to the application without the
        body, and `request.connection.too_large` is set; the connection closes after its answer.
        """
        self.pass_too_large = pass_too_large
        self.delegate = delegate
        self.limits = limits
        self._allow_large_body = allow_large_body
        self._is_probe = is_probe
        self._body_memory = BodyMemory(limits.body_memory, observe_body_memory)
        self.draining = False
        self.loop = asyncio.get_event_loop()
        self.time = self.loop.time
        self.done: Future[None] = self.loop.create_future()
        self.done.set_result(None)
        self._refuse = refuse
        self._ssl_context = ssl_context
        self.connections: set[Connection] = set()  # those that are open
        self._listener = Listener(
            self.loop, lambda: self.limits, self.connections, self._make_connection, self._open)
        self._empty: Future[None] | None = None
        self._sweeper: asyncio.Handle | None = None

    def take_settings(self, other: "HTTP1Server") -> None:
        """Have the limits, the refusals and the certificate that another server was made with.

        No connection is closed: requests that have begun keep their limits, connections their certificate.
        """
        idle_before = self.limits.idle_timeout
        self.limits, self._refuse, self._ssl_context = other.limits, other._refuse, other._ssl_context
        self._allow_large_body, self._is_probe = other._allow_large_body, other._is_probe
        self._body_memory.limit = other.limits.body_memory
        for connection in self.connections:
            connection.wait_longer(self.limits.idle_timeout - idle_before)
        self._listener.take_limits()
        self._sweep()

    # Listening.

    def listen(self, port: int, address: str | None = None) -> None:
        """Listen on a port of every address that `address` has."""
        self.add_sockets(bind_sockets(port, address=address))

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on listening sockets, which are closed by `stop`."""
        self._listener.add(sockets)

    def add_socket(self, sock: socket.socket) -> None:
        """Accept connections on a socket."""
        self.add_sockets([sock])

    def stop(self) -> None:
        """Accept no more connections; those that there are go on."""
        self._listener.stop()

    async def drain(self, timeout: float) -> bool:
        """Let each connection go after its next answer; return whether all have, in `timeout` s.

        Those that have been idle for DRAIN_GRACE seconds go at once, or as soon as they have been.
        """
        self.stop()
        self.draining = True
        for connection in self.connections:
            connection.drain(DRAIN_GRACE)
        self._sweep()
        try:
            async with asyncio.timeout(timeout):
                if self._listener.opening:  # those that came last; a handshake may hang
                    await asyncio.wait(self._listener.opening.values(), timeout=DRAIN_GRACE)
                await self._until_empty()
        except TimeoutError:
            return False
        return True

    async def close_all_connections(self) -> None:
        """Break off what is still connected."""
        self._listener.cancel_opening()
        for connection in list(self.connections):
            connection.abort("cut: not at its end in drain-timeout")
        await self._until_empty()

    def _make_connection(self, reserved: bool) -> Connection:
        return Connection(self, reserved)

    async def _open(self, connection: Connection, sock: socket.socket) -> None:
        sock.setblocking(False)
        secure = self._ssl_context is not None
        try:
            await self.loop.connect_accepted_socket(
                lambda: connection, sock, ssl=self._ssl_context,
                ssl_handshake_timeout=self.limits.header_timeout if secure else None)
        except OSError as error:  # it left, or broke off the handshake
            gen_log.debug("A connection was not opened: %s", error)
            sock.close()

    # Connections.

    @property
    def idle_timeout(self) -> float:
        """How long a connection waits for its next request."""
        return DRAIN_GRACE if self.draining else self.limits.idle_timeout

    def may_serve(self, start_line: RequestStartLine) -> bool:
        """Return whether a reserved connection may be answered: a probe, or if there is room again."""
        return self._is_probe(start_line) or not self._listener.full()

    def admit_body(self, upload: Upload, head: Head, address: str) -> None:
        """Let a body be large where its head and its client may have that."""
        large = self._allow_large_body(head.start_line, head.headers, address)
        if large is not None:
            upload.max_bytes = large.max_bytes
            upload.claim = Claim(self._body_memory, large.owner)

    def refusal(self, refusal: Refusal) -> bytes:
        """Return the answer to a refused request."""
        try:
            return refusal_bytes(refusal, *self._refuse(refusal))
        except Exception:
            app_log.error("Uncaught exception in the refusal of a request", exc_info=True)
            return refusal_bytes(refusal, *refuse_plainly(refusal))

    def opened(self, connection: Connection) -> None:
        """Count a connection in, and watch over it."""
        self.connections.add(connection)
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(self._interval(), self._sweep)

    def lost(self, connection: Connection) -> None:
        """Count a connection out."""
        self.connections.discard(connection)
        self.delegate.on_close(connection)
        self._listener.lost(connection)
        if not self.connections and self._empty is not None:
            self._empty.set_result(None)
            self._empty = None

    async def _until_empty(self) -> None:
        if self.connections:
            self._empty = self._empty or self.loop.create_future()
            await asyncio.shield(self._empty)

    def _sweep(self) -> None:
        """Look at every connection: one timer for all of them, and none is moved by a request."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._look(iter(list(self.connections)))

    def _look(self, connections: Iterator[Connection]) -> None:
        """Look at these, turn by turn, and at all again after a while."""
        self._sweeper, now = None, self.time()
        for connection in connections:
            if connection in self.connections:
                connection.look(now)
            if self.time() > now + SWEEP_TURN:
                self._sweeper = self.loop.call_soon(self._look, connections)
                return
        if self.connections:
            self._sweeper = self.loop.call_later(self._interval(), self._sweep)

    def _interval(self) -> float:
        limits = self.limits
        shortest = min(limits.header_timeout, limits.body_timeout, limits.answer_timeout,
                       limits.reader_timeout, limits.linger, self.idle_timeout)
        return min(MAX_INTERVAL, shortest / 4)
