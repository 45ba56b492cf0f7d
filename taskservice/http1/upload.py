"""A request's body on its way: its maximum size, its minimum rate, and the owner of its memory."""

from taskservice.http1.body import ChunkedBody, SizedBody
from taskservice.http1.limits import Limits
from taskservice.http1.memory import Claim
from taskservice.http1.request import BadRequest


class Upload:
    """Measures a body against its limits; times are those of the loop's clock, and passed in."""

    __slots__ = (
        "length", "max_bytes", "timeout", "size", "claim", "_body", "_limits", "_began", "_silent_from",
        "_paid_until", "_paid_bytes")

    def __init__(self, length: int, limits: Limits) -> None:
        """Expect a body of `length` bytes; -1: a chunked one."""
        self.length = length
        self.max_bytes = limits.body_bytes
        self.timeout: float | None = None
        """Seconds for all of it, instead of the limits."""
        self.size = 0
        """Bytes that have come."""
        self.claim: Claim | None = None
        """Its share of the memory of large bodies."""
        self._body = SizedBody(length) if length > 0 else ChunkedBody()
        self._limits = limits
        self._began = self._silent_from = self._paid_until = 0.0
        self._paid_bytes = 0

    @property
    def complete(self) -> bool:
        """Whether all of it has come."""
        return self._body.complete

    @property
    def may_grow_large(self) -> bool:
        """Whether it needs permission: it is announced as larger than any body may be, or without a length."""
        return self.length < 0 or self.too_large

    @property
    def too_large(self) -> bool:
        """Whether it has, or will have, more bytes than allowed."""
        return max(self.length, self.size) > self.max_bytes

    def begin(self, now: float) -> float:
        """Start measuring the client's time; return the deadline."""
        self._began = self._paid_until = now
        return self.deadline(now)

    def pause(self, seconds: float) -> None:
        """Exclude this many seconds, for which the client is not responsible."""
        self._began += seconds
        self._paid_until += seconds

    def deadline(self, now: float) -> float:
        """Return until when more has to come, given that some has just come."""
        if self.timeout is not None:
            return self._began + self.timeout
        self._pay(now)
        self._silent_from = now + self._limits.body_timeout
        return min(self._silent_from, self._slow_from())

    def _pay(self, now: float) -> None:
        """Give time for what has come, at the least rate; no more than `body_grace` ahead.

        So a body that was fast is not allowed to be slow for as long: it is measured by its recent past.
        """
        limits, came = self._limits, self.size - self._paid_bytes
        self._paid_bytes = self.size
        self._paid_until = min(
            self._paid_until + came / limits.min_body_rate, now + limits.body_grace)

    def _slow_from(self) -> float:
        """Return when the bytes so far will be too slow."""
        return max(self._began + self._limits.body_grace, self._paid_until)

    def lateness(self) -> str:
        """Return the fault of a body whose deadline has passed."""
        if self.timeout is None and self._slow_from() < self._silent_from:
            return (
                f"The body came at less than {self._limits.min_body_rate:g} bytes a second on average"
                " (min-body-rate)")
        return "The body took too long to come"

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the body's part of `data`, and the rest; raises BadRequest."""
        piece, rest = self._body.take(data)
        self.size += len(piece)
        return piece, rest

    def hold(self) -> None:
        """Reserve memory for the bytes of a large body; raises BadRequest (503) if there is none."""
        if self.claim is not None and self.size > self._limits.body_bytes and not (
                self.claim.grow(self.size)):
            raise BadRequest(
                "Large bodies that are in flight take all the memory there is for them"
                " (max-body-memory)", 503)
