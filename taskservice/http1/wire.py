"""A client's socket: flow control, lingering close, timeouts for stalled readers."""

import math
import socket
import struct
from asyncio import Future, Protocol, Transport
from asyncio.transports import BaseTransport
from contextvars import copy_context
from dataclasses import dataclass
from typing import Self, cast

from tornado.iostream import StreamClosedError

from taskservice.http1.compiling import mypyc_attr
from taskservice.http1.owner import Owner
from taskservice.http1.state import CLOSED, CLOSING, IDLE

MAX_HELD = 64 * 1024
"""Hold at most this many bytes back until the turn of the event loop ends."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time
_FLUSH_ON_CLOSE = struct.pack("ii", 0, 0)


@dataclass(slots=True)
class Context:
    """The peer of a connection, as Tornado's requests expect it."""

    remote_ip: str
    protocol: str

    @classmethod
    def of(cls, transport: BaseTransport) -> Self:
        """Return the peer of a transport; one without an address gets Tornado's placeholder."""
        address = transport.get_extra_info("peername")
        secure = transport.get_extra_info("ssl_object") is not None
        has_ip = isinstance(address, tuple)
        return cls(address[0] if has_ip else "0.0.0.0", "https" if secure else "http")

    def __str__(self) -> str:
        return self.remote_ip


@mypyc_attr(allow_interpreted_subclasses=True)
class Wire(Protocol):
    """A connection's behaviour below HTTP. `expired` is called at the `deadline`, unless that is moved."""

    __slots__ = (
        "context", "deadline", "loop", "state", "_owner", "_transport", "_waiters", "_reading", "_paused",
        "_held", "_held_bytes", "_written", "_sent", "_progress", "_discarded", "_lingers_until", "_variables",
        "cut_reason")

    def __init__(self, owner: Owner) -> None:
        self.deadline = math.inf
        self.cut_reason = ""  # why it was broken off, unless the client did
        self.loop = owner.loop
        self.state = IDLE
        self._owner = owner
        self._waiters: list[Future[None]] = []
        self._reading = True
        self._paused = False  # the client reads more slowly than the application writes
        self._held: list[bytes] = []  # goes out when the loop has called all that is due in this turn
        self._held_bytes = 0
        self._written = self._sent = 0
        self._progress = 0.0  # when the client last took something, or there was nothing to take
        self._discarded = 0
        self._lingers_until = math.inf

    def expired(self) -> None:
        """Act on the deadline."""
        raise NotImplementedError

    def connection_made(self, transport: BaseTransport) -> None:
        """Start."""
        self._transport = cast(Transport, transport)
        self.context = Context.of(transport)
        self._variables = copy_context()
        self._progress = self._owner.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the writers that wait: nobody reads any more."""
        self.state = self.state.to(CLOSED)
        for waiter in self._waiters:
            _fail(waiter)

    def read(self, on: bool) -> None:
        """Read on, or leave input in the kernel."""
        if on != self._reading and not self._transport.is_closing():
            self._reading = on
            if on:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def pause_writing(self) -> None:
        """Make writers wait."""
        self._paused = True

    def resume_writing(self) -> None:
        """Resume writers."""
        self._paused = False
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def send(self, data: bytes) -> "Future[None]":
        """Send; the future, usually done already, says when there is room for more.

        Little is sent at the end of the loop's turn: answers to requests that came together go out together. For the
        kernel to send one, and to wake the client, takes as long as half of the work on a request, and makes the
        processor forget the code of the other half.
        """
        self._written += len(data)
        self._held.append(data)
        self._held_bytes += len(data)
        # uvloop drops what is written after the end of a TLS client's input, which may come before the turn's end.
        if self._held_bytes > MAX_HELD or self.context.protocol == "https":
            self._release()
        elif len(self._held) == 1:
            self.loop.call_soon(self._release)
        return self._room()

    def _release(self) -> None:
        """Send what is held back."""
        pieces, size, self._held, self._held_bytes = self._held, self._held_bytes, [], 0
        if not pieces or self.state is CLOSED:
            return
        # Not writelines(), which pauses no writer on some versions of asyncio. What is large is not copied.
        for piece in [b"".join(pieces)] if size <= MAX_HELD else pieces:
            self._transport.write(piece)

    def _room(self) -> "Future[None]":
        if not self._paused:
            return self._owner.done
        waiter: Future[None] = self.loop.create_future()
        self._waiters.append(waiter)
        return waiter

    def flushed(self) -> "Future[None]":
        """Return a future that is done when the kernel has everything that was sent; TLS does not say when."""
        self._release()
        if self._transport.can_write_eof():
            self._transport.set_write_buffer_limits(high=0)
        return self._room()

    def failed_write(self) -> "Future[None]":
        """Return a failed future, the result of a write that nobody can receive."""
        waiter: Future[None] = self.loop.create_future()
        _fail(waiter)
        return waiter

    def allow(self, seconds: float) -> None:
        """Set the deadline."""
        self.deadline = self._owner.time() + seconds

    def close(self, linger: bool = False) -> None:
        """Close when all has been sent; `linger` if there may be unread input.

        Closing with unread input resets the connection, and the client may lose the answer that explains it (RFC 9112
        §9.6). So input is discarded, within the limits.
        """
        self._end_input()
        self._release()
        if not linger or self._transport.is_closing():
            self._transport.close()
            return
        limits = self._owner.limits
        self._linger_at_most(limits.linger if self._owner.draining else limits.linger_timeout)
        self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _end_input(self) -> None:
        """Take no more requests."""
        if self.state.takes_input:
            self.state = self.state.to(CLOSING)

    def _linger_at_most(self, seconds: float) -> None:
        self._lingers_until = min(self._lingers_until, self._owner.time() + seconds)
        self._linger()

    def _linger(self) -> None:
        self.deadline = min(self._lingers_until, self._owner.time() + self._owner.limits.linger)

    def discard(self, data: bytes) -> None:
        """Discard input after the last answer; close if it is too much."""
        self._discarded += len(data)
        if self._discarded <= self._owner.limits.linger_bytes:
            self._linger()
        else:
            self._transport.close()

    def reset_on_close(self, reset: bool) -> None:
        """Choose whether the end of the connection, or of the process, is a reset."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None and self.state is not CLOSED:  # or the number may be another socket's
            option = _RESET_ON_CLOSE if reset else _FLUSH_ON_CLOSE
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)

    def cut(self, reason: str = "") -> None:
        """Break off by a reset: the client must not take a part for the whole."""
        self._end_input()
        self._release()  # what was sent before this can arrive
        self.cut_reason = reason
        self.reset_on_close(True)
        self._transport.abort()

    def break_off(self, reason: str, answering: bool) -> None:
        """End now: by a reset if an incomplete answer would look complete."""
        self._release()
        if answering or self._transport.get_write_buffer_size():
            self.cut(reason)
        else:
            self.cut_reason = reason
            self._end_input()
            self._transport.abort()

    def look(self, now: float) -> None:
        """Act on timeouts. The server calls it from time to time."""
        waiting = self._transport.get_write_buffer_size() + self._held_bytes
        closing = self._transport.is_closing()
        sent = self._written - waiting
        if sent != self._sent or not (waiting or closing):
            self._sent, self._progress = sent, now
        elif now - self._progress >= self._owner.limits.reader_timeout:
            self.cut("cut: the client took nothing in reader-timeout")
            return
        if now >= self.deadline:
            self.deadline = math.inf
            if self.state.takes_input:
                self.expired()
            else:
                self._transport.close()


def _fail(waiter: "Future[None]") -> None:
    """Fail a write, without a warning if nobody awaits it."""
    if not waiter.done():
        waiter.set_exception(StreamClosedError())
        waiter.exception()
