"""What a stop ends, and what is there again after a start."""

import asyncio
from typing import Any, Awaitable, Callable

from taskservice.datamodel import Created, IdempotencyKey, StoredTask, TaskEntry, TaskQuery
from taskservice.errors import ChangesExpiredError, StoreError
from tests.contract.harness import HOUR, NOON, Harness, matching

ENTRY = TaskEntry("t")
KEY = IdempotencyKey("owner", "key", b"\x00digest\xff")


class LifetimeContract(Harness):
    """`start` and `stop`."""

    async def test_stop_may_be_called_twice(self) -> None:
        await self.create("a")
        await self.engine.stop()
        await self.engine.stop()

    async def test_stop_may_be_called_before_start(self) -> None:
        await self.engine.stop()
        await self.make(self.clock).stop()

    async def test_an_engine_is_a_context_manager(self) -> None:
        await self.engine.stop()
        async with self.make(self.clock) as engine:
            await engine.create_task("a", ENTRY)
        with self.assertRaises(StoreError):
            await engine.read_task("a")

    async def test_an_open_store_is_ready_and_asking_writes_nothing(self) -> None:
        await self.engine.check_ready()
        self.assertEqual(await self.engine.revision(), self.empty)
        [task] = await self.create("a")
        await self.engine.check_ready()
        self.assertEqual(await self.engine.revision(), task.revision)

    async def test_use_after_stop_is_a_store_error(self) -> None:
        [task] = await self.create("a")
        await self.engine.stop()
        for call in self.calls("a", task.revision):
            with self.subTest(call=call), self.assertRaises(StoreError):
                await call()

    def calls(self, task_id: str, since: int) -> list[Callable[[], Awaitable[Any]]]:
        """Return a call of each method."""
        engine = self.engine
        return [
            engine.check_ready,
            engine.revision,
            lambda: engine.create_task("new", ENTRY),
            lambda: engine.create_tasks([("new", ENTRY)], KEY),
            lambda: engine.read_task(task_id),
            lambda: engine.update_task(task_id, ENTRY),
            lambda: engine.delete_task(task_id),
            lambda: engine.read_page(TaskQuery()),
            lambda: engine.read_changes(since, 10),
        ]

    async def test_stop_lets_writes_in_flight_end(self) -> None:
        calls = [
            asyncio.create_task(self.engine.create_task(f"{number:02}", ENTRY))
            for number in range(20)]
        await asyncio.sleep(0)  # all have begun
        await self.engine.stop()
        results = await asyncio.gather(*calls, return_exceptions=True)
        self.assertEqual([type(result).__name__ for result in results], ["Created"] * 20)


class DurableContract(Harness):
    """What is there again when an engine is opened on the place of an earlier one."""

    async def test_tasks_outlive_the_engine(self) -> None:
        await self.create("a", "b", "c")
        await self.engine.update_task("a", TaskEntry("😀", due_date=-0.0))
        await self.engine.delete_task("b")
        tasks = await self.tasks()
        for _ in range(2):
            await self.reopen()
            self.assertEqual(await self.tasks(), tasks)
            self.assertEqual(await self.engine.read_task("a"), tasks["a"])

    async def test_an_empty_store_can_be_reopened(self) -> None:
        await self.reopen()
        self.assertEqual(await self.tasks(), {})
        self.assertEqual(await self.engine.revision(), self.empty + self.start_is_a_revision)

    async def test_the_revision_outlives_the_engine(self) -> None:
        [_, task] = await self.create("a", "b")
        await self.reopen()
        revision = task.revision + self.start_is_a_revision
        self.assertEqual(await self.engine.revision(), revision)
        self.assertEqual((await self.engine.read_page(TaskQuery())).revision, revision)

    async def test_revisions_grow_across_engines_though_the_clock_went_back(self) -> None:
        [task] = await self.create("a")
        self.clock.now -= 24 * HOUR
        await self.reopen()
        updated = await self.engine.update_task("a", ENTRY)
        self.assertEqual(updated.revision, task.revision + 1 + self.start_is_a_revision)

    async def test_the_revision_of_a_deletion_outlives_the_engine(self) -> None:
        await self.create("a", "b")
        self.clock.now += HOUR
        deletion = await self.engine.delete_task("b")
        self.clock.now = NOON
        await self.reopen()
        self.assertEqual(
            await self.engine.revision(), deletion + self.start_is_a_revision)
        [task] = await self.create("b")
        self.assertEqual(task.revision, deletion + 1 + self.start_is_a_revision)

    async def test_the_revision_of_the_last_task_deleted_outlives_the_engine(self) -> None:
        await self.create("a")
        deletion = await self.engine.delete_task("a")
        self.clock.now = 0
        await self.reopen()
        [task] = await self.create("a")
        self.assertEqual(task.revision, deletion + 1 + self.start_is_a_revision)

    async def test_conditions_hold_across_engines(self) -> None:
        [task] = await self.create("a")
        await self.reopen()
        updated = await self.engine.update_task("a", ENTRY, matching(task.revision))
        await self.reopen()
        await self.engine.delete_task("a", matching(updated.revision))
        self.assertEqual(await self.tasks(), {})

    async def test_changes_go_on_across_engines(self) -> None:
        await self.create("a")
        await self.engine.delete_task("a")
        await self.reopen()
        since = await self.engine.revision()
        self.assertEqual(await self.changes(since), [])
        await self.create("b", "c")
        await self.engine.delete_task("b")
        self.assertEqual(await self.changes(since), [("c", "c"), ("b", None)])

    async def test_changes_from_the_beginning_can_be_read_by_pages(self) -> None:
        await self.create(*"abcde")
        await self.reopen()
        await self.create("f")
        seen: list[str] = []
        since: int | None = None
        for _ in range(4):
            page = await self.engine.read_changes(since, 2)
            seen += [change.id for change in page.changes]
            since = page.revision
        self.assertEqual((seen[-1], since), ("f", await self.engine.revision()))
        self.assertEqual(len(seen), len(set(seen)))

    async def test_changes_are_all_there_or_expired(self) -> None:
        """Deletions may be forgotten, but then the reader gets an error."""
        [task, *_] = await self.create("a", "b", "c")
        await self.engine.delete_task("b")
        await self.reopen()
        try:
            self.assertEqual(await self.changes(task.revision), [("c", "c"), ("b", None)])
        except ChangesExpiredError:
            pass

    async def test_what_stop_waited_for_outlives_the_engine(self) -> None:
        calls = [
            asyncio.create_task(self.engine.create_task(f"{number:02}", ENTRY))
            for number in range(20)]
        await asyncio.sleep(0)
        await self.reopen()
        results = await asyncio.gather(*calls, return_exceptions=True)
        created = [result.tasks[0] for result in results if isinstance(result, Created)]
        expected = {name: StoredTask.of(name, revision, ENTRY) for name, revision in created}
        self.assertEqual(await self.tasks(), expected)


class HistoryContract(Harness):
    """What else is there again where changes and keys are stored as well."""

    async def test_changes_outlive_the_engine(self) -> None:
        [task, *_] = await self.create("a", "b", "c")
        await self.engine.update_task("b", ENTRY)
        await self.engine.delete_task("a")
        for since in (None, task.revision, task.revision + 1):
            page = await self.engine.read_changes(since, 10)
            await self.reopen()
            self.assertEqual(await self.engine.read_changes(since, 10), page)

    async def test_keys_outlive_the_engine(self) -> None:
        created = await self.engine.create_tasks([("b", ENTRY), ("a", ENTRY)], KEY)
        await self.engine.delete_task("b")
        await self.reopen()
        again = await self.engine.create_task("c", ENTRY, KEY)
        self.assertEqual(again, Created(created.tasks, replayed=True))

    async def test_a_key_expires_across_engines(self) -> None:
        await self.engine.create_task("a", ENTRY, KEY)
        await self.reopen()
        self.clock.now += 24 * HOUR + 1_000_000
        self.assertFalse((await self.engine.create_task("b", ENTRY, KEY)).replayed)
