"""The conditions of a write (RFC 9110 §13), as a value that every engine evaluates."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from taskservice.errors import StaleRevisionError

NO_REVISION: frozenset[int] = frozenset()

ANY_REVISION = range(-2 ** 63, 2 ** 63)
"""Every revision that a task can have: what `*` stands for."""


def modified_at(revision: int, now: float) -> int:
    """Return when a revision was written, in whole seconds since the epoch, and never after `now`.

    When the clock goes back revisions lie in the future; no Last-Modified may (RFC 9110 §8.8.2.1).
    """
    return min(revision // 1_000_000, int(now))


@dataclass(frozen=True, slots=True, kw_only=True)
class Precondition:
    """What has to be true of a task that is written to; without arguments, nothing."""

    match: Collection[int] | None = None
    """The revisions that it may have (If-Match); None: any."""

    weak: Collection[int] = NO_REVISION
    """Those that If-Match has in weak tags, which match nothing (§13.1.1)."""

    unmodified_since: int | None = None
    """Its last modification at the latest (If-Unmodified-Since); counts without a `match` only."""

    none_match: Collection[int] = NO_REVISION
    """The revisions that it may not have (If-None-Match)."""

    now: Callable[[], float] = time.time
    """Seconds since the epoch."""

    @property
    def creates(self) -> bool:
        """Whether it holds only where there is no task (§13.1.2)."""
        return self.match is None and self.none_match == ANY_REVISION

    def check(self, task_id: str, revision: int) -> None:
        """Raise StaleRevisionError where it does not hold for the task as it is."""
        if (reason := self._refusal(revision)) is not None:
            raise StaleRevisionError(task_id, revision, reason)

    def _refusal(self, revision: int) -> str | None:
        """Return why it does not hold, by the first condition that fails (§13.2.2)."""
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
