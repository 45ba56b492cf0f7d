"""A store that goes away is logged when it goes and when it comes back, whatever is asked of it."""

import asyncio
import time
import unittest
from collections.abc import Awaitable
from typing import Any

from taskservice.database.metered_db import MeteredTodoListDB
from taskservice.database.todolist_db import InMemoryTodoListDB
from taskservice.datamodel import StoredTask, TaskEntry, TaskPage, TaskQuery
from taskservice.errors import (
    StoreBusyError, StoreError, StoreFullError, StoreReadOnlyError, StoreUnavailableError,
    TaskNotFoundError)
from taskservice.tornado.metrics import Metrics
from taskservice.utils import taskcontext
from tests.helpers.app import journal

ENTRY = TaskEntry("a title")


class Store(InMemoryTodoListDB):
    """Fails with what it is set to fail with, on each side of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: Exception | None = None
        self.writes: Exception | None = None
        self.going_on = asyncio.Event()
        self.going_on.set()

    async def check_ready(self) -> None:
        for error in (self.reads, self.writes):
            if error is not None and not isinstance(error, StoreFullError):
                raise error

    async def read_task(self, task_id: str) -> StoredTask:
        if self.reads is not None:
            raise self.reads
        return await super().read_task(task_id)

    async def read_page(self, query: TaskQuery) -> TaskPage:
        await self.going_on.wait()
        return await super().read_page(query)

    async def update_task(self, *arguments: Any) -> StoredTask:
        if self.writes is not None:
            raise self.writes
        return await super().update_task(*arguments)


class OutagesTest(unittest.IsolatedAsyncioTestCase):

    async def asyncSetUp(self) -> None:
        self.journal = self.enterContext(journal())
        self.store = Store()
        self.db = MeteredTodoListDB(self.store, lambda *_: None, Metrics("memory"))
        await self.db.start()
        self.addAsyncCleanup(self.db.stop)
        await self.store.create_task("a", ENTRY)

    async def ask(self, *operations: Awaitable[object]) -> None:
        """Do some operations, each of which may fail, as requests of their own."""
        async def request(operation: Awaitable[object]) -> None:
            taskcontext.set("req_id", "1")
            await operation
        for operation in operations:
            await asyncio.gather(request(operation), return_exceptions=True)

    def read(self, task_id: str = "a") -> Awaitable[object]:
        """Read a task."""
        return self.db.read_task(task_id)

    def write(self) -> Awaitable[object]:
        """Write a task."""
        return self.db.update_task("a", ENTRY)

    def logged(self) -> list[tuple[str, str, Any]]:
        """Return level and event of what was logged since, with reason or number of requests."""
        lines = self.journal.lines
        self.journal.records.clear()
        return [(line.level, line.values["message"], line.values.get("reason", line.values.get("requests")))
                for line in lines]

    async def test_one_that_is_away_for_a_while_is_two_lines(self) -> None:
        self.store.reads = self.store.writes = StoreUnavailableError("it is away")
        await self.ask(self.read(), self.write(), self.read(), self.db.check_ready())
        self.assertEqual(self.logged(), [("ERROR", "STORE UNAVAILABLE", "it is away")])
        self.store.reads = self.store.writes = None
        await self.ask(self.read(), self.write(), self.read())
        self.assertEqual(self.logged(), [("INFO", "STORE AVAILABLE", 4)])

    async def test_how_long_it_was_away(self) -> None:
        began = time.perf_counter()
        self.store.reads = StoreUnavailableError("it is away")
        await self.ask(self.read())
        await asyncio.sleep(0.02)
        self.store.reads = None
        await self.ask(self.read())
        [_, line] = self.journal.lines
        self.assertGreaterEqual(line.values["seconds"], 0.02)
        self.assertLessEqual(line.values["seconds"], time.perf_counter() - began + 0.001)  # it is rounded

    async def test_what_its_answer_is_makes_no_difference(self) -> None:
        self.store.reads = StoreUnavailableError("it is away")
        await self.ask(self.read())
        self.store.reads = None
        self.logged()
        await self.ask(self.read("none"))
        self.assertEqual(self.logged(), [("INFO", "STORE AVAILABLE", 1)])
        with self.assertRaises(TaskNotFoundError):
            await self.read("none")

    async def test_reads_that_go_on_do_not_end_an_outage_of_writes(self) -> None:
        for error, begin, end in (
                (StoreReadOnlyError("a standby"), "STORE READ-ONLY", "STORE WRITABLE"),
                (StoreFullError("no room"), "STORE FULL", "STORE HAS ROOM"),
                (StoreUnavailableError("away"), "STORE UNAVAILABLE", "STORE AVAILABLE")):
            with self.subTest(begin):
                self.store.writes = error
                await self.ask(self.write(), self.read(), self.write(), self.read())
                self.assertEqual(self.logged(), [("ERROR", begin, str(error))])
                self.store.writes = None
                await self.ask(self.read())
                self.assertEqual(self.logged(), [])
                await self.ask(self.write())
                self.assertEqual(self.logged(), [("INFO", end, 2)])

    async def test_a_probe_ends_what_it_can_see(self) -> None:
        self.store.writes = StoreReadOnlyError("a standby")
        await self.ask(self.db.check_ready(), self.write(), self.db.check_ready())
        self.store.writes = None
        await self.ask(self.db.check_ready())
        self.assertEqual(self.logged(), [
            ("ERROR", "STORE READ-ONLY", "a standby"), ("INFO", "STORE WRITABLE", 3)])
        self.store.writes = StoreFullError("no room")
        await self.ask(self.write(), self.db.check_ready(), self.write())
        self.assertEqual(self.logged(), [("ERROR", "STORE FULL", "no room")])

    async def test_a_probe_ends_what_only_writes_met(self) -> None:
        for error, begin, end in (
                (StoreReadOnlyError("a standby"), "STORE READ-ONLY", "STORE WRITABLE"),
                (StoreUnavailableError("away"), "STORE UNAVAILABLE", "STORE AVAILABLE")):
            self.store.writes = error
            await self.ask(self.write())
            self.store.writes = None
            await self.ask(self.db.check_ready())
            self.assertEqual(self.logged(), [("ERROR", begin, str(error)), ("INFO", end, 1)])

    async def test_what_only_a_probe_sees_only_a_probe_ends(self) -> None:
        self.store.reads = StoreUnavailableError("the folder is gone")
        await self.ask(self.db.check_ready())
        self.store.reads = None
        await self.ask(self.read(), self.write())
        self.assertEqual(self.logged(), [("ERROR", "STORE UNAVAILABLE", "the folder is gone")])
        await self.ask(self.db.check_ready())
        self.assertEqual(self.logged(), [("INFO", "STORE AVAILABLE", 1)])

    async def test_what_was_under_way_before_ends_nothing(self) -> None:
        self.store.going_on.clear()
        page = asyncio.create_task(self.db.read_page(TaskQuery()))
        await asyncio.sleep(0)
        self.store.reads = StoreUnavailableError("it is away")
        await self.ask(self.read())
        self.store.going_on.set()
        await page
        self.assertEqual(len(self.logged()), 1)

    async def test_nor_does_what_was_under_way_when_it_failed_again(self) -> None:
        self.store.reads = StoreUnavailableError("it is away")
        await self.ask(self.read())
        self.store.going_on.clear()
        page = asyncio.create_task(self.db.read_page(TaskQuery()))
        await asyncio.sleep(0)
        await self.ask(self.read())
        self.store.going_on.set()
        await page
        self.assertEqual(len(self.logged()), 1)

    async def test_one_that_is_busy_or_damaged_is_not_away(self) -> None:
        for error in (StoreBusyError("the pool is exhausted"), StoreError("damaged"), KeyError("ours")):
            self.store.reads = error
            await self.ask(self.read())
        self.assertEqual(self.logged(), [])

    async def test_what_no_request_asked_does_not_count_as_one(self) -> None:
        self.store.reads = StoreUnavailableError("it is away")
        with self.assertRaises(StoreUnavailableError):
            await self.read()
        self.store.reads = None
        await self.ask(self.read())
        self.assertEqual([values[2] for values in self.logged()], ["it is away", 0])

    async def test_one_that_was_closed_is_not_away(self) -> None:
        await self.db.stop()
        await self.ask(self.read())
        self.assertEqual(self.logged(), [])

    async def test_nor_is_one_that_was_not_opened_yet(self) -> None:
        db = MeteredTodoListDB(Store(), lambda *_: None, Metrics("memory"))
        await self.ask(db.read_task("a"))
        self.assertEqual(self.logged(), [])

    async def test_one_that_is_opened_again_begins_anew(self) -> None:
        self.store.writes = StoreUnavailableError("away")
        await self.ask(self.write())
        await self.db.stop()
        await self.db.start()
        self.logged()
        await self.ask(self.write())
        self.assertEqual(self.logged(), [("ERROR", "STORE UNAVAILABLE", "away")])


if __name__ == "__main__":
    unittest.main()
