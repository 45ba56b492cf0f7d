"""An HTTP/1.1 server on httptools that drives a Tornado Application, on any asyncio loop.

It does what `tornado.httpserver.HTTPServer` does, at a fraction of the cost: no task, no timer
and no future for a request, one write for a small answer. And it has what Tornado's lacks: an
answer to what is refused, and limits for clients that read slowly and for handlers that hang.

    http1_wire.py        a client's socket: flow control, closing, slow readers
    http1_connection.py  from bytes to requests in order, and to what Tornado calls delegates
    http1_exchange.py    one request and its answer: what Tornado calls the connection
    http1_parser.py      from bytes to heads; http1_headers.py holds their fields
    http1_request.py     what a head means; for requests on Tornado's server as well
    http1_body.py        where a body ends, and what is in it
    http1_answer.py      writing
"""

import asyncio
import errno
import socket
import ssl
from asyncio import Future
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tornado.httputil import HTTPHeaders, HTTPServerConnectionDelegate, RequestStartLine
from tornado.log import app_log, gen_log
from tornado.netutil import bind_sockets

from taskservice.tornado.http1_answer import Refusal, Refuse, refusal_bytes, refuse_plainly
from taskservice.tornado.http1_connection import Connection
from taskservice.tornado.http1_parser import Head

__all__ = ["HTTP1Server", "Limits", "MaxBody", "Refusal", "Refuse"]

DRAIN_GRACE = 1.0
"""How long a connection must have been idle to be closed at once when the server drains: the
next request of one that was busy just now is on its way, and would be lost."""

ACCEPT_RETRY = 0.25
"""Seconds to wait where no connection can be accepted for want of file descriptors or memory."""

MAX_INTERVAL = 1.0
"""Seconds from one look at all connections to the next: by so much may a limit be exceeded."""

_ACCEPTS_AT_ONCE = 64
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

MaxBody = Callable[[RequestStartLine, HTTPHeaders], int | None]
"""Tells how many bytes the body of a request may have; None: what the limits say."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients and handlers may take, in bytes and seconds."""

    header_bytes: int = 16 * 1024
    body_bytes: int = 64 * 1024
    header_timeout: float = 30.0
    """To the end of a request's head; and how long a connection may be idle."""
    body_timeout: float = 20.0
    """For a body; for each `body_bytes` of one that may be larger."""
    answer_timeout: float = 10.0
    """From the end of a request to the first byte of its answer, which is a 503 after that.

    The handler is told that its client has left, and what it still writes goes nowhere. It is not
    cancelled: it may be in the middle of a write that must be whole, and of which only it knows.
    """
    reader_timeout: float = 30.0
    """Without the client taking anything of what waits to be sent."""
    linger: float = 5.0
    """Without input, before a connection closes whose last answer went out: a client that is
    slow to send a body that was refused reads the answer when it has sent all of it."""
    linger_timeout: float = 120.0
    """How long that may take; only `linger` once the server drains."""
    linger_bytes: int = 64 * 1024 * 1024
    """How much of what comes meanwhile is thrown away."""
    connections: int = 16_000


class HTTP1Server:
    """Serves an Application, or any other delegate, on listening sockets."""

    def __init__(
        self, delegate: HTTPServerConnectionDelegate, limits: Limits = Limits(), *,
        refuse: Refuse = refuse_plainly, max_body: MaxBody = lambda start_line, headers: None,
        pass_too_large: bool = False, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        """Set the server up; to be called where the loop is that is to run it.

        With `pass_too_large` a request whose body is too large goes to the application without the
        body, and `request.connection.too_large` is set; the connection closes after its answer.
        """
        self.pass_too_large = pass_too_large
        self.delegate = delegate
        self.limits = limits
        self._max_body = max_body
        self.draining = False
        self.loop = asyncio.get_event_loop()
        self.time = self.loop.time
        self.done: Future[None] = self.loop.create_future()
        self.done.set_result(None)
        self._refuse = refuse
        self._ssl_context = ssl_context
        self._sockets: list[socket.socket] = []
        self._accepting = False
        self._opening: set[asyncio.Task[None]] = set()
        self.connections: set[Connection] = set()  # those that are open
        self._empty: Future[None] | None = None
        self._drain_grace = DRAIN_GRACE
        self._sweeper: asyncio.TimerHandle | None = None

    # Listening.

    def listen(self, port: int, address: str | None = None) -> None:
        """Listen on a port of every address that `address` has."""
        self.add_sockets(bind_sockets(port, address=address))

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on listening sockets, which are closed by `stop`."""
        self._stop_accepting()
        for sock in sockets:
            sock.setblocking(False)
            self._sockets.append(sock)
        self._start_accepting()

    def add_socket(self, sock: socket.socket) -> None:
        """Accept connections on a socket."""
        self.add_sockets([sock])

    def stop(self) -> None:
        """Accept no more connections; those that there are go on."""
        self._stop_accepting()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    async def drain(self, timeout: float, grace: float = DRAIN_GRACE) -> bool:
        """Let each connection go after its next answer; return whether all have, in `timeout` s.

        Those that have been idle for `grace` seconds go at once, or as soon as they have been.
        """
        self.stop()
        self.draining, self._drain_grace = True, grace
        for connection in self.connections:
            connection.drain(grace)
        self._sweep()
        try:
            await asyncio.wait_for(self._until_empty(), timeout)
        except TimeoutError:
            return False
        return True

    async def close_all_connections(self) -> None:
        """Break off what is still connected."""
        for task in self._opening:
            task.cancel()
        for connection in list(self.connections):
            connection.abort("cut: not at its end in drain-timeout")
        await self._until_empty()

    def _start_accepting(self) -> None:
        if self._sockets and not self._accepting and not self._full():
            self._accepting = True
            for sock in self._sockets:
                self.loop.add_reader(sock, self._accept, sock)

    def _stop_accepting(self) -> None:
        if self._accepting:
            self._accepting = False
            for sock in self._sockets:
                self.loop.remove_reader(sock)

    def _accept(self, listening: socket.socket) -> None:
        """Take the connections that wait, up to the limit; more wait in the kernel's queue.

        There another process that listens on the same socket finds them.
        """
        for _ in range(_ACCEPTS_AT_ONCE):
            if self._full():
                self._stop_accepting()
                return
            try:
                sock, _address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._not_accepted(error)
                return
            task = self.loop.create_task(self._open(sock))
            self._opening.add(task)  # the loop itself would not keep it alive
            task.add_done_callback(self._opening_done)

    def _full(self) -> bool:
        return len(self.connections) + len(self._opening) >= self.limits.connections

    def _opening_done(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        self._start_accepting()

    def _not_accepted(self, error: OSError) -> None:
        """Wait a moment, where to try again at once would be to spin."""
        if error.errno not in _EXHAUSTED:
            raise error
        gen_log.warning("Cannot accept connections: %s", error.strerror)
        self._stop_accepting()
        self.loop.call_later(ACCEPT_RETRY, self._start_accepting)

    async def _open(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        secure = self._ssl_context is not None
        try:
            await self.loop.connect_accepted_socket(
                lambda: Connection(self), sock, ssl=self._ssl_context,
                ssl_handshake_timeout=self.limits.header_timeout if secure else None)
        except OSError as error:  # it left, or broke off the handshake
            gen_log.debug("A connection was not opened: %s", error)
            sock.close()

    # Connections.

    @property
    def idle_timeout(self) -> float:
        """How long a connection waits for its next request."""
        return self._drain_grace if self.draining else self.limits.header_timeout

    def body_limit(self, head: Head) -> int:
        """Return how many bytes the body of a request may have."""
        limit = self._max_body(head.start_line, head.headers)
        return self.limits.body_bytes if limit is None else limit

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
        self._start_accepting()
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
            self._sweeper = None
        now = self.time()
        for connection in list(self.connections):
            connection.look(now)
        if self.connections:
            self._sweeper = self.loop.call_later(self._interval(), self._sweep)

    def _interval(self) -> float:
        limits = self.limits
        shortest = min(limits.header_timeout, limits.body_timeout, limits.answer_timeout,
                       limits.reader_timeout, limits.linger, self.idle_timeout)
        return min(MAX_INTERVAL, shortest / 4)
