"""Revisions and ids of new writes: one rule for all engines."""

import time
from collections.abc import Callable

import uuid_utils

Clock = Callable[[], int]
"""Microseconds since the epoch."""


def system_clock() -> int:
    """Return the wall clock's time in microseconds since the epoch."""
    return time.time_ns() // 1000


def next_revision(last: int, clock: Clock) -> int:
    """Return the revision of the next write: the time in microseconds, or one more than `last` if that is greater."""
    return max(last + 1, clock())


def next_revisions(last: int, clock: Clock, count: int) -> range:
    """Return the revisions of the next `count` writes, made at once: they are consecutive."""
    first = next_revision(last, clock)
    return range(first, first + count)


def new_task_id(revision: int, random_part: str) -> str:
    """Return an id for the task that this revision creates: the 32 hex digits of a UUIDv7.

    Its 48 bits of milliseconds are the revision's, and the 12 after them the rest of its microseconds (RFC 9562 §5.7,
    and §6.2, method 3), so ids have the order of the revisions. The `random_part` comes from `new_random_part`; tasks
    that are created together share it.
    """
    milliseconds, microseconds = divmod(revision, 1000)
    fraction = microseconds * 4096 // 1000
    return f"{milliseconds % (1 << 48):012x}7{fraction:03x}{random_part}"


def new_random_part() -> str:
    """Return the second half of a UUID: its variant, and 62 random bits."""
    return uuid_utils.uuid4().hex[16:]


def random_part_of(task_id: str) -> str:
    """Return the random part of an id that `new_task_id` made."""
    return task_id[16:]
