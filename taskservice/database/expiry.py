"""How long a store keeps deletions and idempotency keys, even if its clock was wrong.

Each has an expiry of its own, from the clock at the time of its write: once the clock was ahead, a revision is no time.
Records from then would stay for as long as the clock was ahead, so an expiry further away than a right clock can have
made it counts as passed.
"""

CLOCK_TOLERANCE = 24 * 3600 * 1_000_000
"""How far a clock may go back, in microseconds, before records expire early."""


def latest_expiry(now: int, lifetime: int) -> int:
    """Return the last expiry that counts; all are in microseconds."""
    return now + lifetime + CLOCK_TOLERANCE


def has_expired(expires: int, now: int, lifetime: int) -> bool:
    """Return whether an expiry has passed, or counts as passed."""
    return not now < expires <= latest_expiry(now, lifetime)
