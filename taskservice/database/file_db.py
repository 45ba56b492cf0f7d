"""The engine of files, one for each task, for debugging and for small lists."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from os import PathLike
from typing import Any, TypeVar

from taskservice.database.folders import is_usable
from taskservice.database.history import History
from taskservice.database.memory_db import InMemoryTodoListDB
from taskservice.database.revisions import Clock, next_revision, system_clock
from taskservice.database.task_folder import TaskFolder
from taskservice.datamodel import (
    ChangePage, Created, IdempotencyKey, Portion, StoredTask, TaskEntry, TaskPage, TaskQuery)
from taskservice.errors import DamagedTaskError, StoreError
from taskservice.precondition import UNCONDITIONAL, Precondition

Result = TypeVar("Result")


class FileTodoListDB(InMemoryTodoListDB):
    """One `ID.json` for each task in a folder, durable before a write is acknowledged.

    Reads come from memory: the folder belongs to this process while it runs. See `TaskFolder`. The changes of a failed
    write are undone; while that fails, too, no call that they may affect is answered, and each call tries again.
    """

    name = "fs"

    def __init__(self, folder: str | PathLike[str], *, clock: Clock = system_clock) -> None:
        super().__init__(clock=clock)
        self._folder = TaskFolder(folder)
        self._damaged: dict[str, StoredTask] = {}
        self._writes: set[asyncio.Task[Any]] = set()

    async def examine(self, connect: bool) -> str:
        """Look at the folder."""
        folder = self._folder.place
        return f"files in {folder}" + ("" if is_usable(folder) else ", which would be made")

    async def start(self) -> None:
        """Read the folder; a file that is no task is logged, and is an error only when it is read."""
        if self._open:
            return
        tasks, self._damaged, last = await asyncio.to_thread(self._folder.open)
        self._tasks = {task.id: task for task in tasks}
        self._ids = sorted(self._tasks)
        # Earlier deletions are not known: a start is a revision of its own, so that no list gets the tag that another
        # one had.
        self._history = History(revision=next_revision(last, self._clock))
        try:
            await asyncio.to_thread(self._folder.keep_revision, self._history.revision)
        except BaseException:
            self._folder.close()
            raise
        await super().start()

    async def stop(self) -> None:
        """Let the writes in flight finish, and release the folder."""
        if self._writes:
            await asyncio.wait(self._writes)
        with suppress(StoreError):
            await self._make_certain()
        await super().stop()
        await asyncio.to_thread(self._folder.close)

    async def check_ready(self) -> None:
        """Raise StoreError unless the folder is the one that was opened, and is writable."""
        await super().check_ready()
        await self._make_certain()
        await asyncio.to_thread(self._folder.check_writable)

    async def revision(self) -> int:
        """Return the revision of the last write."""
        await self._make_certain()
        return await super().revision()

    def page_at_once(self, query: TaskQuery) -> TaskPage | None:
        """Return a page, unless a failed write has to be undone first."""
        return None if self._folder.doubtful else super().page_at_once(query)

    async def read_page(self, query: TaskQuery) -> TaskPage:
        """Return a page."""
        await self._make_certain()
        return await super().read_page(query)

    async def read_tasks(self, ids: Sequence[str]) -> Portion:
        """Return the first of these tasks."""
        await self._make_certain()
        return await super().read_tasks(ids)

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
        """Undo what a failed write left in the folder; raises StoreError."""
        if self._folder.doubtful:
            await self._whole(self._undo())

    async def _undo(self) -> None:
        async with self._lock:
            await asyncio.to_thread(self._folder.undo)

    async def _whole(self, write: Coroutine[Any, Any, Result]) -> Result:
        """Complete a write even if its caller is cancelled: a thread cannot be stopped."""
        task = asyncio.create_task(write)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return await asyncio.shield(task)
