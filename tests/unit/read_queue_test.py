"""Reads take turns: searches leave readers to others, who waits is bounded, and who takes too long ends."""

import asyncio
import unittest
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from taskservice.database.metered_db import MeteredTodoListDB
from taskservice.database.read_queue import ReadLimits, ReadQueue, continuing
from taskservice.database.todolist_db import InMemoryTodoListDB
from taskservice.datamodel import TaskEntry, TaskPage, TaskQuery
from taskservice.errors import QueryTimeoutError, StoreUnavailableError, TooManyReadsError
from taskservice.service import TodoListService


class Observed:
    """What became of reads."""

    def __init__(self) -> None:
        self.waiting = self.refused = self.timed_out = 0

    def reads_wait(self, more: int) -> None:
        self.waiting += more

    def read_refused(self) -> None:
        self.refused += 1

    def read_timed_out(self) -> None:
        self.timed_out += 1


class ReadQueueTest(unittest.IsolatedAsyncioTestCase):

    def setUp(self) -> None:
        self.seen = Observed()
        self.begun: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}

    def queue(self, readers: int = 4, waiting: int = 64, timeout: float = 60) -> ReadQueue:
        return ReadQueue(readers, ReadLimits(timeout, waiting), self.seen)

    def read(self, queue: ReadQueue, name: str, begun: bool = False) -> "asyncio.Task[str]":
        """Begin a read, a search where its name begins with s; the test says when it ends.

        It may be for an answer that has `begun`.
        """
        self.ends[name] = asyncio.Event()

        async def reading() -> str:
            self.begun.append(name)
            await self.ends[name].wait()
            return name

        with continuing(begun):
            task = asyncio.create_task(queue.run(name.startswith("s"), reading))
        self.addAsyncCleanup(self.end, task)
        return task

    async def end(self, task: "asyncio.Task[str]") -> None:
        task.cancel()
        await asyncio.wait([task])

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def test_searches_have_half_of_the_readers_and_others_find_a_free_one(self) -> None:
        queue = self.queue(readers=4)
        for name in ("s1", "s2", "s3", "s4", "p1", "p2", "p3"):
            self.read(queue, name)
        await self.settle()
        self.assertEqual(self.begun, ["s1", "s2", "p1", "p2"])
        self.assertEqual(self.seen.waiting, 3)

    async def test_a_freed_reader_goes_to_who_waited_longest_of_those_that_may_have_it(self) -> None:
        queue = self.queue(readers=2)
        for name in ("p1", "s1", "s2", "p2", "s3"):
            self.read(queue, name)
        await self.settle()
        for ended, begun in (("p1", "p2"), ("s1", "s2"), ("s2", "s3")):
            self.ends[ended].set()
            await self.settle()
            self.assertEqual(self.begun[-1], begun)
        self.assertEqual(self.seen.waiting, 0)

    async def test_a_search_waits_its_turn_and_is_not_passed_over_for_ever(self) -> None:
        queue = self.queue(readers=2)
        for name in ("p1", "p2", "s1", "p3", "p4"):
            self.read(queue, name)
        await self.settle()
        self.ends["p1"].set()
        await self.settle()
        self.assertEqual(self.begun, ["p1", "p2", "s1"])

    async def test_one_more_than_may_wait_is_refused_at_once(self) -> None:
        queue = self.queue(readers=2, waiting=2)
        for name in ("s1", "s2", "s3"):
            self.read(queue, name)
        await self.settle()
        with self.assertRaisesRegex(TooManyReadsError, "^2 .*http.max-queued-reads"):
            await self.read(queue, "s4")
        self.read(queue, "p1")
        await self.settle()
        self.assertEqual(self.begun, ["s1", "p1"], "others are not refused for it")
        self.assertEqual((self.seen.refused, self.seen.waiting), (1, 2))

    async def test_who_leaves_the_queue_never_begins_and_makes_room(self) -> None:
        queue = self.queue(readers=2, waiting=1)
        self.read(queue, "s1")
        leaving = self.read(queue, "s2")
        await self.settle()
        await self.end(leaving)
        self.read(queue, "s3")
        await self.settle()
        self.ends["s1"].set()
        await self.settle()
        self.assertEqual(self.begun, ["s1", "s3"])

    async def test_a_reader_that_was_handed_to_one_who_left_goes_to_the_next(self) -> None:
        for moments in range(6):  # from before it is handed on until it is used
            with self.subTest(moments):
                self.begun.clear()
                queue = self.queue(readers=2)
                self.read(queue, "s1")
                leaving = self.read(queue, "s2")
                self.read(queue, "s3")
                await self.settle()
                self.ends["s1"].set()
                for _ in range(moments):
                    await asyncio.sleep(0)
                leaving.cancel()
                await self.settle()
                self.assertEqual(self.begun[-1], "s3")
                self.assertEqual(self.seen.waiting, 0)

    async def test_a_read_ends_at_its_deadline_also_while_it_waits(self) -> None:
        queue = self.queue(readers=2, timeout=0.01)
        reads = [self.read(queue, name) for name in ("s1", "s2")]
        for read in reads:
            with self.assertRaisesRegex(QueryTimeoutError, r"longer than 0\.01 s .http.query-timeout"):
                await read
        self.assertEqual((self.seen.timed_out, self.seen.waiting), (2, 0))
        self.ends.clear()
        read = self.read(self.queue(), "p")
        self.ends["p"].set()
        self.assertEqual(await read, "p")

    async def test_one_that_goes_on_with_an_answer_is_let_in_and_keeps_its_place(self) -> None:
        queue = self.queue(readers=1, waiting=1)
        for name in ("p1", "p2"):
            self.read(queue, name)
        await self.settle()
        self.read(queue, "begun", begun=True)
        await self.settle()
        with self.assertRaises(TooManyReadsError):
            await self.read(queue, "p3")
        for ended, begun in (("p1", "p2"), ("p2", "begun")):
            self.ends[ended].set()
            await self.settle()
            self.assertEqual(self.begun[-1], begun)
        self.assertEqual((self.seen.refused, self.seen.waiting), (1, 0))

    async def test_the_time_of_one_that_goes_on_begins_with_its_turn(self) -> None:
        queue = self.queue(readers=1, timeout=0.01)
        first = self.read(queue, "p1", begun=True)
        await self.settle()
        second = self.read(queue, "p2", begun=True)
        with self.assertRaises(QueryTimeoutError):
            await first
        await self.settle()
        self.assertEqual(self.begun, ["p1", "p2"], "it waited for as long as a read may take")
        with self.assertRaises(QueryTimeoutError):
            await second

    async def test_an_error_of_the_read_is_its_own(self) -> None:
        queue = self.queue(readers=2)

        async def fail() -> None:
            raise TimeoutError("the store's own")

        for _ in range(3):  # and its reader is free again
            with self.assertRaisesRegex(TimeoutError, "^the store's own$"):
                await queue.run(True, fail)
        self.assertEqual(self.seen.timed_out, 0)


class SlowDB(InMemoryTodoListDB):
    """Searches last until they are cancelled."""

    async def read_page(self, query: TaskQuery) -> TaskPage:
        if query.words:
            await asyncio.Event().wait()
        return await super().read_page(query)


class BoundedDBTest(unittest.IsolatedAsyncioTestCase):

    async def test_lists_and_changes_are_read_beside_searches_that_last(self) -> None:
        seen = Observed()
        db = MeteredTodoListDB(SlowDB(), lambda *_: None, seen, ReadLimits(0.05, 1))
        async with db:
            searches = [asyncio.create_task(db.read_page(TaskQuery(words=("x",)))) for _ in range(3)]
            await asyncio.sleep(0)
            self.assertEqual((await db.read_page(TaskQuery())).tasks, ())
            self.assertEqual((await db.read_changes(None, 1)).changes, ())
            outcomes = await asyncio.gather(*searches, return_exceptions=True)
        self.assertEqual(
            [type(outcome) for outcome in outcomes], [QueryTimeoutError, QueryTimeoutError, TooManyReadsError])
        self.assertTrue(all(isinstance(outcome, StoreUnavailableError) for outcome in outcomes))
        self.assertEqual((seen.refused, seen.timed_out, seen.waiting), (1, 2, 0))

    async def test_other_limits_hold_from_the_next_read_on(self) -> None:
        async with MeteredTodoListDB(SlowDB(), lambda *_: None, Observed(), ReadLimits(0.1, 0)) as db:
            db.limit_reads(ReadLimits(0.05, 1))
            searches = [asyncio.create_task(db.read_page(TaskQuery(words=("x",)))) for _ in range(3)]
            outcomes = await asyncio.gather(*searches, return_exceptions=True)
        self.assertEqual(
            [type(outcome) for outcome in outcomes], [QueryTimeoutError, QueryTimeoutError, TooManyReadsError])
        self.assertIn("longer than 0.05 s", str(outcomes[0]))


class GatedDB(InMemoryTodoListDB):
    """Lists of what is done last until the gate opens; they stand for those of others."""

    readers = 1

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def read_page(self, query: TaskQuery) -> TaskPage:
        if query.completed:
            await self.gate.wait()
        return await super().read_page(query)


class BegunAnswersTest(unittest.IsolatedAsyncioTestCase):
    """An answer of which some is sent is not cut for how many others wait."""

    async def test_the_next_portion_is_let_in(self) -> None:
        for name, read in (
                ("a page", lambda service: service.read_page(TaskQuery(limit=1000))),
                ("a list", lambda service: service.list_tasks(TaskQuery(limit=5))),
                ("changes", lambda service: service.read_changes(None, 1000)),
                ("an event stream", lambda service: service.follow_changes(0))):
            with self.subTest(name):
                await self.check(read)

    async def check(self, read: Callable[[TodoListService], AsyncGenerator[object, None]]) -> None:
        db = GatedDB()
        metered = MeteredTodoListDB(db, lambda *_: None, Observed(), ReadLimits(60, 1))
        async with TodoListService(metered) as service:
            await service.create_tasks([(f"{n:02}", TaskEntry("t", "x" * 60_000)) for n in range(20)])
            async with aclosing(read(service)) as portions:
                await anext(portions)
                others = [asyncio.create_task(metered.read_page(TaskQuery(completed=True))) for _ in range(2)]
                await asyncio.sleep(0)
                with self.assertRaises(TooManyReadsError):
                    await metered.read_page(TaskQuery())
                portion = asyncio.ensure_future(anext(portions))
                await asyncio.sleep(0)
                self.assertFalse(portion.done())
                db.gate.set()
                self.assertTrue(await portion)
            await asyncio.gather(*others)


if __name__ == "__main__":
    unittest.main()
