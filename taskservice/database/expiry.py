"""How long a store keeps deletions and idempotency keys, even if its clock was wrong.

Each has an expiry of its own, from the clock at the time of its write: once the clock was ahead, a revision is no time.
Records from then would stay for as long as the clock was ahead, so an expiry further away than a right clock can have
made it counts as passed.
"""

from collections.abc import Mapping
from typing import Protocol, TypeVar

from taskservice.datamodel import IDEMPOTENCY_KEY_LIFETIME, IdempotencyKey
from taskservice.errors import IdempotencyKeyReusedError

CLOCK_TOLERANCE = 24 * 3600 * 1_000_000
"""How far a clock may go back, in microseconds, before records expire early."""


def latest_expiry(now: int, lifetime: int) -> int:
    """Return the last expiry that counts; all are in microseconds."""
    return now + lifetime + CLOCK_TOLERANCE


def has_expired(expires: int, now: int, lifetime: int) -> bool:
    """Return whether an expiry has passed, or counts as passed."""
    return not now < expires <= latest_expiry(now, lifetime)


class Kept(Protocol):
    """An idempotency key as a store keeps it, beside the result of its create."""

    @property
    def digest(self) -> bytes:
        """The digest of the request body."""

    @property
    def expires(self) -> int:
        """When it expires, in microseconds."""


K = TypeVar("K", bound=Kept)


def kept_for(key: IdempotencyKey, kept: Mapping[tuple[str, str], K], now: int) -> K | None:
    """Return what is kept of an earlier create with this key, if any; raises IdempotencyKeyReusedError."""
    for place in key.places:
        found = kept.get(place)
        if found is None or has_expired(found.expires, now, IDEMPOTENCY_KEY_LIFETIME):
            continue
        if found.digest != key.digest:
            raise IdempotencyKeyReusedError(f"the key '{key.key}' came with another body before")
        return found
    return None
