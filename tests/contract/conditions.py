"""Conditions of writes are compared inside the engine: what does not hold changes nothing."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any

from taskservice.datamodel import StoredTask, TaskEntry
from taskservice.errors import StaleRevisionError, TaskNotFoundError
from taskservice.precondition import ANY_REVISION, Precondition
from tests.contract.harness import HOUR, NOON, Harness, matching

NEW = TaskEntry("new")
SECOND = NOON // 1_000_000


def dated(seconds: int, now: int = SECOND + 3600, **others: Any) -> Precondition:
    """Return the condition that a task has not been modified since."""
    return Precondition(unmodified_since=seconds, now=lambda: now, **others)


class ConditionContract(Harness):
    """`update_task` and `delete_task` on conditions other than one on the revision alone."""

    def held(self, revision: int) -> Iterator[Precondition]:
        """Give conditions that hold for a revision that was written at NOON."""
        yield Precondition(match=ANY_REVISION)
        yield Precondition(none_match={revision + 1, 1})
        yield Precondition(match={revision}, none_match={1})
        yield from (dated(SECOND), dated(SECOND + 1), dated(SECOND - 5, now=SECOND - 5))
        yield dated(0, match={revision})
        yield dated(SECOND, none_match={revision - 1})

    def failed(self, revision: int) -> Iterator[Precondition]:
        """Give conditions that fail for it."""
        yield Precondition(match=())
        yield from (Precondition(none_match=ANY_REVISION), Precondition(none_match={1, revision}))
        yield Precondition(match={revision}, none_match={revision})
        yield Precondition(match=(), weak={revision})
        yield from (dated(SECOND - 1), dated(0), dated(SECOND - 5, now=SECOND - 4))
        yield dated(SECOND, match={1})
        yield dated(SECOND, none_match={revision})
        yield dated(SECOND - 1, none_match={1})

    async def test_a_write_whose_condition_holds_happens(self) -> None:
        for number in range(len([*self.held(1)])):
            for name in (f"u{number}", f"d{number}"):
                self.clock.now = NOON  # revisions go on by one, within this second
                [task] = await self.create(name)
                condition = [*self.held(task.revision)][number]
                with self.subTest(condition):
                    if name[0] == "u":
                        updated = await self.engine.update_task(name, NEW, condition)
                        self.assertEqual(await self.engine.read_task(name), updated)
                        self.assertGreater(updated.revision, task.revision)
                    else:
                        await self.engine.delete_task(name, condition)
                        await self.assert_fails(
                            TaskNotFoundError(name), self.engine.read_task(name))

    async def test_a_write_whose_condition_fails_changes_nothing(self) -> None:
        [task] = await self.create("a")
        self.clock.now += HOUR
        for condition in self.failed(task.revision):
            with self.subTest(condition):
                stale = StaleRevisionError("a", task.revision)
                await self.assert_fails(stale, self.engine.update_task("a", NEW, condition))
                await self.assert_fails(stale, self.engine.delete_task("a", condition))
        self.assertEqual(await self.tasks(), {"a": task})
        self.assertEqual(await self.engine.revision(), task.revision)

    async def test_a_missing_task_is_not_found_whatever_the_condition(self) -> None:
        [task] = await self.create("a")
        await self.engine.delete_task("a")
        for condition in (*self.held(task.revision), *self.failed(task.revision)):
            missing = TaskNotFoundError("a")
            await self.assert_fails(missing, self.engine.update_task("a", NEW, condition))
            await self.assert_fails(missing, self.engine.delete_task("a", condition))

    async def test_of_concurrent_writes_on_one_condition_exactly_one_wins(self) -> None:
        for number, (kind, step) in enumerate(product(("match", "date"), ("update", "delete"))):
            name = f"{number}"
            [task] = await self.create(name)
            self.clock.now += 2_000_000  # so that the date of the first write is another one
            now = self.clock.now // 1_000_000
            condition = matching(task.revision) if kind == "match" else (
                dated(task.revision // 1_000_000, now))
            results = await self.race(name, step, condition)
            kinds = Counter(type(result).__name__ for result in results)
            others = "StaleRevisionError" if step == "update" else "TaskNotFoundError"
            self.assertEqual(kinds, {"StoredTask" if step == "update" else "int": 1, others: 15})

    async def race(self, name: str, step: str, condition: Precondition) -> list[Any]:
        """Write at the same time, on one condition."""
        def write(number: int) -> Any:
            if step == "delete":
                return self.engine.delete_task(name, condition)
            return self.engine.update_task(name, TaskEntry(f"{number}"), condition)
        return await asyncio.gather(*map(write, range(16)), return_exceptions=True)

    async def test_a_condition_is_on_the_task_as_it_is_when_the_write_has_its_turn(self) -> None:
        [task] = await self.create("a")
        updated = await self.engine.update_task("a", NEW)
        results = await asyncio.gather(*(
            self.engine.update_task("a", TaskEntry(f"{number}"), Precondition(none_match=excluded))
            for number, excluded in enumerate([{updated.revision}, {task.revision}] * 2)
        ), return_exceptions=True)
        kinds = [type(result) for result in results]
        self.assertEqual(kinds, [StaleRevisionError, StoredTask, StoredTask, StoredTask])
        self.assertEqual((await self.engine.read_task("a")).entry, TaskEntry("3"))
