"""The business logic of a to-do list; it knows no HTTP, and no engine by name."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Self

from taskservice.changes import ChangeFeed
from taskservice.database.todolist_db import AbstractTodoListDB
from taskservice.datamodel import (
    Change, ChangePage, Created, IdempotencyKey, StoredTask, TaskEntry, TaskPage, TaskQuery)
from taskservice.errors import StaleRevisionError
from taskservice.precondition import UNCONDITIONAL, Precondition


LISTS_AT_ONCE = 2
"""How many whole lists read a page at the same time: between their pages others have their turn."""


class TodoListService:
    """Creates, reads, updates, deletes and lists the tasks of a store.

    Use it as `async with service:`, or call `start` and `stop`. Beside what each method names, all
    raise StoreError when the store fails.
    """

    def __init__(self, task_db: AbstractTodoListDB, *, backlog: int = 1_000) -> None:
        """Make a service on a store; who follows its changes may be `backlog` of them behind."""
        self._db = task_db
        self._feed = ChangeFeed(task_db, backlog=backlog)
        self._turns = asyncio.Semaphore(LISTS_AT_ONCE)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the store."""
        await self._db.start()

    async def stop_following(self) -> None:
        """Let all who follow the changes end: the service is going away."""
        await self._feed.stop()

    async def stop(self) -> None:
        """Close the store, once its writes in flight have ended."""
        await self._feed.stop()
        await self._db.stop()

    async def check_ready(self) -> None:
        """Raise StoreError unless the store answers and takes writes."""
        await self._db.check_ready()

    async def revision(self) -> int:
        """Return the revision of the store's last write."""
        return await self._db.revision()

    async def create_task(
        self, entry: TaskEntry, key: IdempotencyKey | None = None, task_id: str | None = None
    ) -> Created:
        """Create a task, under a new id unless one is given.

        Raises TaskExistsError, and IdempotencyKeyReusedError: see `create_tasks`.
        """
        return await self.create_tasks([(task_id, entry)], key)

    async def create_tasks(
        self, tasks: Sequence[tuple[str | None, TaskEntry]], key: IdempotencyKey | None = None
    ) -> Created:
        """Create all the tasks or none; with a `key` that came before, tell what it created then.

        A task whose id is None gets a new one: the order of new ids is the order of creation.
        Raises TaskExistsError, IdempotencyKeyReusedError (the key came with another body).
        """
        created = await self._db.create_tasks(tasks, key)
        self._feed.wake()
        return created

    async def get_task(self, task_id: str) -> StoredTask:
        """Return a task; raises TaskNotFoundError."""
        return await self._db.read_task(task_id)

    async def update_task(
        self, task_id: str, entry: TaskEntry, precondition: Precondition = UNCONDITIONAL
    ) -> StoredTask:
        """Replace a task, if the precondition holds for it.

        Raises TaskNotFoundError, StaleRevisionError.
        """
        task = await self._db.update_task(task_id, entry, precondition)
        self._feed.wake()
        return task

    async def modify_task(
        self, task_id: str, change: Callable[[TaskEntry], TaskEntry],
        precondition: Precondition = UNCONDITIONAL
    ) -> StoredTask:
        """Replace a task by what `change` makes of it, on the same condition; atomic.

        `change` may be called again when others write meanwhile. Raises what it raises,
        TaskNotFoundError, StaleRevisionError.
        """
        while True:
            task = await self._db.read_task(task_id)
            precondition.check(task_id, task.revision)
            as_read = Precondition(match={task.revision})
            with suppress(StaleRevisionError):
                return await self.update_task(task_id, change(task.entry), as_read)

    async def delete_task(
        self, task_id: str, precondition: Precondition = UNCONDITIONAL
    ) -> int:
        """Delete a task on the same condition, and return the revision of that.

        Raises TaskNotFoundError, StaleRevisionError.
        """
        revision = await self._db.delete_task(task_id, precondition)
        self._feed.wake()
        return revision

    async def read_page(self, query: TaskQuery) -> TaskPage:
        """Return at most as many tasks of `query` as its limit says."""
        return await self._db.read_page(query)

    async def list_tasks(self, query: TaskQuery) -> AsyncGenerator[TaskPage, None]:
        """Give all the tasks of `query`, in pages of its limit; the last one has no `more`.

        No store resource is held between pages, so that a slow reader holds up nobody, and many
        who read at once take turns, so that they hold up no others. A task
        that is not written meanwhile is neither skipped nor repeated.
        """
        more = True
        while more:
            async with self._turns:
                page = await self._db.read_page(query)
                if more := page.more:
                    await asyncio.sleep(0)  # a store in memory would give all to all at once
            yield page
            if more:
                query = replace(query, after=query.sort_key(page.tasks[-1]))

    async def read_changes(self, since: int | None, limit: int) -> ChangePage:
        """Return at most `limit` changes after `since`, in order; raises ChangesExpiredError."""
        return await self._db.read_changes(since, limit)

    def follow_changes(self, since: int | None) -> AsyncGenerator[Sequence[Change], None]:
        """Give the changes after `since` as they come: see `ChangeFeed.follow`."""
        return self._feed.follow(since)
