"""What clients and handlers may take of a server."""

from collections.abc import Callable
from dataclasses import dataclass

from tornado.httputil import HTTPHeaders, RequestStartLine

VANISHED_TIMEOUT = 60.0
"""Seconds without a sign of a client's system, after which its connection ends."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients and handlers may take, in bytes and seconds."""

    header_bytes: int = 16 * 1024
    body_bytes: int = 64 * 1024
    body_memory: int = 64 * 1024 * 1024
    """For all large bodies together, in bytes received; one owner gets at most half of it."""
    idle_timeout: float = 75.0
    """Until the first byte of a request."""
    header_timeout: float = 30.0
    """From there to the end of its head."""
    body_timeout: float = 20.0
    """Without any of a body coming."""
    min_body_rate: float = 8192.0
    """Bytes a second that a body must have come at on average, from `body_grace` on."""
    body_grace: float = 20.0
    """Also for how long at most what came faster may be followed by less."""
    answer_timeout: float = 10.0
    """From the end of a request to the first byte of its answer, which is a 503 after that.

    The handler's `on_connection_close` is called, and what it still writes goes nowhere. It is not
    cancelled: it may be in the middle of a write that must be whole, and of which only it knows.
    """
    reader_timeout: float = 30.0
    """Without the client taking anything of what waits to be sent."""
    vanished_timeout: float = VANISHED_TIMEOUT
    """Without an answer of the client's system to what was sent, or to probes while nothing is.

    The kernel does this, where it can. It counts a client that takes nothing as gone, too: have
    this not shorter than `reader_timeout`.
    """
    linger: float = 5.0
    """Without input, before a connection closes whose last answer went out: a client that is
    slow to send a body that was refused reads the answer when it has sent all of it."""
    linger_timeout: float = 120.0
    """How long that may take; only `linger` once the server drains."""
    linger_bytes: int = 64 * 1024 * 1024
    """How much of what comes meanwhile is thrown away."""
    connections: int = 16_000
    reserve: int = 0
    """How many more there may be, which answer probes alone."""


@dataclass(frozen=True, slots=True)
class LargeBody:
    """The permission to send a body of more than `Limits.body_bytes`."""

    max_bytes: int
    owner: str
    """Whose share of `Limits.body_memory` it takes: a user, or the client's address."""


AllowLargeBody = Callable[[RequestStartLine, HTTPHeaders, str], LargeBody | None]
"""Decides by a request's head, and the address that it came from, whether its body may be large."""
