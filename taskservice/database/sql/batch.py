"""The effects of one transaction's writes on the store, decided in Python, without I/O.

An SQL engine's writer reads the rows that a batch of writes needs, lets each write decide in turn, and stores the sum.
So a refused write leaves nothing to undo, and a transaction is a handful of statements however many writes it has.
Statements are expensive: with PostgreSQL each costs a round trip, and with SQLite each releases the GIL and has to get
it back from a busy event loop.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from taskservice.database.expiry import kept_for
from taskservice.database.sql.columns import EncodedTask, Row
from taskservice.database.sql.kept_keys import KeptKey, outcome_of
from taskservice.database.revisions import (
    Clock, new_random_part, new_task_id, next_revision, next_revisions)
from taskservice.datamodel import IDEMPOTENCY_KEY_LIFETIME, Created, IdempotencyKey
from taskservice.errors import TaskNotFoundError
from taskservice.precondition import Precondition

PORTION_BYTES = 1 << 20
"""Bytes of tasks that one statement writes: a driver copies them, and text takes up to four times as many."""


@dataclass(slots=True)
class Batch:
    """Revisions and keys before and between the writes, and the changes to store."""

    clock: Clock
    revision: int
    revisions: dict[str, int]
    keys: dict[tuple[str, str], KeptKey]
    rows: dict[str, Row] = field(default_factory=dict)
    only_new: bool = True
    """Whether no row belongs to an existing task."""
    revived: set[str] = field(default_factory=set)
    """The created ids that may have been deleted before; ids made by the store never were."""
    deleted: dict[str, int] = field(default_factory=dict)
    new_keys: dict[tuple[str, str], KeptKey] = field(default_factory=dict)

    def copy(self) -> "Batch":
        """Return an independent copy."""
        return replace(
            self, revisions=dict(self.revisions), keys=dict(self.keys), rows=dict(self.rows),
            revived=set(self.revived), deleted=dict(self.deleted), new_keys=dict(self.new_keys))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to store."""
        return not (self.rows or self.deleted or self.new_keys)

    def kept(self, key: IdempotencyKey) -> Created | None:
        """Return the result of an earlier create with this key, if any."""
        kept = kept_for(key, self.keys, self.clock())
        return None if kept is None else kept.created()

    def keep(self, key: IdempotencyKey, created: Created) -> None:
        """Record the result of a create."""
        expires = self.clock() + IDEMPOTENCY_KEY_LIFETIME
        kept = KeptKey(key.digest, outcome_of(created, self.revived), expires)
        self.keys[key.owner, key.key] = self.new_keys[key.owner, key.key] = kept

    def check(self, task_id: str, precondition: Precondition) -> None:
        """Raise TaskNotFoundError or StaleRevisionError unless a write may proceed."""
        revision = self.revisions.get(task_id)
        if revision is None:
            raise TaskNotFoundError(task_id)
        precondition.check(task_id, revision)

    def create(self, tasks: Sequence[tuple[str | None, EncodedTask]]) -> Created:
        """Write new tasks, None being a new id; their revisions are consecutive."""
        revisions = next_revisions(self.revision, self.clock, len(tasks))
        random_part = new_random_part()
        created = []
        for revision, (task_id, task) in zip(revisions, tasks):
            if task_id is None:
                task_id = new_task_id(revision, random_part)
            else:
                self._revive(task_id)
            self._put(task_id, revision, task)
            created.append((task_id, revision))
        return Created(tuple(created))

    def _revive(self, task_id: str) -> None:
        self.revived.add(task_id)
        if self.deleted.pop(task_id, None) is not None:
            self.only_new = False

    def replace(self, task_id: str, task: EncodedTask) -> int:
        """Write an existing task; return its revision."""
        self.only_new = False
        revision = next_revision(self.revision, self.clock)
        self._put(task_id, revision, task)
        return revision

    def _put(self, task_id: str, revision: int, task: EncodedTask) -> None:
        self.revision = self.revisions[task_id] = revision
        self.rows[task_id] = Row(task_id, revision, task)

    def delete(self, task_id: str) -> int:
        """Delete a task; return the deletion's revision."""
        del self.revisions[task_id]
        self.rows.pop(task_id, None)
        self.revision = self.deleted[task_id] = next_revision(self.revision, self.clock)
        return self.revision


def portions(rows: Iterable[Row], most: int) -> Iterator[list[Row]]:
    """Cut rows into portions of at most `most`, and of little more than PORTION_BYTES."""
    portion: list[Row] = []
    size = 0
    for row in rows:
        portion.append(row)
        size += len(row.task.body) + len(row.task.search_text)
        if len(portion) == most or size >= PORTION_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
