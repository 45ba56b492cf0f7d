"""Listening sockets: a limited number of connections, and a reserve for probes.

Beyond the limit connections wait in the kernel's queue, where another process that listens on the same socket finds
them. A service with all its connections taken should not be restarted for that, so probes are let in: every
`RESERVE_INTERVAL` seconds the connections that still wait are taken from the queue as reserved ones, each of which
answers one probe and nothing else.
"""

import asyncio
import errno
import select
import socket
from collections.abc import Callable, Collection, Coroutine, Iterable
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from tornado.log import gen_log

from taskservice.http1.limits import Limits

ACCEPT_RETRY = 0.25
"""Seconds to wait when no connection can be accepted for lack of file descriptors or memory."""

RESERVE_INTERVAL = 0.05
"""Seconds in which other processes with room take the waiting connections."""

KEEPALIVE_PROBES = 3
"""How many probes of an idle connection may go unanswered before it ends."""

MAX_KEEPALIVE, MAX_USER_TIMEOUT = 32_767, 2 ** 31 - 1
"""The largest that Linux takes: seconds until a probe and between two, and milliseconds without an answer (tcp(7))."""

_ACCEPTS_AT_ONCE = 64
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Guest(Protocol):
    """A connection, as the listener sees it."""

    def give_way(self) -> bool:
        """End it, and return True, unless it is being answered."""


G = TypeVar("G", bound=Guest)


class Listener(Generic[G]):
    """Accepts connections on any number of sockets."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, limits: Callable[[], Limits], connections: Collection[G],
        make_connection: Callable[[bool], G],
        open_connection: Callable[[G, socket.socket], Coroutine[Any, Any, None]]
    ) -> None:
        """Take the function that makes a connection, reserved or not, and the one that opens it; `connections` are
        open."""
        self._loop = loop
        self._limits = limits
        self._connections = connections
        self._make = make_connection
        self._open = open_connection
        self._sockets: list[socket.socket] = []
        self._accepting = False
        self._resting = False
        self._reserve_timer: asyncio.TimerHandle | None = None
        self.opening: dict[G, asyncio.Task[None]] = {}
        """Those whose TLS handshake is under way, or about to begin, each with the task that opens it."""
        # The oldest first, each with the time of its arrival.
        self._reserved: dict[G, float] = {}

    def add(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on these sockets, too."""
        self.pause()
        for sock in sockets:
            sock.setblocking(False)
            self._sockets.append(sock)
        self.take_limits()

    def take_limits(self) -> None:
        """Have the limits, which may have changed, hold for the connections that are accepted from now on."""
        for sock in self._sockets:
            _notice_vanished(sock, self._limits().vanished_timeout)
        self.resume()

    def stop(self) -> None:
        """Accept what waits, as far as there is room: it would be reset otherwise; then close the sockets."""
        for sock in self._sockets if self._accepting else ():
            while not self.full() and self._take_one(sock, reserved=False):
                pass
        self.pause()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    def cancel_opening(self) -> None:
        """Stop opening connections."""
        for connection in self.opening:
            self._cancel(connection)

    def _cancel(self, connection: G) -> bool:
        """Cancel the opening of a connection, and return True; False: it is open already.

        Cancelled then, uvloop would close it without calling `connection_lost`, and it would count for ever.
        """
        if connection in self._connections:
            return False
        self.opening[connection].cancel()
        return True

    def full(self) -> bool:
        """Return whether the limit of connections is reached."""
        taken = len(self._connections) + len(self.opening) - len(self._reserved)
        return taken >= self._limits().connections

    def resume(self) -> None:
        """Accept, if there is room."""
        if self._accepting or self._resting or not self._sockets:
            return
        if self.full():
            self._watch_for_probes()
            return
        self._accepting = True
        for sock in self._sockets:
            self._loop.add_reader(sock, self._accept, sock)

    def pause(self) -> None:
        """Stop accepting."""
        if self._accepting:
            self._accepting = False
            for sock in self._sockets:
                self._loop.remove_reader(sock)
        if self._reserve_timer is not None:
            self._reserve_timer.cancel()
            self._reserve_timer = None

    def _accept(self, listening: socket.socket) -> None:
        """Take the waiting connections, up to the limit."""
        for _ in range(_ACCEPTS_AT_ONCE):
            if self.full():
                self.pause()
                self._watch_for_probes()
                return
            if not self._take_one(listening, reserved=False):
                return

    def _take_one(self, listening: socket.socket, reserved: bool) -> bool:
        """Accept a connection, and return True, if one waits."""
        try:
            sock, _address = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            self._not_accepted(error)
            return False
        connection = self._make(reserved)
        task = self._loop.create_task(self._open(connection, sock))
        self.opening[connection] = task  # the loop itself would not keep it alive
        task.add_done_callback(partial(self._opened, connection))
        if reserved:
            self._reserved[connection] = self._loop.time()
        return True

    def _opened(self, connection: G, task: asyncio.Task[None]) -> None:
        del self.opening[connection]
        if connection not in self._connections:
            self.lost(connection)
        else:
            self.resume()

    def lost(self, connection: G) -> None:
        """Take another connection, now that this one is closed, or was not opened."""
        self._reserved.pop(connection, None)
        self.resume()

    def _not_accepted(self, error: OSError) -> None:
        """Wait a moment: trying again at once would be a busy loop."""
        if error.errno not in _EXHAUSTED:
            raise error
        gen_log.warning("Cannot accept connections: %s", error.strerror)
        self.pause()
        self._resting = True
        self._loop.call_later(ACCEPT_RETRY, self._rested)

    def _rested(self) -> None:
        self._resting = False
        self.resume()

    # The reserve.

    def _watch_for_probes(self) -> None:
        if self._limits().reserve and self._reserve_timer is None:
            self._reserve_timer = self._loop.call_later(RESERVE_INTERVAL, self._take_probes)

    def _take_probes(self) -> None:
        """Let waiting connections in, as far as the reserve has room, or can make some."""
        self._reserve_timer = None
        for sock in self._sockets:
            taken = self.full()
            while taken and self._has_reserve(sock):
                taken = self._take_one(sock, reserved=True)
        self.resume()

    def _has_reserve(self, sock: socket.socket) -> bool:
        """Return whether there is room; if somebody waits, the oldest connection without a request gives way."""
        if len(self._reserved) < self._limits().reserve:
            return True
        if not _somebody_waits(sock):
            return False
        before = self._loop.time() - RESERVE_INTERVAL / 2
        for connection, since in self._reserved.items():
            if since > before:  # as are the rest: they came just now
                return False
            if self._cancel(connection) or connection.give_way():
                del self._reserved[connection]
                return True
        return False


def _somebody_waits(listening: socket.socket) -> bool:
    poll = select.poll()
    poll.register(listening, select.POLLIN)
    return bool(poll.poll(0))


def _notice_vanished(listening: socket.socket, timeout: float) -> None:
    """Let the kernel end connections whose client vanished; accepted sockets inherit the options."""
    if listening.family not in (socket.AF_INET, socket.AF_INET6):
        return
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    interval = min(max(1, round(timeout / 2 / KEEPALIVE_PROBES)), MAX_KEEPALIVE)
    idle = min(max(1, round(timeout) - interval * KEEPALIVE_PROBES), MAX_KEEPALIVE)
    for name, value in (("TCP_KEEPIDLE", idle), ("TCP_KEEPINTVL", interval),
                        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
                        ("TCP_USER_TIMEOUT", min(round(timeout * 1000), MAX_USER_TIMEOUT))):
        if hasattr(socket, name):  # Linux has all of them
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
