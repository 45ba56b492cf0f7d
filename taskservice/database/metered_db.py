"""An engine around another one: it limits reads, measures operations and logs outages."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from taskservice.database.outages import Outages
from taskservice.database.read_queue import ReadLimits, ReadObserver, ReadQueue, continuing
from taskservice.database.contract import AbstractTodoListDB
from taskservice.datamodel import (
    ChangePage, Created, IdempotencyKey, Portion, StoredTask, TaskEntry, TaskPage, TaskQuery)
from taskservice.precondition import UNCONDITIONAL, Precondition
from taskservice.utils import taskcontext

Result = TypeVar("Result")

STORE_SECONDS = "store_seconds"
"""The key in the task context under which the seconds of a request's operations add up."""

Observer = Callable[[str, float], None]
"""Called with an operation's name and its duration in seconds, also if it failed."""


class MeteredTodoListDB(AbstractTodoListDB):
    """Passes operations on to an engine; pages and changes wait for their turn, within `limits`."""

    def __init__(
        self, engine: AbstractTodoListDB, observe: Observer, reads: ReadObserver,
        limits: ReadLimits = ReadLimits()
    ) -> None:
        self._engine = engine
        self._reads = ReadQueue(engine.readers, limits, reads)
        self._observe = observe
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outages = Outages()
        self.name = engine.name
        self.shared = engine.shared

    def limit_reads(self, limits: ReadLimits) -> None:
        """Set the limits of later reads."""
        self._reads.limits = limits

    async def examine(self, connect: bool) -> str:
        """Return in words where the tasks are."""
        return await self._engine.examine(connect)

    async def start(self) -> None:
        """Open the store."""
        self._loop = asyncio.get_running_loop()
        await self._engine.start()
        self._outages.watch(True)

    async def stop(self) -> None:
        """Close the store."""
        self._outages.watch(False)
        await self._engine.stop()

    async def _timed(self, operation: str, work: Awaitable[Result]) -> Result:
        started = time.perf_counter()
        try:
            result = await work
            if self._outages.current:
                self._outages.succeeded(operation, started)
            return result
        except Exception as error:
            self._outages.failed(operation, started, error, counts=bool(taskcontext.current()))
            raise
        finally:
            self._took(operation, started)

    def _took(self, operation: str, started: float) -> None:
        seconds = time.perf_counter() - started
        self._observe(operation, seconds)
        taskcontext.add(STORE_SECONDS, seconds, asyncio.current_task(self._loop))

    async def check_ready(self) -> None:
        """Raise StoreError unless the store answers and takes writes."""
        await self._timed("ready", self._engine.check_ready())

    def revision(self) -> Coroutine[Any, Any, int]:
        """Return the revision of the last write."""
        return self._timed("revision", self._engine.revision())

    def create_tasks(
        self, tasks: Sequence[tuple[str | None, TaskEntry]], key: IdempotencyKey | None = None
    ) -> Coroutine[Any, Any, Created]:
        """Create all the tasks or none."""
        return self._timed("create", self._engine.create_tasks(tasks, key))

    def read_task(self, task_id: str) -> Coroutine[Any, Any, StoredTask]:
        """Return a task."""
        return self._timed("read", self._engine.read_task(task_id))

    def update_task(
        self, task_id: str, entry: TaskEntry, precondition: Precondition = UNCONDITIONAL
    ) -> Coroutine[Any, Any, StoredTask]:
        """Replace a task."""
        return self._timed("update", self._engine.update_task(task_id, entry, precondition))

    def delete_task(
        self, task_id: str, precondition: Precondition = UNCONDITIONAL
    ) -> Coroutine[Any, Any, int]:
        """Delete a task."""
        return self._timed("delete", self._engine.delete_task(task_id, precondition))

    def continuing(self, begun: bool = True) -> AbstractContextManager[object]:
        """Let the reads of the block wait for their turn, however many others wait."""
        return continuing(begun)

    def page_at_once(self, query: TaskQuery) -> TaskPage | None:
        """Return a page that needs no turn; none in an outage, of whose end `read_page` takes note."""
        started = time.perf_counter()
        page = None if self._outages.current else self._engine.page_at_once(query)
        if page is not None:
            self._took("page", started)
        return page

    async def read_page(self, query: TaskQuery) -> TaskPage:
        """Return a page."""
        return await self._timed("page", self._reads.run(
            bool(query.words), lambda: self._engine.read_page(query)))

    async def read_tasks(self, ids: Sequence[str]) -> Portion:
        """Return the first of these tasks."""
        return await self._timed("page", self._reads.run(
            False, lambda: self._engine.read_tasks(ids)))

    async def read_changes(self, since: int | None, limit: int) -> ChangePage:
        """Return changes."""
        return await self._timed("changes", self._reads.run(
            False, lambda: self._engine.read_changes(since, limit)))
