"""Writes at the same time: each is atomic, and reads never fail because of them."""

import asyncio
from collections import Counter
from typing import Any, Awaitable, Iterable

from taskservice.datamodel import IdempotencyKey, TaskEntry, TaskQuery, TaskSort
from taskservice.errors import StaleRevisionError, TaskExistsError, TaskNotFoundError
from taskservice.precondition import Precondition
from tests.contract.harness import Harness, ids, matching

ENTRY = TaskEntry("t")


async def outcomes(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    """Run the calls at the same time; return each one's result or error."""
    return await asyncio.gather(*calls, return_exceptions=True)


def kinds(results: list[Any]) -> Counter[str]:
    """Count the results by the name of their class."""
    return Counter(type(result).__name__ for result in results)


class ConcurrencyContract(Harness):
    """Many callers at once."""

    async def test_of_concurrent_updates_expecting_one_revision_exactly_one_wins(self) -> None:
        [task] = await self.create("a")
        results = await outcomes(
            self.engine.update_task("a", TaskEntry(f"{number}"), matching(task.revision))
            for number in range(32))
        winner = await self.engine.read_task("a")
        self.assertEqual(kinds(results), {"StoredTask": 1, "StaleRevisionError": 31})
        for result in results:
            self.assertEqual(result.revision, winner.revision)
        self.assertIn(winner, results)

    async def test_concurrent_updates_without_a_condition_all_happen(self) -> None:
        [task] = await self.create("a")
        results = await outcomes(
            self.engine.update_task("a", TaskEntry(f"{number}")) for number in range(32))
        revisions = sorted(result.revision for result in results)
        self.assertEqual(revisions, list(range(task.revision + 1, task.revision + 33)))
        last = max(results, key=lambda result: int(result.revision))
        self.assertEqual(await self.engine.read_task("a"), last)

    async def test_of_concurrent_creates_of_one_id_exactly_one_wins(self) -> None:
        results = await outcomes(
            self.engine.create_task("a", TaskEntry(f"{number}")) for number in range(16))
        task = await self.engine.read_task("a")
        self.assertEqual(kinds(results), {"Created": 1, "TaskExistsError": 15})
        for result in results:
            if isinstance(result, TaskExistsError):
                self.assertEqual(result.revision, task.revision)

    async def test_of_concurrent_batches_with_a_common_id_exactly_one_wins(self) -> None:
        results = await outcomes(
            self.engine.create_tasks([(f"{number}", ENTRY), ("common", ENTRY)])
            for number in range(8))
        self.assertEqual(kinds(results), {"Created": 1, "TaskExistsError": 7})
        self.assertEqual(len(await self.tasks()), 2)

    async def test_of_concurrent_deletions_exactly_one_wins(self) -> None:
        await self.create("a")
        results = await outcomes(self.engine.delete_task("a") for _ in range(16))
        self.assertEqual(kinds(results), {"int": 1, "TaskNotFoundError": 15})

    async def test_an_update_and_a_deletion_expecting_one_revision_do_not_both_win(self) -> None:
        for _ in range(8):
            [task] = await self.create("a")
            results = await outcomes([
                self.engine.update_task("a", ENTRY, matching(task.revision)),
                self.engine.delete_task("a", matching(task.revision))])
            errors = [error for error in results if isinstance(error, Exception)]
            self.assertEqual(len(errors), 1)
            self.assertIsInstance(errors[0], (StaleRevisionError, TaskNotFoundError))
            if isinstance(results[1], Exception):
                await self.engine.delete_task("a")

    async def test_a_failing_write_fails_alone(self) -> None:
        await self.create("a")
        results = await outcomes(
            self.engine.create_task("a" if number % 2 else f"{number}", ENTRY)
            for number in range(32))
        self.assertEqual(
            [isinstance(result, TaskExistsError) for result in results], [False, True] * 16)
        self.assertEqual(len(await self.tasks()), 17)

    async def test_a_write_with_a_fault_of_the_service_fails_alone(self) -> None:
        """And whole; the engine goes on."""
        def broken_clock() -> float:
            raise RuntimeError("a bug")

        faulty = Precondition(unmodified_since=0, now=broken_clock)
        [task] = await self.create("a")
        for _ in range(2):
            results = await outcomes([
                self.engine.create_task(None, ENTRY), self.engine.update_task("a", ENTRY, faulty),
                self.engine.create_tasks([(None, ENTRY)] * 3),
                self.engine.delete_task("a", faulty), self.engine.create_task(None, ENTRY)])
            self.assertEqual(
                [type(result).__name__ for result in results],
                ["Created", "RuntimeError", "Created", "RuntimeError", "Created"])
        self.assertEqual(await self.engine.read_task("a"), task)
        self.assertEqual(len(await self.tasks()), 11)

    async def test_an_acknowledged_write_is_seen_by_every_later_read(self) -> None:
        async def write_and_read(name: str) -> None:
            for _ in range(4):
                await self.create(name)
                updated = await self.engine.update_task(name, TaskEntry("new"))
                self.assertEqual(await self.engine.read_task(name), updated)
                page = await self.engine.read_page(TaskQuery(limit=100))
                self.assertIn(updated, page.tasks)
                self.assertGreaterEqual(await self.engine.revision(), updated.revision)
                await self.engine.delete_task(name)
                page = await self.engine.read_page(TaskQuery(limit=100))
                self.assertNotIn(name, ids(page.tasks))
        await asyncio.gather(*(write_and_read(f"{number}") for number in range(8)))

    async def test_listing_while_others_write_never_fails(self) -> None:
        await self.create(*(f"kept-{number}" for number in range(10)))

        async def write(name: str) -> None:
            for _ in range(10):
                await self.engine.create_task(name, ENTRY)
                await self.engine.update_task(name, ENTRY)
                await self.engine.delete_task(name)

        async def read(sort: TaskSort) -> None:
            while not all(writer.done() for writer in writers):
                page = await self.engine.read_page(TaskQuery(sort=sort))
                kept = [name for name in ids(page.tasks) if name.startswith("kept")]
                self.assertEqual(len(kept), 10)
                await asyncio.sleep(0.001)  # an engine that never waits would let no one else run

        writers = [asyncio.create_task(write(f"w{number}")) for number in range(4)]
        await asyncio.gather(*(read(sort) for sort in TaskSort), *writers)

    async def test_a_reader_of_changes_never_misses_a_concurrent_write(self) -> None:
        writers = [
            asyncio.create_task(self.engine.create_task(f"{number:02}", ENTRY))
            for number in range(64)]
        seen: list[str] = []
        since: int | None = None
        while not all(writer.done() for writer in writers):
            since = await self.follow(since, seen)
            await asyncio.sleep(0)
        await self.follow(since, seen)
        self.assertEqual((len(seen), len(set(seen))), (64, 64))

    async def follow(self, since: int | None, seen: list[str]) -> int:
        """Read the changes after `since`, note their ids, and return where to go on."""
        page = await self.engine.read_changes(since, 1000)
        seen += [change.id for change in page.changes]
        return page.revision

    async def test_a_cancelled_write_leaves_the_engine_working(self) -> None:
        for turns in range(6):  # cancelled after so many turns of the loop
            name = f"cancelled-{turns}"
            call = asyncio.create_task(self.engine.create_task(name, ENTRY))
            await self.cancel(call, turns)
            [task] = await self.create(f"later-{turns}")
            self.assertEqual(await self.engine.revision(), task.revision)
            await self.assert_whole_or_not_at_all(name)

    async def cancel(self, call: asyncio.Task[Any], turns: int) -> None:
        """Cancel a call after some turns of the loop, and wait for it to end."""
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])

    async def assert_whole_or_not_at_all(self, name: str) -> None:
        """All reads agree about a task whose write was cancelled; it can be written again."""
        listed = (await self.tasks()).get(name)
        changed = name in dict(await self.changes(None))
        self.assertEqual(listed is not None, changed)
        if listed is None:
            await self.assert_fails(TaskNotFoundError(name), self.engine.read_task(name))
            await self.create(name)
        self.assertEqual((await self.engine.update_task(name, TaskEntry("new"))).id, name)

    async def test_a_cancelled_write_does_not_disturb_the_others(self) -> None:
        calls = [
            asyncio.create_task(self.engine.create_task(f"{number:02}", ENTRY))
            for number in range(30)]
        await asyncio.sleep(0)
        for call in calls[::3]:
            call.cancel()
        results = await outcomes(calls)
        alive = [result for number, result in enumerate(results) if number % 3]
        self.assertEqual(kinds(alive), {"Created": 20})
        self.assertLessEqual({f"{n:02}" for n in range(30) if n % 3}, set(await self.tasks()))

    async def test_a_cancelled_create_with_a_key_can_be_tried_again(self) -> None:
        for turns in range(6):
            key = IdempotencyKey("", f"{turns}", b"")
            name = f"{turns}"
            call = asyncio.create_task(self.engine.create_task(name, ENTRY, key))
            await self.cancel(call, turns)
            again = await self.engine.create_task(name, ENTRY, key)
            self.assertEqual(again.tasks[0][1], (await self.engine.read_task(name)).revision)

    async def test_cancelling_one_caller_of_a_key_leaves_the_others_an_answer(self) -> None:
        for cancelled in (0, 1, 7):
            key = IdempotencyKey("", f"{cancelled}", b"")
            calls = [
                asyncio.create_task(self.engine.create_task(f"{cancelled}{number}", ENTRY, key))
                for number in range(8)]
            await asyncio.sleep(0)
            calls.pop(cancelled).cancel()
            results = await outcomes(calls)
            self.assertEqual(kinds(results), {"Created": 7})
            self.assertEqual(len({result.tasks for result in results}), 1)
