"""The engine that shows how long another's operations take does what that one does."""

import asyncio
import unittest
from collections.abc import Awaitable, Callable
from typing import Any

from taskservice.database.metered_db import STORE_SECONDS, MeteredTodoListDB
from taskservice.database.todolist_db import AbstractTodoListDB, InMemoryTodoListDB
from taskservice.datamodel import TaskEntry, TaskQuery
from taskservice.errors import StoreUnavailableError, TaskNotFoundError
from taskservice.tornado.metrics import Metrics
from taskservice.utils import taskcontext

TASK = TaskEntry.from_dict({"title": "a"})

OPERATIONS: list[tuple[str, Callable[[AbstractTodoListDB], Awaitable[Any]]]] = [
    ("create", lambda db: db.create_tasks([("1", TASK)])),
    ("read", lambda db: db.read_task("1")),
    ("update", lambda db: db.update_task("1", TASK)),
    ("page", lambda db: db.read_page(TaskQuery())),
    ("page", lambda db: db.read_tasks(["1"])),
    ("changes", lambda db: db.read_changes(None, 10)),
    ("ready", lambda db: db.check_ready()),
    ("revision", lambda db: db.revision()),
    ("delete", lambda db: db.delete_task("1")),
]


class MeteredTodoListDBTest(unittest.IsolatedAsyncioTestCase):

    def setUp(self) -> None:
        self.seen: list[tuple[str, float]] = []
        self.engine = InMemoryTodoListDB()
        self.db = MeteredTodoListDB(self.engine, lambda *seen: self.seen.append(seen), Metrics("memory"))

    async def asyncSetUp(self) -> None:
        await self.db.start()

    async def asyncTearDown(self) -> None:
        await self.db.stop()

    async def test_each_operation_is_reported_by_its_name(self) -> None:
        for name, operation in OPERATIONS:
            await operation(self.db)
            self.assertEqual([seen[0] for seen in self.seen], [name])
            self.assertGreater(self.seen.pop()[1], 0)

    def test_none_is_missing(self) -> None:
        """What the contract has beside its life, and the look at its place before, is an operation."""
        contract = AbstractTodoListDB.__abstractmethods__ - {"start", "stop", "examine"}
        self.assertEqual(len(contract), len(OPERATIONS), contract)
        self.assertLessEqual(contract, set(vars(MeteredTodoListDB)))

    async def test_a_page_at_once_is_reported_if_there_is_one(self) -> None:
        await self.engine.create_tasks([("1", TASK)])
        page = self.db.page_at_once(TaskQuery())
        self.assertEqual(page, await self.engine.read_page(TaskQuery()))
        self.assertEqual([seen[0] for seen in self.seen], ["page"])
        self.assertIsNone(self.db.page_at_once(TaskQuery(words=("a",))))
        self.assertEqual(len(self.seen), 1)

    async def test_one_that_fails_is_reported_too(self) -> None:
        with self.assertRaises(TaskNotFoundError):
            await self.db.read_task("none")
        self.assertEqual([seen[0] for seen in self.seen], ["read"])

    async def test_the_engine_is_the_one_below(self) -> None:
        created = await self.db.create_tasks([("1", TASK)])
        self.assertEqual((await self.engine.read_task("1")).revision, created.tasks[0][1])
        self.assertEqual((self.db.name, self.db.shared), (self.engine.name, self.engine.shared))
        await self.db.stop()
        with self.assertRaises(StoreUnavailableError):
            await self.engine.read_task("1")
        await self.db.start()

    async def test_a_requests_operations_are_added_up(self) -> None:
        async def request(times: int) -> tuple[float, float]:
            before = len(self.seen)
            taskcontext.set("req_id", str(times))
            for _ in range(times):
                await self.db.revision()
            return taskcontext.current().get(STORE_SECONDS, 0.0), sum(seconds for _, seconds in self.seen[before:])

        for times in (0, 1, 5):  # each in a task of its own, as requests are
            total, seen = await asyncio.create_task(request(times))
            self.assertAlmostEqual(total, seen)
            self.assertEqual(total > 0, times > 0)

    async def test_what_is_no_requests_is_added_up_nowhere(self) -> None:
        await self.db.revision()
        self.assertEqual(dict(taskcontext.current()), {})


if __name__ == "__main__":
    unittest.main()
