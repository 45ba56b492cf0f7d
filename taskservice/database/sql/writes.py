"""The writes of callers, each prepared before its transaction begins."""

import asyncio
from collections.abc import Sequence
from typing import Protocol, Self, TypeVar

from taskservice.database.sql.batch import Batch
from taskservice.database.sql.columns import EncodedTask, check_text
from taskservice.datamodel import Created, IdempotencyKey, TaskEntry
from taskservice.errors import BadInputError, TaskExistsError, TodoListError
from taskservice.precondition import Precondition

MAX_ID_BYTES = 512
"""Maximum length of an id: together with a title key it has to fit an entry of a PostgreSQL index."""

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Write(Protocol[Result_co]):
    """One caller's write: the rows it needs, and its effect."""

    @property
    def ids(self) -> Sequence[str]:
        """The ids whose revisions it needs."""

    @property
    def size(self) -> int:
        """How many tasks it writes."""

    @property
    def key(self) -> IdempotencyKey | None:
        """The idempotency key that it needs."""

    def apply(self, batch: Batch) -> Result_co:
        """Apply it, and return its result; raises a TodoListError before it has changed anything."""


class Create:
    """Create all tasks or none.

    Like the other writes, it refuses text that a store cannot hold here, before it reaches the batch.
    """

    def __init__(
        self, tasks: Sequence[tuple[str | None, TaskEntry]], key: IdempotencyKey | None
    ) -> None:
        self._tasks = [(task_id, EncodedTask.of(entry)) for task_id, entry in tasks]
        self.ids = [task_id for task_id, _ in self._tasks if task_id is not None]
        self.size = len(self._tasks)
        self.key = key
        for task_id in self.ids:
            _check_id(task_id)
        if key is not None:
            check_text(key.owner, key.key)

    @classmethod
    async def prepare(
        cls, tasks: Sequence[tuple[str | None, TaskEntry]], key: IdempotencyKey | None
    ) -> Self:
        """Make one; several tasks, which may be large, are encoded in a thread."""
        return await asyncio.to_thread(cls, tasks, key) if len(tasks) > 1 else cls(tasks, key)

    def apply(self, batch: Batch) -> Created:
        if self.key is not None and (kept := batch.kept(self.key)) is not None:
            return kept
        seen: set[str] = set()
        for task_id in self.ids:
            if task_id in batch.revisions or task_id in seen:
                raise TaskExistsError(task_id, batch.revisions.get(task_id))
            seen.add(task_id)
        created = batch.create(self._tasks)
        if self.key is not None:
            batch.keep(self.key, created)
        return created


class Update:
    """Replace a task, if the precondition holds; the result is its new revision."""

    key = None
    size = 1

    def __init__(self, task_id: str, entry: TaskEntry, precondition: Precondition) -> None:
        _check_id(task_id)
        self.ids = (task_id,)
        self._task = EncodedTask.of(entry)
        self._precondition = precondition

    @property
    def body(self) -> bytes:
        """The task as JSON."""
        return self._task.body

    def apply(self, batch: Batch) -> int:
        batch.check(self.ids[0], self._precondition)
        return batch.replace(self.ids[0], self._task)


class Delete:
    """Delete a task, if the precondition holds; the result is the deletion's revision."""

    key = None
    size = 1

    def __init__(self, task_id: str, precondition: Precondition) -> None:
        check_text(task_id)
        self.ids = (task_id,)
        self._precondition = precondition

    def apply(self, batch: Batch) -> int:
        batch.check(self.ids[0], self._precondition)
        return batch.delete(self.ids[0])


def apply_all(
    writes: Sequence[Write[Result]], batch: Batch
) -> tuple[Batch, list[Result | Exception]]:
    """Apply the writes in turn; return the changes to store, and the result or error of each write.

    An unforeseen error belongs to its write, as any other, but may come when the write is half done. Then all are
    applied again, each to a copy, which counts only if the write succeeds.
    """
    untouched = batch.copy()
    try:
        return batch, [_outcome(write, batch) for write in writes]
    except Exception:
        return _apply_apart(writes, untouched)


def _apply_apart(
    writes: Sequence[Write[Result]], batch: Batch
) -> tuple[Batch, list[Result | Exception]]:
    outcomes: list[Result | Exception] = []
    for write in writes:
        tried = batch.copy()
        try:
            outcomes.append(_outcome(write, tried))
        except Exception as error:
            outcomes.append(error)
        else:
            batch = tried
    return batch, outcomes


def _outcome(write: Write[Result], batch: Batch) -> Result | Exception:
    try:
        return write.apply(batch)
    except TodoListError as error:
        return error


def _check_id(task_id: str) -> None:
    check_text(task_id)
    if len(task_id.encode()) > MAX_ID_BYTES:
        raise BadInputError(f"an id has at most {MAX_ID_BYTES} bytes")
