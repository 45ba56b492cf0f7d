"""Ids that the store makes: their order is the order of creation, whatever the clock does."""

import asyncio
from collections.abc import Sequence
from uuid import RFC_4122, UUID

from taskservice.datamodel import Created, IdempotencyKey, TaskEntry
from taskservice.errors import TaskExistsError, TaskNotFoundError
from tests.contract.harness import HOUR, NOON, Harness, ids

ENTRY = TaskEntry("t")
KEY = IdempotencyKey("owner", "key", b"digest")


class NewIds(Harness):
    """A test that creates tasks without ids."""

    async def create_new(self, count: int = 1) -> list[str]:
        """Create so many tasks without ids in one batch; return the ids that they got."""
        created = await self.engine.create_tasks([(None, ENTRY)] * count)
        return [task_id for task_id, _ in created.tasks]

    async def assert_in_order_of_creation(self, made: Sequence[str]) -> None:
        """The ids are all different, and in order, and lists and changes have them so."""
        self.assertTrue(list(made) == sorted(set(made)))
        self.assertTrue(ids(await self.walk()) == list(made))
        changes = await self.changes(None, len(made))
        self.assertTrue([task_id for task_id, _ in changes] == list(made))


class IdContract(NewIds):
    """`create_tasks` without ids."""

    async def test_it_is_a_uuid_of_version_7_with_the_time_of_the_revision(self) -> None:
        for step in (0, 1, 999, 1_234_567, -HOUR):
            self.clock.now += step
            created = await self.engine.create_task(None, ENTRY)
            [(task_id, revision)] = created.tasks
            uuid = UUID(hex=task_id)
            self.assertRegex(task_id, r"\A[0-9a-f]{32}\Z")
            self.assertEqual((uuid.version, uuid.variant), (7, RFC_4122))
            self.assertEqual(uuid.int >> 80, revision // 1000)
            self.assertEqual(int(task_id[13:16], 16), revision % 1000 * 4096 // 1000)

    async def test_ids_of_a_clock_that_stands_still_are_in_order(self) -> None:
        made = await self.create_new(500)
        for _ in range(20):
            made += await self.create_new()
        await self.assert_in_order_of_creation(made)

    async def test_ids_of_a_clock_that_goes_back_a_day_are_in_order(self) -> None:
        made = await self.create_new(2)
        for step in (-24 * HOUR, -1, 12 * HOUR, 12 * HOUR, 1, -24 * HOUR):
            self.clock.now += step
            made += await self.create_new() + await self.create_new(2)
        await self.assert_in_order_of_creation(made)

    async def test_ids_go_on_from_a_revision_that_left_no_task(self) -> None:
        self.clock.now += 24 * HOUR
        [gone] = await self.create_new()
        await self.engine.delete_task(gone)
        self.clock.now = NOON
        [task_id] = await self.create_new()
        self.assertGreater(task_id, gone)

    async def test_concurrent_creates_have_ids_in_the_order_of_their_revisions(self) -> None:
        outcomes = await asyncio.gather(
            *(self.engine.create_task(None, ENTRY) for _ in range(64)))
        by_revision = sorted(
            (revision, task_id) for outcome in outcomes for task_id, revision in outcome.tasks)
        await self.assert_in_order_of_creation([task_id for _, task_id in by_revision])

    async def test_a_task_under_a_new_id_is_like_any_other(self) -> None:
        [task_id] = await self.create_new()
        updated = await self.engine.update_task(task_id, TaskEntry("new"))
        self.assertEqual(await self.engine.read_task(task_id), updated)
        revision = await self.engine.revision()
        await self.assert_fails(
            TaskExistsError(task_id, revision), self.engine.create_task(task_id, ENTRY))
        await self.engine.delete_task(task_id)
        await self.assert_fails(TaskNotFoundError(task_id), self.engine.read_task(task_id))
        self.assertEqual(await self.changes(revision), [(task_id, None)])
        await self.create(task_id)
        self.assertEqual(await self.changes(revision), [(task_id, task_id)])

    async def test_a_batch_may_have_given_and_new_ids(self) -> None:
        created = await self.engine.create_tasks(
            [(None, TaskEntry("0")), ("a", TaskEntry("1")), (None, TaskEntry("2"))])
        [(first, _), (given, _), (last, _)] = created.tasks
        self.assertEqual(given, "a")
        self.assertLess(first, last)
        titles = {task_id: task.entry.title for task_id, task in (await self.tasks()).items()}
        self.assertEqual(titles, {first: "0", "a": "1", last: "2"})
        self.assertEqual([revision for _, revision in created.tasks], [
            self.first, self.first + 1, self.first + 2])

    async def test_a_batch_with_a_taken_id_makes_none(self) -> None:
        [task] = await self.create("a")
        for batch in ([(None, ENTRY), ("a", ENTRY)], [("a", ENTRY), (None, ENTRY)]):
            await self.assert_fails(
                TaskExistsError("a", task.revision), self.engine.create_tasks(batch))
        self.assertEqual(await self.tasks(), {"a": task})

    async def test_a_replay_has_the_ids_of_the_first_outcome(self) -> None:
        tasks = [(None, ENTRY), ("a", ENTRY), (None, ENTRY)]
        created = await self.engine.create_tasks(tasks, KEY)
        self.clock.now += HOUR
        self.assertEqual(
            await self.engine.create_tasks(tasks, KEY), Created(created.tasks, replayed=True))
        self.assertEqual(len(await self.tasks()), 3)

    async def test_concurrent_calls_with_one_key_get_one_new_id(self) -> None:
        outcomes = await asyncio.gather(
            *(self.engine.create_task(None, ENTRY, KEY) for _ in range(16)))
        self.assertEqual(len({outcome.tasks for outcome in outcomes}), 1)
        self.assertEqual(len(await self.tasks()), 1)

    async def test_a_large_batch_has_new_ids_in_order(self) -> None:
        made = await self.create_new(2_500)  # more than an engine does at once
        self.clock.now -= 24 * HOUR
        made += await self.create_new()
        await self.assert_in_order_of_creation(made)


class DurableIdContract(NewIds):
    """The same across engines on one place."""

    async def test_ids_are_in_order_across_engines_though_the_clock_went_back(self) -> None:
        made = await self.create_new(3)
        for step in (-24 * HOUR, 0, HOUR):
            self.clock.now += step
            await self.reopen()
            made += await self.create_new() + await self.create_new(2)
        self.assertEqual(made, sorted(set(made)))
        self.assertEqual(ids(await self.walk()), made)
