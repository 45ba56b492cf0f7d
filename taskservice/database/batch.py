"""What the writes of one transaction make of the store: decided in Python, without I/O.

An SQL engine's writer reads what a batch of writes needs to know, lets each decide in turn, and
stores the sum. So a write that is refused leaves nothing to undo, and a transaction is a handful of
statements however many writes it has. A statement costs more than what it does: PostgreSQL's a
round trip, and SQLite's the GIL, which it gives up and has to get back beside a busy event loop.
"""

import asyncio

from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, Sequence

from taskservice.database.sql import task_values
from taskservice.database.todolist_db import Clock, new_task_id, next_revision
from taskservice.datamodel import (
    IDEMPOTENCY_KEY_LIFETIME, Created, IdempotencyKey, TaskEntry)
from taskservice.errors import (
    BadInputError, IdempotencyKeyReusedError, TaskExistsError, TaskNotFoundError, TodoListError)
from taskservice.precondition import Precondition

MAX_ID_BYTES = 512
"""How long an id can be: with a title key it has to fit an entry of a PostgreSQL index."""

MANY = 200
"""How many tasks a create encodes on the event loop, at the most."""

Values = tuple[Any, ...]
"""The values of TASK_COLUMNS after id and revision, and the search text."""

Row = tuple[Any, ...]
"""The values of TASK_COLUMNS, and the search text."""


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
    revived: set[str] = field(default_factory=set)
    """The created ids that may have been deleted before; one that is made anew was not."""
    deleted: dict[str, int] = field(default_factory=dict)
    new_keys: dict[tuple[str, str], KeptKey] = field(default_factory=dict)

    def copy(self) -> "Batch":
        """Return a batch that is the same, and can be changed by itself."""
        return replace(
            self, revisions=dict(self.revisions), keys=dict(self.keys), rows=dict(self.rows),
            revived=set(self.revived), deleted=dict(self.deleted), new_keys=dict(self.new_keys))

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

    def check(self, task_id: str, precondition: Precondition) -> None:
        """Raise TaskNotFoundError or StaleRevisionError where a write may not go on."""
        revision = self.revisions.get(task_id)
        if revision is None:
            raise TaskNotFoundError(task_id)
        precondition.check(task_id, revision)

    def create(self, task_id: str | None, values: Values) -> tuple[str, int]:
        """Write a task that is not there yet, None being a new id; return id and revision."""
        revision = self._next_revision()
        if task_id is None:
            task_id = new_task_id(revision)
        else:
            self.revived.add(task_id)
            self.deleted.pop(task_id, None)
        self._put(task_id, revision, values)
        return task_id, revision

    def replace(self, task_id: str, values: Values) -> int:
        """Write a task that is there; return its revision."""
        revision = self._next_revision()
        self._put(task_id, revision, values)
        return revision

    def _put(self, task_id: str, revision: int, values: Values) -> None:
        self.revisions[task_id] = revision
        self.rows[task_id] = (task_id, revision, *values)

    def delete(self, task_id: str) -> int:
        """Delete a task; return the deletion's revision."""
        del self.revisions[task_id]
        self.rows.pop(task_id, None)
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
    def size(self) -> int:
        """How many tasks it writes."""

    @property
    def key(self) -> IdempotencyKey | None:
        """The key that it needs."""

    def apply(self, batch: Batch) -> Any:
        """Do it, and return its outcome; raises a TodoListError before it has changed anything."""


class Create:
    """Create all tasks or none.

    Like the others, it fails here, and not in the batch, on text that a store cannot hold.
    """

    def __init__(
        self, tasks: Sequence[tuple[str | None, TaskEntry]], key: IdempotencyKey | None
    ) -> None:
        self.ids = [task_id for task_id, _ in tasks if task_id is not None]
        self.size = len(tasks)
        self.key = key
        for task_id in self.ids:
            _check_id(task_id)
        self._tasks = [(task_id, _values(entry, entry.to_json())) for task_id, entry in tasks]
        if key is not None:
            _check_text(key.owner, key.key)

    @classmethod
    async def prepare(
        cls, tasks: Sequence[tuple[str | None, TaskEntry]], key: IdempotencyKey | None
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
        created = Created(tuple(batch.create(*task) for task in self._tasks))
        if self.key is not None:
            batch.keep(self.key, created)
        return created


class Update:
    """Replace a task, if the precondition holds; the outcome is its new revision."""

    key = None
    size = 1

    def __init__(self, task_id: str, entry: TaskEntry, precondition: Precondition) -> None:
        _check_id(task_id)
        self.ids = (task_id,)
        self.body = entry.to_json()
        self._values = _values(entry, self.body)
        self._precondition = precondition

    def apply(self, batch: Batch) -> int:
        batch.check(self.ids[0], self._precondition)
        return batch.replace(self.ids[0], self._values)


class Delete:
    """Delete a task, if the precondition holds; the outcome is the new revision."""

    key = None
    size = 1

    def __init__(self, task_id: str, precondition: Precondition) -> None:
        _check_text(task_id)
        self.ids = (task_id,)
        self._precondition = precondition

    def apply(self, batch: Batch) -> int:
        batch.check(self.ids[0], self._precondition)
        return batch.delete(self.ids[0])


def apply_all(writes: Sequence[Write], batch: Batch) -> tuple[Batch, list[Any]]:
    """Apply the writes in turn; return what is to be stored, and the outcome or error of each.

    An error that nobody foresaw is its write's own, as any, but may come when the write is half done.
    All are applied again then, each to a copy, which counts only if the write goes well.
    """
    untouched = batch.copy()
    try:
        return batch, [_outcome(write, batch) for write in writes]
    except Exception:
        return _apply_apart(writes, untouched)


def _apply_apart(writes: Sequence[Write], batch: Batch) -> tuple[Batch, list[Any]]:
    outcomes = []
    for write in writes:
        tried = batch.copy()
        try:
            outcomes.append(_outcome(write, tried))
        except Exception as error:
            outcomes.append(error)
        else:
            batch = tried
    return batch, outcomes


def _outcome(write: Write, batch: Batch) -> Any:
    try:
        return write.apply(batch)
    except TodoListError as error:
        return error


def settle(future: "asyncio.Future[Any]", outcome: Any) -> None:
    """Give a write's outcome to who waits for it; an exception is raised there."""
    if future.done():  # whoever asked was cancelled
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _values(entry: TaskEntry, body: bytes) -> Values:
    _check_text(entry.title, entry.description or "")
    return task_values(entry, body)


def _check_id(task_id: str) -> None:
    _check_text(task_id)
    if len(task_id.encode()) > MAX_ID_BYTES:
        raise BadInputError(f"an id has at most {MAX_ID_BYTES} bytes")


def _check_text(*texts: str) -> None:
    for text in texts:
        text.encode()
        if "\0" in text:
            raise BadInputError("text does not hold U+0000")
