"""The engine in memory, for tests and debugging."""

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest, nsmallest
from itertools import islice, takewhile
from operator import attrgetter, gt, itemgetter, lt
from threading import Event

from taskservice.database.contract import AbstractTodoListDB
from taskservice.database.history import History, KeptKeys
from taskservice.database.revisions import (
    Clock, new_random_part, new_task_id, next_revision, next_revisions, system_clock)
from taskservice.datamodel import (
    PAGE_BYTES, PORTION_BYTES, ChangePage, Created, IdempotencyKey, Portion, SortKey, StoredTask, TaskEntry,
    TaskPage, TaskQuery, TaskSort, fitting)
from taskservice.errors import StoreUnavailableError, TaskExistsError, TaskNotFoundError
from taskservice.precondition import UNCONDITIONAL, Precondition

LONG_READ = 1_000
"""Maximum number of tasks that are searched and sorted on the event loop for a page."""

_member = attrgetter("member")


class InMemoryTodoListDB(AbstractTodoListDB):
    """Tasks in a dict, gone with the process; the tasks it returns are immutable."""

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

    async def examine(self, connect: bool) -> str:
        """Describe it: the tasks are gone with the process."""
        return "in memory, gone with the process"

    async def start(self) -> None:
        """Open the store; tasks from an earlier start stay."""
        if not self._open and not self._history.revision:
            self._history = History(began=self._clock() - 1)
        self._open = True

    async def stop(self) -> None:
        """Close the store once the write in flight has finished."""
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
            made = await asyncio.to_thread(self._make, tasks) if len(tasks) > 1 else (
                self._make(tasks))
            if len(made) > LONG_READ:
                await self._put_many(made)
            else:
                await self._persist(made)
                self._put(made)
            created = Created(tuple((task.id, task.revision) for task in made))
            if key is not None:
                self._keys.keep(key, created, self._clock())
            self._forget()
            return created

    async def _put_many(self, made: Sequence[StoredTask]) -> None:
        """Store very many new tasks while the loop goes on; readers see the tasks from before."""
        ids, with_made = await asyncio.to_thread(self._with, made)
        await self._persist(made)
        self._ids, self._tasks = ids, with_made
        self._history.record_new(made)

    def _forget(self) -> None:
        """Forget some expired entries, as part of a write."""
        now = self._clock()
        self._history.forget(now)
        self._keys.forget(now)

    def _make(self, tasks: Sequence[tuple[str | None, TaskEntry]]) -> list[StoredTask]:
        made: dict[str, StoredTask] = {}
        revisions = next_revisions(self._history.revision, self._clock, len(tasks))
        random_part = new_random_part()
        for revision, (given, entry) in zip(revisions, tasks):
            if given in made:
                raise TaskExistsError(given, None)
            if given is not None and (taken := self._find(given)) is not None:
                raise TaskExistsError(given, taken.revision)
            task_id = new_task_id(revision, random_part) if given is None else given
            made[task_id] = StoredTask.of(task_id, revision, entry)
        return list(made.values())

    def _find(self, task_id: str) -> StoredTask | None:
        """Return the task with this id, if any."""
        return self._tasks.get(task_id)

    async def read_task(self, task_id: str) -> StoredTask:
        """Return a task."""
        self._check_open()
        if (task := self._tasks.get(task_id)) is None:
            raise TaskNotFoundError(task_id)
        return task

    def _expect(self, task_id: str, precondition: Precondition) -> StoredTask:
        """Return the task with this id; raises TaskNotFoundError, StaleRevisionError."""
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
            self._history.record_deletion(task_id, revision, task, self._clock())
            self._forget()
            return revision

    def _put(self, tasks: Sequence[StoredTask]) -> None:
        for task in tasks:
            replaced = self._tasks.get(task.id)
            if replaced is None and (not self._ids or task.id > self._ids[-1]):  # as ids are that the service makes
                self._ids.append(task.id)
            elif replaced is None:
                insort(self._ids, task.id)
            self._tasks[task.id] = task
            self._history.record(task, replaced)

    def _with(self, tasks: Sequence[StoredTask]) -> tuple[list[str], dict[str, StoredTask]]:
        """Return the ids and tasks of the store together with these new ones."""
        new = {task.id: task for task in tasks}
        return sorted([*self._ids, *new]), self._tasks | new

    async def _persist(
        self, tasks: Sequence[StoredTask], replaced: StoredTask | None = None
    ) -> None:
        """Persist a write before it takes effect; raises StoreError if that fails."""

    async def _persist_deletion(self, task: StoredTask, revision: int) -> None:
        """Persist a deletion before it takes effect; raises StoreError if that fails."""

    def page_at_once(self, query: TaskQuery) -> TaskPage | None:
        """Return a page of all tasks by id: no others than its own are looked at."""
        if not self._open or query.sort is not TaskSort.CREATED or query.filtered:
            return None
        return _page(self._history.revision, _select(self._from_position(query), query), query)

    async def read_page(self, query: TaskQuery) -> TaskPage:
        """Return a page; one that may have to look at very many tasks is made in a thread."""
        self._check_open()
        if (page := self.page_at_once(query)) is not None:
            return page
        revision = self._history.revision
        found = self._from_position(query) if query.sort is TaskSort.CREATED else iter(self._tasks.values())
        if len(self._ids) <= LONG_READ:
            tasks = _select(found, query)
        else:
            tasks = await _select_in_thread(tuple(found), query)
        return _page(revision, tasks, query)

    async def read_tasks(self, ids: Sequence[str]) -> Portion:
        """Return the first of these tasks."""
        self._check_open()
        found = [(place, task) for place, task_id in enumerate(ids, 1)
                 if (task := self._tasks.get(task_id)) is not None]
        count = fitting((task.size for _, task in found), PORTION_BYTES)
        read = found[count - 1][0] if count < len(found) else len(ids)
        return Portion(tuple(task for _, task in found[:count]), read)

    def _from_position(self, query: TaskQuery) -> Iterator[StoredTask]:
        """Yield the tasks by id, from the query's position on: without filters, no more than it needs."""
        start, stop = 0, len(self._ids)
        if query.after is not None and query.descending:
            stop = bisect_left(self._ids, query.after[1])
        elif query.after is not None:
            start = bisect_right(self._ids, query.after[1])
        if not query.filtered and query.descending:
            start = max(start, stop - query.limit - 1)
        elif not query.filtered:
            stop = min(stop, start + query.limit + 1)
        ids = self._ids[start:stop]
        return map(self._tasks.__getitem__, reversed(ids) if query.descending else ids)

    async def read_changes(self, since: int | None, limit: int) -> ChangePage:
        """Return changes; those from before the process began are not kept."""
        self._check_open()
        return self._history.page(since, limit)


async def _select_in_thread(tasks: Iterable[StoredTask], query: TaskQuery) -> list[StoredTask]:
    """Run `_select` in a thread, which stops soon if the caller is cancelled."""
    cancelled = Event()
    try:
        return await asyncio.to_thread(
            _select, takewhile(lambda _: not cancelled.is_set(), tasks), query)
    except asyncio.CancelledError:
        cancelled.set()
        raise


def _select(tasks: Iterable[StoredTask], query: TaskQuery) -> list[StoredTask]:
    """Return the first matching tasks, one more than the limit; by id they come sorted."""
    if query.sort is TaskSort.CREATED:
        found = filter(query.matcher(), tasks) if query.filtered else tasks
        return list(islice(found, query.limit + 1))
    pick = nlargest if query.descending else nsmallest
    return [task for _, task in pick(query.limit + 1, _keyed(tasks, query), key=itemgetter(0))]


def _keyed(tasks: Iterable[StoredTask], query: TaskQuery) -> Iterator[tuple[tuple[SortKey, str], StoredTask]]:
    """Yield the matching tasks beyond the query's position with their sort keys."""
    beyond = lt if query.descending else gt
    for task in filter(query.matcher(), tasks) if query.filtered else tasks:
        key = query.sort_key(task)
        if query.after is None or beyond(key, query.after):
            yield key, task


def _page(revision: int, found: list[StoredTask], query: TaskQuery) -> TaskPage:
    """Make a page from its tasks and, if there is one, the task after them."""
    tasks = found[:query.limit]
    end = query.sort_key(tasks[-1]) if len(found) > query.limit else None
    count = fitting([task.size for task in tasks], PAGE_BYTES) if (
        sum(map(len, map(_member, tasks))) > PAGE_BYTES) else len(tasks)  # to add up all sizes takes longer
    return TaskPage(revision, tuple(tasks[:count]), end, tuple(task.id for task in tasks[count:]))
