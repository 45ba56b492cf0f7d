"""The business logic of a to-do list; it knows no HTTP, and no engine by name."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Self

from taskservice.changes import ChangeFeed
from taskservice.database.contract import AbstractTodoListDB
from taskservice.datamodel import (
    Change, ChangePage, Created, IdempotencyKey, StoredTask, TaskEntry, TaskPage, TaskQuery)
from taskservice.errors import ChangesExpiredError, StaleRevisionError
from taskservice.precondition import UNCONDITIONAL, Precondition


LISTS_AT_ONCE = 2
"""How many large answers read a portion at the same time; other requests run between their portions."""

READ_AT_ONCE = 200
"""How many unread tasks an engine looks up the sizes of, to find out how many fit a portion."""

BULKS_AT_ONCE = 1
"""How many bulks are read and written at the same time: other writes run between them, and memory holds no more of
them."""


class TodoListService:
    """Creates, reads, updates, deletes and lists the tasks of a store.

    Use it as `async with service:`, or call `start` and `stop`. Besides the errors that each method names, all raise
    StoreError when the store fails.
    """

    def __init__(self, task_db: AbstractTodoListDB) -> None:
        """Make a service on a store."""
        self._db = task_db
        self._feed = ChangeFeed(task_db)
        self._turns = asyncio.Semaphore(LISTS_AT_ONCE)
        self._search_turns = asyncio.Semaphore(LISTS_AT_ONCE)  # a search may wait long, and should delay no others
        self.bulk_turn = asyncio.Semaphore(BULKS_AT_ONCE)
        """A lock to hold while a body of many tasks is read and its tasks are created."""

    def limit_followers(self, backlog: int, count: int) -> None:
        """Set how many may follow the changes, each at most `backlog` of them behind; present followers stay."""
        self._feed.backlog, self._feed.max_followers = backlog, count

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the store."""
        await self._db.start()

    async def stop_following(self) -> None:
        """End all followers of changes: the service is going away."""
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

    def create_task(
        self, entry: TaskEntry, key: IdempotencyKey | None = None, task_id: str | None = None
    ) -> Coroutine[Any, Any, Created]:
        """Create a task, under a new id unless one is given.

        Raises TaskExistsError, and IdempotencyKeyReusedError: see `create_tasks`.
        """
        return self.create_tasks([(task_id, entry)], key)

    async def create_tasks(
        self, tasks: Sequence[tuple[str | None, TaskEntry]], key: IdempotencyKey | None = None
    ) -> Created:
        """Create all the tasks or none; with a `key` that was used before, return the result of that time.

        A task whose id is None gets a new one: the order of new ids is the order of creation. Raises TaskExistsError,
        IdempotencyKeyReusedError (the key was used with another body).
        """
        created = await self._db.create_tasks(tasks, key)
        self._feed.wake()
        return created

    def get_task(self, task_id: str) -> Coroutine[Any, Any, StoredTask]:
        """Return a task; raises TaskNotFoundError."""
        return self._db.read_task(task_id)

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
        """Replace a task by the result of `change`, if the precondition holds for it; atomic.

        `change` may be called again when others write meanwhile. Raises its errors, TaskNotFoundError,
        StaleRevisionError.
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
        """Delete a task if the precondition holds for it, and return the revision of the deletion.

        Raises TaskNotFoundError, StaleRevisionError.
        """
        revision = await self._db.delete_task(task_id, precondition)
        self._feed.wake()
        return revision

    async def read_page(self, query: TaskQuery) -> AsyncGenerator[TaskPage, None]:
        """Yield one page of `query`, in portions.

        `unread` of a portion is what is left of the page, and its `end` is where the next page goes on. A task that is
        written meanwhile is as it is when it is read, and left out if it does not match any more.
        """
        page = self._db.page_at_once(query) or await self._db.read_page(query)
        yield page
        while page.unread:
            page = await self._read_on(query, page)
            yield page

    async def list_tasks(self, query: TaskQuery) -> AsyncGenerator[TaskPage, None]:
        """Yield all tasks of `query`, in portions, a page of the query's limit after the other.

        No resource of the store is held between portions, so a slow reader delays nobody, and many readers at once take
        turns, so they delay no other requests. A task that is not written meanwhile is neither skipped nor repeated.
        """
        turns = self._search_turns if query.words else self._turns
        begun, page = False, self._db.page_at_once(query)  # the first delays others no more than any request
        while True:
            if page is None:
                async with turns:
                    with self._db.continuing(begun):
                        page = await self._db.read_page(query)
                    if page.end:
                        await asyncio.sleep(0)  # a store in memory never waits, and would serve one reader to the end
            begun = True
            yield page
            while page.unread:
                page = await self._read_on(query, page)
                yield page
            if page.end is None:
                return
            query, page = replace(query, after=page.end), None

    async def _read_on(self, query: TaskQuery, page: TaskPage) -> TaskPage:
        """Return the next portion of a page: the first of its unread tasks."""
        async with self._turns:
            with self._db.continuing():
                portion = await self._db.read_tasks(page.unread[:READ_AT_ONCE])
            await asyncio.sleep(0)
        matches = query.matcher()
        tasks = tuple(task for task in portion.tasks if task.revision <= page.revision or matches(task))
        return replace(page, tasks=tasks, unread=page.unread[portion.read:])

    async def read_changes(
        self, since: int | None, limit: int
    ) -> AsyncGenerator[ChangePage, None]:
        """Yield at most `limit` changes after `since`, in order, in portions; all but the last have `more`.

        Raises ChangesExpiredError, and StoreError. There are fewer if the store forgets changes before a slow reader
        comes to them.
        """
        page = await self._db.read_changes(since, limit)
        limit -= len(page.changes)
        while page.more and limit:
            yield page
            try:
                async with self._turns:
                    with self._db.continuing():
                        page = await self._db.read_changes(page.revision, limit)
                    await asyncio.sleep(0)
            except ChangesExpiredError:
                return
            limit -= len(page.changes)
        yield replace(page, more=False)

    def follow_changes(self, since: int) -> AsyncGenerator[Sequence[Change], None]:
        """Yield the changes after `since` as they come: see `ChangeFeed.follow`."""
        return self._feed.follow(since)
