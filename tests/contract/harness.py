"""What the parts of the contract stand on: a clock to set, an engine that can be reopened."""

import asyncio
import os
import threading
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Awaitable, Collection

from taskservice.database.revisions import Clock
from taskservice.database.todolist_db import AbstractTodoListDB
from taskservice.datamodel import Change, StoredTask, TaskEntry, TaskPage, TaskQuery
from taskservice.errors import TodoListError
from taskservice.precondition import Precondition

if TYPE_CHECKING:
    from unittest import IsolatedAsyncioTestCase as Base
else:  # at run time the parts are mixins, or unittest would collect them without an engine
    Base = object

NOON = 4_102_444_800_000_000
"""What a `ManualClock` shows at first, in microseconds since the epoch: later than real files."""

HOUR = 3600 * 1_000_000


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: int = NOON) -> None:
        self.now = now

    def __call__(self) -> int:
        """Return microseconds since the epoch."""
        return self.now


class Harness(Base):
    """A test with an engine on a place of its own, and a clock that the test moves."""

    start_is_a_revision = False
    """Whether to open the store takes a revision, as if it were a write."""

    clock: ManualClock
    engine: AbstractTodoListDB

    def make(self, clock: Clock) -> AbstractTodoListDB:
        """Make an engine, not started, on this test's place: the same one at each call."""
        raise NotImplementedError

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would warn of every slow step
        self.clock = ManualClock()
        self.engine = await self.open()

    @property
    def first(self) -> int:
        """The revision of the first write to a new store, while the clock shows NOON."""
        return NOON + self.start_is_a_revision

    @property
    def empty(self) -> int:
        """The revision of a new store."""
        return NOON if self.start_is_a_revision else 0

    async def open(self) -> AbstractTodoListDB:
        """Make and start an engine, and stop it in the end."""
        engine = self.make(self.clock)
        await engine.start()
        self.addAsyncCleanup(engine.stop)
        return engine

    async def reopen(self) -> None:
        """Stop the engine, and go on with a new one on the same place."""
        await self.engine.stop()
        self.engine = await self.open()

    async def create(self, *task_ids: str) -> list[StoredTask]:
        """Create a task under each id, titled like it."""
        await self.engine.create_tasks([(task_id, TaskEntry(task_id)) for task_id in task_ids])
        return [await self.engine.read_task(task_id) for task_id in task_ids]

    async def assert_fails(self, expected: TodoListError, call: Awaitable[object]) -> None:
        """Await `call`, which must raise an error like `expected`, its attributes included."""
        with self.assertRaises(TodoListError) as caught:
            await call
        self.assertIs(type(caught.exception), type(expected), caught.exception)
        self.assertEqual(vars(caught.exception), vars(expected))

    async def walk(self, **query: Any) -> list[StoredTask]:
        """Return all tasks of a query, page by page, each going on from the one before."""
        page = await self.engine.read_page(TaskQuery(**query))
        tasks = await self.all_of(page)
        while page.end:
            page = await self.engine.read_page(TaskQuery(**query | {"after": page.end}))
            more = await self.all_of(page)
            # Or the walk would not come to an end.
            self.assertTrue(more)
            self.assertFalse({*ids(more)} & {*ids(tasks)})
            tasks += more
        return tasks

    async def all_of(self, page: TaskPage) -> list[StoredTask]:
        """Return a page's tasks, with those that are unread."""
        tasks, unread = list(page.tasks), page.unread
        while unread:
            portion = await self.engine.read_tasks(unread)
            self.assertGreater(portion.read, 0)
            tasks += portion.tasks
            unread = unread[portion.read:]
        return tasks

    async def tasks(self) -> dict[str, StoredTask]:
        """Return all that is stored, by id."""
        return {task.id: task for task in await self.walk()}

    async def changes(self, since: int | None, limit: int = 1000) -> list[tuple[str, str | None]]:
        """Return id and title (None: deleted) of the changes on one page."""
        page = await self.engine.read_changes(since, limit)
        return [titled(change) for change in page.changes]


def matching(*revisions: int) -> Precondition:
    """Return the condition that a task has one of these revisions."""
    return Precondition(match=revisions)


def titled(change: Change) -> tuple[str, str | None]:
    """Return a change's id and title; None for a deletion."""
    return change.id, None if change.task is None else change.task.entry.title


def ids(tasks: Collection[StoredTask]) -> list[str]:
    """Return the tasks' ids, in order."""
    return [task.id for task in tasks]


def quick_folder() -> TemporaryDirectory[str]:
    """Make a folder that goes when it is closed; in memory where there is such a place.

    An fsync takes milliseconds on a disk, and these tests ask for tens of thousands.
    """
    return TemporaryDirectory(prefix="taskservice-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


def noting(function: Callable[..., Any], threads: set[int]) -> Callable[..., Any]:
    """Return the function, made to note in which threads it runs."""
    def noted(*args: Any, **kwargs: Any) -> Any:
        threads.add(threading.get_ident())
        return function(*args, **kwargs)
    return noted
