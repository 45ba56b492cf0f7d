"""An in-memory engine's record of its writes: changes in their order, and idempotency keys.

Neither grows without bound: each write also removes some expired entries, but never so many that others would wait for
it.
"""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from operator import attrgetter

from taskservice.database.expiry import has_expired, kept_for
from taskservice.datamodel import (
    DELETION_LIFETIME, IDEMPOTENCY_KEY_LIFETIME, PORTION_BYTES, Change, ChangePage, Created,
    IdempotencyKey, StoredTask, fitting)
from taskservice.errors import ChangesExpiredError

RUN = 512
"""Maximum number of writes in a run: removing one moves no more than these."""

FORGOTTEN_AT_ONCE = 100
"""How many deletions, and keys, are forgotten at a time."""

_revision = attrgetter("revision")


@dataclass(frozen=True, slots=True)
class Deletion:
    """The deletion of a task, in the place of its id among the changes."""

    id: str
    revision: int
    expires: int


class History:
    """The latest write of each id, by revision; `revision` is that of the last write of all.

    Recording a write takes O(log n), and reading a page O(limit + log n), except that up to RUN pointers are moved.
    """

    def __init__(self, *, began: int = 0, revision: int = 0) -> None:
        """Start after `revision`; revisions between 0 and `began` are those of an earlier store."""
        self.revision = revision
        self._began = began
        self._forgotten = revision
        self._runs: list[list[StoredTask | Deletion]] = []
        # The first revision that each run had: it may be gone, but nothing before it is in the run.
        self._starts: list[int] = []
        self._deletions: OrderedDict[str, Deletion] = OrderedDict()

    def record(self, task: StoredTask, replaced: StoredTask | None) -> None:
        """Record the write of a task."""
        self._supersede(task.id, replaced)
        self._add(task)

    def record_new(self, tasks: Sequence[StoredTask]) -> None:
        """Record the creation of many tasks, in order, under new ids."""
        for task_id in self._deletions.keys() & {task.id for task in tasks}:
            self._supersede(task_id, None)
        for start in range(0, len(tasks), RUN):
            self._begin_run([*tasks[start:start + RUN]])
        self._advance(tasks[-1].revision)

    def record_deletion(
        self, task_id: str, revision: int, deleted: StoredTask | None, now: int
    ) -> None:
        """Record the deletion of a task."""
        self._supersede(task_id, deleted)
        deletion = Deletion(task_id, revision, now + DELETION_LIFETIME)
        self._deletions[task_id] = deletion
        self._add(deletion)

    def _add(self, entry: StoredTask | Deletion) -> None:
        if self._runs and len(self._runs[-1]) < RUN:
            self._runs[-1].append(entry)
        else:
            self._begin_run([entry])
        self._advance(entry.revision)

    def _begin_run(self, entries: list[StoredTask | Deletion]) -> None:
        self._runs.append(entries)
        self._starts.append(entries[0].revision)

    def _advance(self, revision: int) -> None:
        self.revision = revision
        self._began = min(self._began, revision)  # the clock may go back

    def _supersede(self, task_id: str, replaced: StoredTask | None) -> None:
        """Remove the entry of an id: its deletion, or the task that is replaced."""
        entry = self._deletions.pop(task_id, replaced)
        if entry is not None:
            self._take_out(entry)

    def _take_out(self, entry: StoredTask | Deletion) -> None:
        """Remove an entry, unless it is from before the history began."""
        index, place = self._place(entry.revision)
        if index < 0:
            return
        run = self._runs[index]
        if place < len(run) and run[place].revision == entry.revision:
            del run[place]
            if len(run) <= RUN // 4:
                self._join(index)

    def _place(self, revision: int) -> tuple[int, int]:
        """Return the index of the run, -1 for before all, and the position in it."""
        index = bisect_right(self._starts, revision) - 1
        return index, bisect_left(self._runs[index], revision, key=_revision) if index >= 0 else 0

    def _join(self, index: int) -> None:
        """Merge a run that has become short with its neighbours, if they are short, too."""
        for second in (index + 1, index):
            if 0 < second < len(self._runs) and (
                    len(self._runs[second - 1]) + len(self._runs[second]) <= RUN // 2):
                self._runs[second - 1] += self._runs.pop(second)
                del self._starts[second]

    def page(self, since: int | None, limit: int) -> ChangePage:
        """Return changes as `read_changes` does."""
        # A revision from before the process began is that of an earlier store.
        if since is not None and (
                not self._forgotten <= since <= self.revision or 0 < since < self._began):
            raise ChangesExpiredError(
                f"changes since {since} are not kept, only since {self._forgotten}"
                f" and up to {self.revision}")
        found = list(islice(self._after(-1 if since is None else since), limit + 1))
        changes = tuple(
            Change(entry.id, entry.revision, entry if isinstance(entry, StoredTask) else None)
            for entry in found[:limit])
        changes = changes[:fitting((change.size for change in changes), PORTION_BYTES)]
        more = len(changes) < len(found)
        return ChangePage(changes[-1].revision if more else self.revision, changes, more)

    def _after(self, revision: int) -> Iterator[StoredTask | Deletion]:
        index, place = self._place(revision + 1)
        if index >= 0:
            yield from islice(self._runs[index], place, None)
        for number in range(index + 1, len(self._runs)):
            yield from self._runs[number]

    def forget(self, now: int) -> None:
        """Forget some of the deletions that have expired, the oldest first."""
        for _ in range(min(len(self._deletions), FORGOTTEN_AT_ONCE)):
            oldest = next(iter(self._deletions.values()))
            if not has_expired(oldest.expires, now, DELETION_LIFETIME):
                return
            self._supersede(oldest.id, None)
            self._forgotten = oldest.revision


@dataclass(frozen=True, slots=True)
class _KeptKey:
    digest: bytes
    created: Created
    expires: int


class KeptKeys:
    """Idempotency keys with the results of their creates, until they expire."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], _KeptKey] = OrderedDict()

    def find(self, key: IdempotencyKey, now: int) -> Created | None:
        """Return the result of a key's create, replayed; raises IdempotencyKeyReusedError."""
        kept = kept_for(key, self._kept, now)
        return None if kept is None else replace(kept.created, replayed=True)

    def keep(self, key: IdempotencyKey, created: Created, now: int) -> None:
        """Record the result of a key's create."""
        kept = _KeptKey(key.digest, created, now + IDEMPOTENCY_KEY_LIFETIME)
        self._kept[key.owner, key.key] = kept
        self._kept.move_to_end((key.owner, key.key))

    def forget(self, now: int) -> None:
        """Forget some of the keys that have expired, the oldest first."""
        for _ in range(min(len(self._kept), FORGOTTEN_AT_ONCE)):
            oldest = next(iter(self._kept.values()))
            if not has_expired(oldest.expires, now, IDEMPOTENCY_KEY_LIFETIME):
                return
            self._kept.popitem(last=False)
