"""The conditions of a write (RFC 9110 §13), as a value that every engine evaluates."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from taskservice.errors import StaleRevisionError

NO_REVISION: frozenset[int] = frozenset()

ANY_REVISION = range(-2 ** 63, 2 ** 63)
"""All revisions that a task can have: the meaning of `*`."""


def modified_at(revision: int, now: float) -> int:
    """Return when a revision was written, in whole seconds since the epoch, and never after `now`.

    After the clock was set back revisions lie in the future; a Last-Modified must not (RFC 9110 §8.8.2.1).
    """
    return min(revision // 1_000_000, int(now))


@dataclass(frozen=True, slots=True, kw_only=True)
class Precondition:
    """The condition of a write to a task; without arguments it always holds."""

    match: Collection[int] | None = None
    """The revisions that the task may have (If-Match); None: any."""

    weak: Collection[int] = NO_REVISION
    """The revisions in weak tags of If-Match, which match nothing (§13.1.1)."""

    unmodified_since: int | None = None
    """The latest allowed time of its last modification (If-Unmodified-Since); only without a `match`."""

    none_match: Collection[int] = NO_REVISION
    """The revisions that the task may not have (If-None-Match)."""

    now: Callable[[], float] = time.time
    """Seconds since the epoch."""

    @property
    def creates(self) -> bool:
        """Whether it holds only if there is no task (§13.1.2)."""
        return self.match is None and self.none_match == ANY_REVISION

    def check(self, task_id: str, revision: int) -> None:
        """Raise StaleRevisionError if it does not hold for the task as it is."""
        if (reason := self._refusal(revision)) is not None:
            raise StaleRevisionError(task_id, revision, reason)

    def _refusal(self, revision: int) -> str | None:
        """Return the reason why it does not hold: the first condition that fails (§13.2.2)."""
        if self.match is not None:
            if revision not in self.match:
                weakened = revision in self.weak or self.weak and not self.match
                return _WEAKENED if weakened else "has changed"
        elif self.unmodified_since is not None and (
                modified_at(revision, self.now()) > self.unmodified_since):
            return "has changed"
        if revision not in self.none_match:
            return None
        return "exists" if self.none_match == ANY_REVISION else "has a tag of If-None-Match"


UNCONDITIONAL = Precondition()

_WEAKENED = (
    "was not written: If-Match has a weak tag (W/), which never matches; a proxy may have weakened "
    "a strong one")
