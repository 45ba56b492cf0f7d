"""The contract of a store."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Self

from taskservice.datamodel import (
    ChangePage, Created, IdempotencyKey, Portion, StoredTask, TaskEntry, TaskPage, TaskQuery)
from taskservice.database.measurement import Measurement
from taskservice.precondition import UNCONDITIONAL, Precondition


class AbstractTodoListDB(ABC):
    """A store of tasks.

    Every acknowledged write of a task gets the store's next revision, `max(last + 1, now in
    microseconds)`: revisions only grow and never repeat, also across restarts and processes. An
    acknowledged write is there (as durably as the engine promises); one that raised did not
    happen, unless the error is a `StoreError`: then it happened whole or not at all. Reads see
    every write that was acknowledged before they began. A page whose reader is cancelled costs
    nothing more. Every method may raise `StoreError`.

    Use it as `async with engine:`, or call `start` and `stop`.
    """

    name: str
    """The engine's name in the config and the metrics."""

    shared = True
    """Whether several processes can use one store at once."""

    readers = 2
    """How many pages and changes can be read at once, besides single tasks; at least two."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    @abstractmethod
    async def examine(self, connect: bool) -> str:
        """Describe where the tasks are, and what a start would do there; called before the start.

        Changes nothing; contacts a server only with `connect`. Raises StoreError if a start would fail, as far as can
        be seen.
        """

    @abstractmethod
    async def start(self) -> None:
        """Open the store, creating it if it does not exist; StoreInUseError, StoreVersionError."""

    @abstractmethod
    async def stop(self) -> None:
        """Let writes in flight finish, then close the store; may be called twice."""

    @abstractmethod
    async def check_ready(self) -> None:
        """Raise StoreError unless the store answers and takes writes, as far as can be seen.

        It writes nothing, so a full store passes.
        """

    def log_bytes(self) -> int | None:
        """Return the size of the store's write-ahead log, in bytes; None if it has none."""
        return None

    def measurements(self) -> Iterable[Measurement]:
        """Return what the engine measures of itself in this process; none if it measures nothing."""
        return ()

    @abstractmethod
    async def revision(self) -> int:
        """Return the revision of the last write; 0 for a store never written to.

        An engine whose store others may change while it is down counts its start as a write.
        """

    async def create_task(
        self, task_id: str | None, entry: TaskEntry, key: IdempotencyKey | None = None
    ) -> Created:
        """Create one task: `create_tasks` with a single one."""
        return await self.create_tasks([(task_id, entry)], key)

    @abstractmethod
    async def create_tasks(
        self, tasks: Sequence[tuple[str | None, TaskEntry]], key: IdempotencyKey | None = None
    ) -> Created:
        """Create all the tasks or none, each with a revision of its own, in order.

        A task without an id gets the `new_task_id` of its revision. With a `key` used in the last 24 hours, nothing is
        written and the first outcome is returned, `replayed`; a create that failed leaves no key. A concurrent call
        with the same key waits for the first. Raises TaskExistsError (of the first id that is taken, also within
        `tasks`) and IdempotencyKeyReusedError (the key was used with another digest).
        """

    @abstractmethod
    async def read_task(self, task_id: str) -> StoredTask:
        """Return a task; raises TaskNotFoundError."""

    @abstractmethod
    async def update_task(
        self, task_id: str, entry: TaskEntry, precondition: Precondition = UNCONDITIONAL
    ) -> StoredTask:
        """Replace a task, if the precondition holds for it; atomic.

        Raises TaskNotFoundError, or else StaleRevisionError.
        """

    @abstractmethod
    async def delete_task(
        self, task_id: str, precondition: Precondition = UNCONDITIONAL
    ) -> int:
        """Delete a task under a precondition, as `update_task` does; return the deletion's revision."""

    def continuing(self, begun: bool = True) -> AbstractContextManager[object]:
        """Return the context of a read whose answer, if `begun`, is partly sent.

        Such a read is not refused when too many wait, as that would cut the answer: its callers see to it that few such
        reads come at once.
        """
        return nullcontext()

    @abstractmethod
    async def read_page(self, query: TaskQuery) -> TaskPage:
        """Return the tasks that match `query`, and the revision of the store at that time.

        A walk by `after` neither skips nor repeats a task that is not itself written meanwhile. Tasks beyond PAGE_BYTES
        are left to `read_tasks`.
        """

    def page_at_once(self, query: TaskQuery) -> TaskPage | None:
        """Return a page as `read_page` does, if that takes no wait and no look at other tasks; else None.

        Call it first, where the page need not wait for its turn among the reads of others.
        """
        return None

    @abstractmethod
    async def read_tasks(self, ids: Sequence[str]) -> Portion:
        """Return the first of these tasks, as many as fit PORTION_BYTES, in this order."""

    @abstractmethod
    async def read_changes(self, since: int | None, limit: int) -> ChangePage:
        """Return at most `limit` changes after `since`, in the order of their revisions.

        Each id's latest change is included, superseded ones are not. The page's revision is the one to resume from:
        that of its last change or, if it is complete, the store's. None for `since` means from the beginning. A change
        that is yet to commit never gets a revision that a reader has passed already. There are fewer than `limit`, and
        `more`, if they would not fit PORTION_BYTES. Raises ChangesExpiredError if deletions after `since` may be
        forgotten, or `since` is beyond the store's revision.
        """
