"""What memory remembers: it does not grow for ever, and a page costs what is on it."""

import asyncio
import gc
import random
import unittest
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any, Iterator
from unittest.mock import patch

from taskservice.database import history
from taskservice.database.history import FORGOTTEN_AT_ONCE, Deletion, History
from taskservice.database.revisions import Clock, next_revisions
from taskservice.database.todolist_db import FileTodoListDB, InMemoryTodoListDB
from taskservice.datamodel import Change, IdempotencyKey, StoredTask, TaskEntry
from tests.contract import ManualClock, quick_folder
from tests.contract.harness import HOUR

ENTRY = TaskEntry("t")
DAY = 24 * HOUR


class Counted(int):
    """A revision that counts how often it is compared."""

    comparisons = 0

    def _count(self) -> None:
        Counted.comparisons += 1

    def __lt__(self, other: int) -> bool:
        self._count()
        return int(self) < other

    def __le__(self, other: int) -> bool:
        self._count()
        return int(self) <= other

    def __gt__(self, other: int) -> bool:
        self._count()
        return int(self) > other

    def __ge__(self, other: int) -> bool:
        self._count()
        return int(self) >= other

    __hash__ = int.__hash__

    def __eq__(self, other: object) -> bool:
        self._count()
        return int(self) == other


@contextmanager
def counted_changes() -> Iterator[list[int]]:
    """Count how many changes are made."""
    made = [0]

    def change(*values: Any) -> Change:
        made[0] += 1
        return Change(*values)

    with patch.object(history, "Change", change):
        yield made


def alive(kind: type) -> int:
    """Count the objects of a class."""
    gc.collect()
    return sum(type(thing) is kind for thing in gc.get_objects())


def counted_revisions(last: int, clock: Clock, count: int) -> Sequence[int]:
    """Return the revisions of a create, as some that count."""
    return [Counted(revision) for revision in next_revisions(last, clock, count)]


class PageTest(unittest.IsolatedAsyncioTestCase):
    """A walk through all changes looks at each of them once or so, however it began."""

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would warn of every slow step
        self.now = 0
        self.enterContext(patch(f"{InMemoryTodoListDB.__module__}.next_revisions", counted_revisions))
        self.engine = await self.enterAsyncContext(InMemoryTodoListDB(clock=self.clock))

    def clock(self) -> int:
        """Show another time whenever it is asked."""
        self.now += 2
        return Counted(self.now)

    async def walk(self, limit: int) -> int:
        """Read all changes by pages; return how many there are."""
        since, count = None, 0
        while (page := await self.engine.read_changes(since, limit)).changes:
            since, count = page.revision, count + len(page.changes)
        return count

    async def assert_cheap(self, limit: int = 50) -> None:
        """A walk costs no more than some work for each change and each page."""
        Counted.comparisons = 0
        with counted_changes() as made:
            count = await self.walk(limit)
        pages = count // limit + 1
        self.assertLessEqual(made[0], count)
        self.assertLess(Counted.comparisons, 3 * count + 100 * pages)
        self.assertGreater(Counted.comparisons, pages)  # or nothing was counted

    async def test_after_creates(self) -> None:
        for number in range(3_000):
            await self.engine.create_task(f"{number}", ENTRY)
        await self.assert_cheap()

    async def test_after_many_creates_at_once(self) -> None:
        await self.engine.create_tasks([(f"{number}", ENTRY) for number in range(5_000)])
        await self.assert_cheap()

    async def test_after_every_task_was_replaced_again_and_again(self) -> None:
        """What is superseded costs nothing."""
        await self.engine.create_tasks([(f"{number}", ENTRY) for number in range(1_000)])
        for number in [*range(1_000), *range(999, -1, -1), *range(0, 1_000, 7)]:
            await self.engine.update_task(f"{number}", ENTRY)
        await self.assert_cheap()

    async def test_a_write_costs_little_however_many_there_were(self) -> None:
        await self.engine.create_tasks([(f"{number}", ENTRY) for number in range(5_000)])
        Counted.comparisons = 0
        for number in range(0, 5_000, 10):
            await self.engine.update_task(f"{number}", ENTRY)
        self.assertLess(Counted.comparisons, 500 * 40)


class RandomTest(unittest.TestCase):
    """Against a dict, with runs so short that they are split and joined all the time."""

    def test_pages_are_those_of_the_plainest_history(self) -> None:
        for seed in range(30):
            chance = random.Random(seed)
            with self.subTest(seed=seed), patch.object(history, "RUN", chance.choice([1, 2, 4, 16])):
                self.check(chance)

    def check(self, chance: random.Random) -> None:
        """Do anything whatever; compare all pages."""
        tested, plain, revision = History(), dict[str, Change](), 0
        for _ in range(300):
            revision += chance.randrange(1, 3)
            name = f"{chance.randrange(40)}"
            before = plain.pop(name, None)
            replaced = before.task if before is not None else None
            if replaced is not None and chance.random() < 0.4:
                tested.record_deletion(name, revision, replaced, now=revision)
                plain[name] = Change(name, revision, None)
            elif replaced is None and chance.random() < 0.3:
                new = [StoredTask.of(name, revision, ENTRY),
                       StoredTask.of(f"new-{revision}", revision + 1, ENTRY)]
                tested.record_new(new)
                plain |= {task.id: Change(task.id, task.revision, task) for task in new}
                revision += 1
            else:
                task = StoredTask.of(name, revision, ENTRY)
                tested.record(task, replaced)
                plain[name] = Change(name, revision, task)
            since, limit = chance.randrange(revision + 1), chance.randrange(1, 30)
            newer = [change for change in plain.values() if change.revision > since]
            newer.sort(key=lambda change: change.revision)
            page = tested.page(since, limit)
            self.assertEqual(page.changes, tuple(newer[:limit]))
            self.assertEqual(page.revision, newer[limit - 1].revision if len(newer) > limit else revision)


class ClockTest(unittest.IsolatedAsyncioTestCase):
    """memory: a clock that was set back before the first write."""

    async def test_changes_go_on_from_revisions_before_the_start(self) -> None:
        clock = ManualClock()
        async with InMemoryTodoListDB(clock=clock) as engine:
            clock.now -= HOUR
            await engine.create_task("a", ENTRY)
            page = await engine.read_changes(None, 10)
            self.assertLessEqual(page.revision, clock.now)
            self.assertEqual((await engine.read_changes(page.revision, 10)).changes, ())
            await engine.create_task("b", ENTRY)
            after = await engine.read_changes(page.revision, 10)
            self.assertEqual([change.id for change in after.changes], ["b"])


class ForgettingTest(unittest.IsolatedAsyncioTestCase):
    """Of memory and fs alike: nothing grows for ever, and no write has to forget very much."""

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would warn of every slow step

    async def engines(self) -> list[tuple[ManualClock, InMemoryTodoListDB]]:
        """Start an engine of each kind."""
        folder = self.enterContext(quick_folder())
        makers: list[Callable[..., InMemoryTodoListDB]] = [
            InMemoryTodoListDB, lambda clock: FileTodoListDB(folder, clock=clock)]
        clocks = [ManualClock(), ManualClock()]
        return [(clock, await self.enterAsyncContext(make(clock=clock)))
                for make, clock in zip(makers, clocks)]

    async def test_deletions_do_not_pile_up(self) -> None:
        for clock, engine in await self.engines():
            before = alive(Deletion)
            for day in range(60):
                for number in range(3):
                    await engine.create_task(f"{day}-{number}", ENTRY)
                    await engine.delete_task(f"{day}-{number}")
                clock.now += DAY
            self.assertLessEqual(alive(Deletion) - before, 8 * 3)
            self.assertGreaterEqual(alive(Deletion) - before, 7 * 3)

    async def test_keys_do_not_pile_up(self) -> None:
        """Whether or not later writes have one."""
        for clock, engine in await self.engines():
            before = alive(history._KeptKey)
            for day in range(20):
                for number in range(3):
                    key = IdempotencyKey("", f"{day}-{number}", b"")
                    await engine.create_task(f"{day}-{number}", ENTRY, key)
                clock.now += DAY
                await engine.update_task("0-0", ENTRY)
            self.assertEqual(alive(history._KeptKey) - before, 0)

    async def test_a_key_of_a_wrong_clock_does_not_keep_later_ones(self) -> None:
        """The clock was a year ahead, and was set right."""
        for clock, engine in await self.engines():
            before = alive(history._KeptKey)
            clock.now += 365 * DAY
            await engine.create_task("ahead", ENTRY, IdempotencyKey("", "ahead", b""))
            clock.now -= 365 * DAY
            for number in range(9):
                await engine.create_task(f"{number}", ENTRY, IdempotencyKey("", f"{number}", b""))
            clock.now += 2 * DAY
            await engine.update_task("0", ENTRY)
            self.assertEqual(alive(history._KeptKey) - before, 0)

    async def test_a_key_that_was_used_again_is_kept_for_its_time(self) -> None:
        for clock, engine in await self.engines():
            key = IdempotencyKey("", "k", b"")
            for number in range(3):
                created = await engine.create_task(f"{number}", ENTRY, key)
                self.assertFalse(created.replayed)
                clock.now += DAY
            self.assertEqual(alive(history._KeptKey), 1)
            clock.now -= 1
            self.assertTrue((await engine.create_task("x", ENTRY, key)).replayed)
            clock.now += 1
            await engine.update_task("0", ENTRY)
            self.assertEqual(alive(history._KeptKey), 0)

    async def test_what_is_to_be_forgotten_is_in_portions(self) -> None:
        """However much there is, one write forgets a little, and the next goes on."""
        count = 5 * FORGOTTEN_AT_ONCE // 2
        for clock, engine in await self.engines():
            for number in range(count):
                key = IdempotencyKey("", f"{number}", b"")
                await engine.create_task(f"{number}", ENTRY, key)
                await engine.delete_task(f"{number}")
            clock.now += 8 * DAY
            left = []
            for number in range(3):
                await engine.create_task(f"after-{number}", ENTRY)
                left.append((alive(Deletion), alive(history._KeptKey)))
            expected = [count - FORGOTTEN_AT_ONCE, count - 2 * FORGOTTEN_AT_ONCE, 0]
            self.assertEqual(left, [(each, each) for each in expected])


if __name__ == "__main__":
    unittest.main()
