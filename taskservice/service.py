"""The business logic of a to-do list; it knows no HTTP, and no engine by name."""

from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import replace
from typing import Self

import uuid_utils

from taskservice.database.todolist_db import AbstractTodoListDB
from taskservice.datamodel import Created, StoredTask, TaskEntry, TaskPage, TaskQuery


def new_task_id() -> str:
    """Return the 32 hex digits of a UUIDv7 (RFC 9562): order by id is order of creation."""
    return uuid_utils.uuid7().hex


class TodoListService:
    """Creates, reads, updates, deletes and lists the tasks of a store.

    Use it as `async with service:`, or call `start` and `stop`. Beside what each method names, all
    raise StoreError when the store fails.
    """

    def __init__(
        self, task_db: AbstractTodoListDB, *, new_id: Callable[[], str] = new_task_id
    ) -> None:
        self._db = task_db
        self._new_id = new_id

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the store."""
        await self._db.start()

    async def stop(self) -> None:
        """Close the store, once its writes in flight have ended."""
        await self._db.stop()

    async def revision(self) -> int:
        """Return the revision of the store's last write."""
        return await self._db.revision()

    async def create_task(self, entry: TaskEntry) -> Created:
        """Create a task under a new id."""
        return await self._db.create_task(self._new_id(), entry)

    async def get_task(self, task_id: str) -> StoredTask:
        """Return a task; raises TaskNotFoundError."""
        return await self._db.read_task(task_id)

    async def update_task(
        self, task_id: str, entry: TaskEntry, expected: Collection[int] | None = None
    ) -> StoredTask:
        """Replace a task whose revision is one of `expected` (None: any).

        Raises TaskNotFoundError, StaleRevisionError.
        """
        return await self._db.update_task(task_id, entry, expected)

    async def delete_task(self, task_id: str, expected: Collection[int] | None = None) -> int:
        """Delete a task on the same condition, and return the revision of that.

        Raises TaskNotFoundError, StaleRevisionError.
        """
        return await self._db.delete_task(task_id, expected)

    async def list_tasks(self, query: TaskQuery) -> AsyncIterator[TaskPage]:
        """Give all the tasks of `query`, in pages of its limit; the last one has no `more`.

        No store resource is held between pages, so that a slow reader holds up nobody. A task
        that is not written meanwhile is neither skipped nor repeated.
        """
        page = await self._db.read_page(query)
        yield page
        while page.more:
            query = replace(query, after=query.sort_key(page.tasks[-1]))
            page = await self._db.read_page(query)
            yield page
