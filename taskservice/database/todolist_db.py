"""The contract of a store, and the two engines for tests and debugging: memory and files."""

import asyncio
import time
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from heapq import nlargest, nsmallest
from itertools import islice
from operator import gt, lt
from os import PathLike
from typing import Any, Self, TypeVar

import uuid_utils

from taskservice.database.history import History, KeptKeys
from taskservice.database.task_folder import TaskFolder
from taskservice.datamodel import (
    ChangePage, Created, IdempotencyKey, StoredTask, TaskEntry, TaskPage, TaskQuery,
    TaskSort)
from taskservice.errors import (
    ConfigError, DamagedTaskError, StoreError, StoreUnavailableError, TaskExistsError,
    TaskNotFoundError)
from taskservice.precondition import UNCONDITIONAL, Precondition

Result = TypeVar("Result")

Clock = Callable[[], int]
"""Microseconds since the epoch."""

LONG_READ = 2_000
"""Among how many tasks a page is searched and sorted on the event loop, at the most."""


def system_clock() -> int:
    """Return the wall clock's time in microseconds since the epoch."""
    return time.time_ns() // 1000


class AbstractTodoListDB(ABC):
    """A store of tasks.

    Every acknowledged write of a task gets the store's next revision, `max(last + 1, now in
    microseconds)`: revisions only grow and never repeat, also across restarts and processes. An
    acknowledged write is there (as durably as the engine promises); one that raised did not
    happen, unless the error is a `StoreError`: then it happened whole or not at all. Reads see
    every write that was acknowledged before they began. Every method may raise `StoreError`.

    Use it as `async with engine:`, or call `start` and `stop`.
    """

    name: str
    """The engine's name in the config and the metrics."""

    shared = True
    """Whether several processes can use one store at once."""

    @classmethod
    @abstractmethod
    def from_config(cls, options: Any) -> Self:
        """Make the engine from what the config has under its name, e.g. a folder or a mapping."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    @abstractmethod
    async def start(self) -> None:
        """Open the store, making it when it is not there; StoreInUseError, StoreVersionError."""

    @abstractmethod
    async def stop(self) -> None:
        """Let writes in flight end, then close the store; may be called twice."""

    @abstractmethod
    async def check_ready(self) -> None:
        """Raise StoreError unless the store answers and takes writes, as far as can be seen.

        It writes nothing, so that a store that is full passes.
        """

    @abstractmethod
    async def revision(self) -> int:
        """Return the revision of the last write; 0 for a store never written to.

        An engine that others may write to while it is down counts its start as a write.
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

        A task without an id gets the `new_task_id` of its revision.
        With a `key` seen in the last 24 hours, nothing is written and the first outcome comes
        back, `replayed`; a create that failed leaves no key. A second call waits for the first.
        Raises TaskExistsError (of the first id that is taken, also within `tasks`) and
        IdempotencyKeyReusedError (the key came with another digest).
        """

    @abstractmethod
    async def read_task(self, task_id: str) -> StoredTask:
        """Return a task; raises TaskNotFoundError."""

    @abstractmethod
    async def update_task(
        self, task_id: str, entry: TaskEntry, precondition: Precondition = UNCONDITIONAL
    ) -> StoredTask:
        """Replace a task, if the precondition holds for it; atomic.

        Raises TaskNotFoundError, and then StaleRevisionError.
        """

    @abstractmethod
    async def delete_task(
        self, task_id: str, precondition: Precondition = UNCONDITIONAL
    ) -> int:
        """Delete a task on the same condition as `update_task`; return the deletion's revision."""

    @abstractmethod
    async def read_page(self, query: TaskQuery) -> TaskPage:
        """Return the tasks that `query` asks for, and the revision of the store they are of.

        A walk by `after` neither skips nor repeats a task that is not itself written meanwhile.
        """

    @abstractmethod
    async def read_changes(self, since: int | None, limit: int) -> ChangePage:
        """Return at most `limit` changes after `since`, in the order of their revisions.

        Each id's latest change is there, superseded ones are not. The page's revision is the one
        to go on from: that of its last change or, where it has them all, the store's. None for
        `since` means from the beginning. A change that is yet to commit never gets a revision
        that a reader has gone past. Raises ChangesExpiredError when deletions after `since` may
        be forgotten, or `since` is beyond the store's revision.
        """


def next_revision(last: int, clock: Clock) -> int:
    """Return the revision of the next write: greater than `last`, and telling the time."""
    return max(last + 1, clock())


def new_task_id(revision: int) -> str:
    """Return an id for the task that this revision creates: the 32 hex digits of a UUIDv7.

    Its 48 bits of milliseconds are the revision's, and the 12 after them the rest of its
    microseconds (RFC 9562 §5.7, and §6.2, method 3): ids are in the order of the revisions.
    """
    milliseconds, microseconds = divmod(revision, 1000)
    fraction = microseconds * 4096 // 1000
    # The second half of any UUID of this variant, random but for two bits, is as good as another.
    return f"{milliseconds % (1 << 48):012x}7{fraction:03x}{uuid_utils.uuid4().hex[16:]}"


class InMemoryTodoListDB(AbstractTodoListDB):
    """Tasks in a dict, gone with the process; what it hands out cannot be changed."""

    name = "memory"
    shared = False

    def __init__(self, *, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._lock = asyncio.Lock()
        self._open = False
        self._tasks: dict[str, StoredTask] = {}
        self._ids: list[str] = []
        self._history = History()
        self._keys = KeptKeys()

    @classmethod
    def from_config(cls, options: Any) -> Self:
        """Take no options; raises ConfigError for any."""
        if options is not None:
            raise ConfigError("task-db.memory: takes no options, expected null")
        return cls()

    async def start(self) -> None:
        """Begin; what is there stays there."""
        if not self._open and not self._history.revision:
            self._history = History(began=self._clock() - 1)
        self._open = True

    async def stop(self) -> None:
        """End, when the write in flight has ended."""
        async with self._lock:
            self._open = False

    def _check_open(self) -> None:
        if not self._open:
            raise StoreUnavailableError(f"the {self.name} store is not open")

    async def check_ready(self) -> None:
        """Raise StoreUnavailableError unless it is open."""
        self._check_open()

    async def revision(self) -> int:
        """Return the revision of the last write."""
        self._check_open()
        return self._history.revision

    async def create_tasks(
        self, tasks: Sequence[tuple[str | None, TaskEntry]], key: IdempotencyKey | None = None
    ) -> Created:
        """Create all the tasks or none."""
        async with self._lock:
            self._check_open()
            if key is not None and (earlier := self._keys.find(key, self._clock())) is not None:
                return earlier
            if len(tasks) > LONG_READ:
                made = await self._create_many(tasks)
            else:
                made = self._make(tasks)
                await self._persist(made)
                self._put(made)
            created = Created(tuple((task.id, task.revision) for task in made))
            if key is not None:
                self._keys.keep(key, created, self._clock())
            self._forget()
            return created

    async def _create_many(self, tasks: Sequence[tuple[str | None, TaskEntry]]) -> list[StoredTask]:
        """Create very many tasks beside a loop that goes on; readers have what there was."""
        made = await asyncio.to_thread(self._make, tasks)
        ids, with_made = await asyncio.to_thread(self._with, made)
        await self._persist(made)
        self._ids, self._tasks = ids, with_made
        self._history.record_new(made)
        return made

    def _forget(self) -> None:
        """Forget some of what is past its lifetime, with a write that is there anyway."""
        now = self._clock()
        self._history.forget(now)
        self._keys.forget(now)

    def _make(self, tasks: Sequence[tuple[str | None, TaskEntry]]) -> list[StoredTask]:
        made: dict[str, StoredTask] = {}
        revision = self._history.revision
        for given, entry in tasks:
            if given is not None and (
                    taken := made.get(given) or self._find(given)) is not None:
                raise TaskExistsError(given, taken.revision)
            revision = next_revision(revision, self._clock)
            task_id = new_task_id(revision) if given is None else given
            made[task_id] = StoredTask.of(task_id, revision, entry)
        return list(made.values())

    def _find(self, task_id: str) -> StoredTask | None:
        """Return what is under this id."""
        return self._tasks.get(task_id)

    async def read_task(self, task_id: str) -> StoredTask:
        """Return a task."""
        self._check_open()
        if (task := self._tasks.get(task_id)) is None:
            raise TaskNotFoundError(task_id)
        return task

    def _expect(self, task_id: str, precondition: Precondition) -> StoredTask:
        """Return what is under this id; raises TaskNotFoundError, StaleRevisionError."""
        if (task := self._find(task_id)) is None:
            raise TaskNotFoundError(task_id)
        precondition.check(task_id, task.revision)
        return task

    async def update_task(
        self, task_id: str, entry: TaskEntry, precondition: Precondition = UNCONDITIONAL
    ) -> StoredTask:
        """Replace a task."""
        async with self._lock:
            self._check_open()
            replaced = self._expect(task_id, precondition)
            revision = next_revision(self._history.revision, self._clock)
            task = StoredTask.of(task_id, revision, entry)
            await self._persist([task], replaced)
            self._put([task])
            self._forget()
            return task

    async def delete_task(
        self, task_id: str, precondition: Precondition = UNCONDITIONAL
    ) -> int:
        """Delete a task."""
        async with self._lock:
            self._check_open()
            found = self._expect(task_id, precondition)
            revision = next_revision(self._history.revision, self._clock)
            await self._persist_deletion(found, revision)
            if (task := self._tasks.pop(task_id, None)) is not None:
                del self._ids[bisect_left(self._ids, task_id)]
            self._history.record_deletion(task_id, revision, task)
            self._forget()
            return revision

    def _put(self, tasks: Sequence[StoredTask]) -> None:
        for task in tasks:
            if (replaced := self._tasks.get(task.id)) is None:
                insort(self._ids, task.id)
            self._tasks[task.id] = task
            self._history.record(task, replaced)

    def _with(self, tasks: Sequence[StoredTask]) -> tuple[list[str], dict[str, StoredTask]]:
        """Return the ids and the tasks that there are with these new ones."""
        new = {task.id: task for task in tasks}
        return sorted([*self._ids, *new]), self._tasks | new

    async def _persist(
        self, tasks: Sequence[StoredTask], replaced: StoredTask | None = None
    ) -> None:
        """Keep what is about to be put; raises StoreError when it cannot be kept."""

    async def _persist_deletion(self, task: StoredTask, revision: int) -> None:
        """Keep that a task is about to be deleted; raises StoreError when it cannot be kept."""

    async def read_page(self, query: TaskQuery) -> TaskPage:
        """Return a page; one that may have to look at very many tasks is made in a thread."""
        self._check_open()
        revision = self._history.revision
        by_id = query.sort is TaskSort.CREATED
        found = self._from_position(query) if by_id else iter(self._tasks.values())
        if len(self._ids) <= LONG_READ or by_id and not query.filtered:
            tasks = _select(found, query)
        else:
            tasks = await asyncio.to_thread(_select, tuple(found), query)
        return TaskPage(revision, tuple(tasks[:query.limit]), len(tasks) > query.limit)

    def _from_position(self, query: TaskQuery) -> Iterator[StoredTask]:
        """Go through the tasks by id, from the query's position on."""
        start, stop = 0, len(self._ids)
        if query.after is not None and query.descending:
            stop = bisect_left(self._ids, query.after[1])
        elif query.after is not None:
            start = bisect_right(self._ids, query.after[1])
        indices = range(stop - 1, start - 1, -1) if query.descending else range(start, stop)
        return map(self._tasks.__getitem__, map(self._ids.__getitem__, indices))

    async def read_changes(self, since: int | None, limit: int) -> ChangePage:
        """Return changes; those of before the process began are not kept."""
        self._check_open()
        return self._history.page(since, limit)


def _select(tasks: Iterable[StoredTask], query: TaskQuery) -> list[StoredTask]:
    """Return the first tasks that match, one more than the limit; by id they come sorted."""
    found = (task for task in tasks if query.matches(task.entry)) if query.filtered else tasks
    if query.sort is TaskSort.CREATED:
        return list(islice(found, query.limit + 1))
    key, after = query.sort_key, query.after
    pick, beyond = (nlargest, lt) if query.descending else (nsmallest, gt)
    rest = (task for task in found if after is None or beyond(key(task), after))
    return pick(query.limit + 1, rest, key=key)


class FileTodoListDB(InMemoryTodoListDB):
    """One `ID.json` a task in a folder, written durably before a write is acknowledged.

    Reads come from memory: the folder is this process's own while it runs. See `TaskFolder`. What a
    failed write has changed in the folder is undone; while that fails, too, nothing is answered that
    it may touch, and each call tries again.
    """

    name = "fs"

    def __init__(self, folder: str | PathLike[str], *, clock: Clock = system_clock) -> None:
        super().__init__(clock=clock)
        self._folder = TaskFolder(folder)
        self._damaged: dict[str, StoredTask] = {}
        self._writes: set[asyncio.Task[Any]] = set()

    @classmethod
    def from_config(cls, options: Any) -> Self:
        """Take the folder's path; raises ConfigError for anything else."""
        if not isinstance(options, str) or not options:
            raise ConfigError("task-db.fs: expected the path of a folder")
        return cls(options)

    async def start(self) -> None:
        """Read the folder; a file that is no task is logged, and an error when it is read."""
        if self._open:
            return
        tasks, self._damaged, last = await asyncio.to_thread(self._folder.open)
        self._tasks = {task.id: task for task in tasks}
        self._ids = sorted(self._tasks)
        # What was deleted before is not known: a start is a revision of its own, so that no list
        # gets the tag that another one had.
        self._history = History(revision=next_revision(last, self._clock))
        try:
            await asyncio.to_thread(self._folder.keep_revision, self._history.revision)
        except BaseException:
            self._folder.close()
            raise
        await super().start()

    async def stop(self) -> None:
        """Let the writes in flight end, and leave the folder to others."""
        if self._writes:
            await asyncio.wait(self._writes)
        with suppress(StoreError):
            await self._make_certain()
        await super().stop()
        await asyncio.to_thread(self._folder.close)

    async def check_ready(self) -> None:
        """Raise StoreError unless the folder is the one that was opened, and may be written to."""
        await super().check_ready()
        await self._make_certain()
        await asyncio.to_thread(self._folder.check_writable)

    async def revision(self) -> int:
        """Return the revision of the last write."""
        await self._make_certain()
        return await super().revision()

    async def read_page(self, query: TaskQuery) -> TaskPage:
        """Return a page."""
        await self._make_certain()
        return await super().read_page(query)

    async def read_changes(self, since: int | None, limit: int) -> ChangePage:
        """Return changes."""
        await self._make_certain()
        return await super().read_changes(since, limit)

    async def read_task(self, task_id: str) -> StoredTask:
        """Return a task; raises DamagedTaskError, naming the file, when it is not one."""
        if task_id in self._folder.doubtful:
            await self._make_certain()
        if task_id in self._damaged:
            raise DamagedTaskError(f"{self._folder.path(task_id)} is not a task")
        return await super().read_task(task_id)

    def _find(self, task_id: str) -> StoredTask | None:
        return self._damaged.get(task_id) or super()._find(task_id)

    async def create_tasks(
        self, tasks: Sequence[tuple[str | None, TaskEntry]], key: IdempotencyKey | None = None
    ) -> Created:
        """Create all the tasks or none."""
        await self._make_certain()
        return await self._whole(super().create_tasks(tasks, key))

    async def update_task(
        self, task_id: str, entry: TaskEntry, precondition: Precondition = UNCONDITIONAL
    ) -> StoredTask:
        """Replace a task, also a damaged one."""
        await self._make_certain()
        return await self._whole(super().update_task(task_id, entry, precondition))

    async def delete_task(
        self, task_id: str, precondition: Precondition = UNCONDITIONAL
    ) -> int:
        """Delete a task, also a damaged one."""
        await self._make_certain()
        return await self._whole(super().delete_task(task_id, precondition))

    async def _persist(
        self, tasks: Sequence[StoredTask], replaced: StoredTask | None = None
    ) -> None:
        await asyncio.to_thread(self._folder.write, tasks, replaced)
        for task in tasks:
            self._damaged.pop(task.id, None)

    async def _persist_deletion(self, task: StoredTask, revision: int) -> None:
        await asyncio.to_thread(self._folder.delete, task, revision)
        self._damaged.pop(task.id, None)

    async def _make_certain(self) -> None:
        """Undo what is left in the folder of a write that failed; raises StoreError."""
        if self._folder.doubtful:
            await self._whole(self._undo())

    async def _undo(self) -> None:
        async with self._lock:
            await asyncio.to_thread(self._folder.undo)

    async def _whole(self, write: Coroutine[Any, Any, Result]) -> Result:
        """Carry a write through if its caller is cancelled: a thread cannot be called back."""
        task = asyncio.create_task(write)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return await asyncio.shield(task)
