"""Until when a store keeps deletions and idempotency keys, also where its clock was wrong.

Each has an expiry of its own, from the clock at the time of its write: a revision is no time once
the clock was ahead. What was written then would be kept for as long as it was ahead, so an expiry
further away than a right clock can have made it counts as passed.
"""

CLOCK_TOLERANCE = 24 * 3600 * 1_000_000
"""By how many microseconds a clock may go back without anything expiring for it."""


def latest_expiry(now: int, lifetime: int) -> int:
    """Return the last expiry that counts; all are in microseconds."""
    return now + lifetime + CLOCK_TOLERANCE


def has_expired(expires: int, now: int, lifetime: int) -> bool:
    """Return whether an expiry has passed, or counts as passed."""
    return not now < expires <= latest_expiry(now, lifetime)
