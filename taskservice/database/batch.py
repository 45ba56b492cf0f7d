"""What the writes of one transaction make of the store: decided in Python, without I/O.

An SQL engine's writer reads what a batch of writes needs to know, lets each decide in turn, and
stores the sum. So a write that is refused leaves nothing to undo, and a transaction is a handful of
statements however many writes it has. A statement costs more than what it does: PostgreSQL's a
round trip, and SQLite's the GIL, which it gives up and has to get back beside a busy event loop.
"""

import asyncio

from dataclasses import dataclass, field
from typing import Any, Collection, Protocol, Self, Sequence

from taskservice.database.sql import task_row
from taskservice.database.todolist_db import IDEMPOTENCY_KEY_LIFETIME, Clock, next_revision
from taskservice.datamodel import Created, IdempotencyKey, StoredTask, TaskEntry
from taskservice.errors import (
    BadInputError, IdempotencyKeyReusedError, StaleRevisionError, TaskExistsError,
    TaskNotFoundError)

MAX_ID_BYTES = 512
"""How long an id can be: with a title key it has to fit an entry of a PostgreSQL index."""

MANY = 200
"""How many tasks a create encodes on the event loop, at the most."""

Row = list[Any]
"""The values of TASK_COLUMNS, the revision yet to be set."""


@dataclass(frozen=True, slots=True)
class KeptKey:
    """An idempotency key that is in the store: for what body, what came of it, until when."""

    digest: bytes
    tasks: tuple[tuple[str, int], ...]
    expires: int


@dataclass(slots=True)
class Batch:
    """Revisions and keys as they are before and between the writes, and what is to be stored."""

    clock: Clock
    revision: int
    revisions: dict[str, int]
    keys: dict[tuple[str, str], KeptKey]
    rows: dict[str, Row] = field(default_factory=dict)
    created: set[str] = field(default_factory=set)
    deleted: dict[str, int] = field(default_factory=dict)
    new_keys: dict[tuple[str, str], KeptKey] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to store."""
        return not (self.rows or self.deleted or self.new_keys)

    def kept(self, key: IdempotencyKey) -> Created | None:
        """Return what came of an earlier create with this key, if there was one."""
        kept = self.keys.get((key.owner, key.key))
        if kept is None or kept.expires <= self.clock():
            return None
        if kept.digest != key.digest:
            raise IdempotencyKeyReusedError(f"the key '{key.key}' came with another body before")
        return Created(kept.tasks, replayed=True)

    def keep(self, key: IdempotencyKey, created: Created) -> None:
        """Remember what came of a create."""
        expires = self.clock() + IDEMPOTENCY_KEY_LIFETIME
        kept = KeptKey(key.digest, created.tasks, expires)
        self.keys[key.owner, key.key] = self.new_keys[key.owner, key.key] = kept

    def check(self, task_id: str, expected: Collection[int] | None) -> None:
        """Raise TaskNotFoundError or StaleRevisionError where a write may not go on."""
        revision = self.revisions.get(task_id)
        if revision is None:
            raise TaskNotFoundError(task_id)
        if expected is not None and revision not in expected:
            raise StaleRevisionError(task_id, revision)

    def put(self, row: Row) -> int:
        """Write a task; return its revision."""
        task_id: str = row[0]
        if task_id not in self.revisions:
            self.created.add(task_id)
        self.deleted.pop(task_id, None)
        row[1] = self.revisions[task_id] = self._next_revision()
        self.rows[task_id] = row
        return self.revision

    def delete(self, task_id: str) -> int:
        """Delete a task; return the deletion's revision."""
        del self.revisions[task_id]
        self.rows.pop(task_id, None)
        self.created.discard(task_id)
        self.deleted[task_id] = self._next_revision()
        return self.revision

    def _next_revision(self) -> int:
        self.revision = next_revision(self.revision, self.clock)
        return self.revision


class Write(Protocol):
    """One caller's write: what it needs to know, and what it does then."""

    @property
    def ids(self) -> Sequence[str]:
        """The ids whose revisions it needs."""

    @property
    def key(self) -> IdempotencyKey | None:
        """The key that it needs."""

    def apply(self, batch: Batch) -> Any:
        """Do it, and return its outcome; it raises before it has changed anything."""


class Create:
    """Create all tasks or none.

    Like the others, it fails here, and not in the batch, on text that a store cannot hold.
    """

    def __init__(
        self, tasks: Sequence[tuple[str, TaskEntry]], key: IdempotencyKey | None
    ) -> None:
        self.ids = [task_id for task_id, _ in tasks]
        self.key = key
        self._rows = [_row(StoredTask.of(task_id, 0, entry)) for task_id, entry in tasks]
        if key is not None:
            _check_text(key.owner, key.key)

    @classmethod
    async def prepare(
        cls, tasks: Sequence[tuple[str, TaskEntry]], key: IdempotencyKey | None
    ) -> Self:
        """Make one; in a thread where there are so many tasks that the loop would stand still."""
        return await asyncio.to_thread(cls, tasks, key) if len(tasks) > MANY else cls(tasks, key)

    def apply(self, batch: Batch) -> Created:
        if self.key is not None and (kept := batch.kept(self.key)) is not None:
            return kept
        seen: set[str] = set()
        for task_id in self.ids:
            if task_id in batch.revisions or task_id in seen:
                raise TaskExistsError(task_id, batch.revisions.get(task_id, 0))
            seen.add(task_id)
        created = Created(tuple((row[0], batch.put(row)) for row in self._rows))
        if self.key is not None:
            batch.keep(self.key, created)
        return created


class Update:
    """Replace a task, if its revision is an expected one; the outcome is its new revision."""

    key = None

    def __init__(self, task: StoredTask, expected: Collection[int] | None) -> None:
        self.ids = (task.id,)
        self._row = _row(task)
        self._expected = expected

    def apply(self, batch: Batch) -> int:
        batch.check(self.ids[0], self._expected)
        return batch.put(self._row)


class Delete:
    """Delete a task, if its revision is an expected one; the outcome is the new revision."""

    key = None

    def __init__(self, task_id: str, expected: Collection[int] | None) -> None:
        _check_text(task_id)
        self.ids = (task_id,)
        self._expected = expected

    def apply(self, batch: Batch) -> int:
        batch.check(self.ids[0], self._expected)
        return batch.delete(self.ids[0])


def settle(future: "asyncio.Future[Any]", outcome: Any) -> None:
    """Give a write's outcome to who waits for it; an exception is raised there."""
    if future.done():  # whoever asked was cancelled
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _row(task: StoredTask) -> Row:
    row = list(task_row(task))
    _check_text(task.id, task.entry.title, task.entry.description or "")
    if len(task.id.encode()) > MAX_ID_BYTES:
        raise BadInputError(f"an id has at most {MAX_ID_BYTES} bytes")
    return row


def _check_text(*texts: str) -> None:
    for text in texts:
        text.encode()
        if "\0" in text:
            raise BadInputError("text does not hold U+0000")
