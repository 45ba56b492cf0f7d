"""The limits of a server on its clients and handlers."""

from collections.abc import Callable
from dataclasses import dataclass

from tornado.httputil import HTTPHeaders, RequestStartLine

VANISHED_TIMEOUT = 60.0
"""Seconds without a sign of life from a client's system, after which its connection ends."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for clients and handlers, in bytes and seconds."""

    header_bytes: int = 16 * 1024
    body_bytes: int = 64 * 1024
    body_memory: int = 64 * 1024 * 1024
    """For all large bodies together, in bytes received; one owner gets at most half of it."""
    idle_timeout: float = 75.0
    """Until the first byte of a request."""
    header_timeout: float = 30.0
    """From there to the end of its head."""
    body_timeout: float = 20.0
    """Without any progress of a body."""
    min_body_rate: float = 8192.0
    """Minimum average rate of a body, in bytes a second, from `body_grace` on."""
    body_grace: float = 20.0
    """How far ahead a faster body can get: at most for so long it may be slower afterwards."""
    answer_timeout: float = 10.0
    """From the end of a request to the first byte of its answer; after that the answer is a 503.

    The handler's `on_connection_close` is called, and its further writes are dropped. It is not cancelled: it may be in
    the middle of a write that must be complete, and of which only it knows.
    """
    reader_timeout: float = 30.0
    """Without the client taking any of the bytes that wait to be sent."""
    vanished_timeout: float = VANISHED_TIMEOUT
    """Without a reply of the client's system to sent data, or to probes while there is none.

    The kernel does this, where it can. It also counts a client that takes nothing as gone, so this should not be
    shorter than `reader_timeout`.
    """
    linger: float = 5.0
    """Without input, before a connection closes after its last answer: a client that sends a refused body slowly reads
    the answer once it has sent all of it."""
    linger_timeout: float = 120.0
    """Maximum duration of that; only `linger` once the server drains."""
    linger_bytes: int = 64 * 1024 * 1024
    """Maximum input that is discarded meanwhile."""
    connections: int = 16_000
    reserve: int = 0
    """How many connections beyond the limit may answer probes."""


@dataclass(frozen=True, slots=True)
class LargeBody:
    """The permission to send a body of more than `Limits.body_bytes`."""

    max_bytes: int
    owner: str
    """Whose share of `Limits.body_memory` it takes: a user, or the client's address."""


AllowLargeBody = Callable[[RequestStartLine, HTTPHeaders, str], LargeBody | None]
"""Decides by a request's head, and its client's address, whether its body may be large."""
