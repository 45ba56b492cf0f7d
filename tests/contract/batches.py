"""Many tasks are created all or none."""

import threading
from unittest.mock import patch

from taskservice.database import memory_db
from taskservice.database.sql import batch as sql_batch
from taskservice.datamodel import Created, StoredTask, TaskEntry
from taskservice.errors import TaskExistsError
from tests.contract.harness import Harness, noting


def batch(*task_ids: str) -> list[tuple[str, TaskEntry]]:
    """Return a batch of tasks titled like their ids."""
    return [(task_id, TaskEntry(task_id)) for task_id in task_ids]


class BatchContract(Harness):
    """`create_tasks` with other than one task."""

    async def test_each_task_of_a_batch_has_a_revision_of_its_own_in_order(self) -> None:
        created = await self.engine.create_tasks(batch("b", "a", "c"))
        revisions = (("b", self.first), ("a", self.first + 1), ("c", self.first + 2))
        self.assertEqual(created, Created(revisions))
        expected = {
            task_id: StoredTask.of(task_id, revision, TaskEntry(task_id))
            for task_id, revision in revisions}
        self.assertEqual(await self.tasks(), expected)

    async def test_an_empty_batch_creates_nothing(self) -> None:
        [task] = await self.create("a")
        self.assertEqual(await self.engine.create_tasks([]), Created(()))
        self.assertEqual(await self.engine.revision(), task.revision)

    async def test_a_batch_with_a_taken_id_creates_nothing(self) -> None:
        [task] = await self.create("a")
        await self.assert_fails(
            TaskExistsError("a", task.revision),
            self.engine.create_tasks(batch("b", "a", "c")))
        self.assertEqual(await self.tasks(), {"a": task})
        self.assertEqual(await self.changes(task.revision), [])

    async def test_a_batch_names_the_first_id_that_is_taken(self) -> None:
        [_, second] = await self.create("a", "b")
        await self.assert_fails(
            TaskExistsError("b", second.revision), self.engine.create_tasks(batch("c", "b", "a")))

    async def test_a_batch_with_an_id_twice_creates_nothing(self) -> None:
        with self.assertRaises(TaskExistsError) as caught:
            await self.engine.create_tasks(batch("a", "b", "b", "a"))
        self.assertEqual((caught.exception.task_id, caught.exception.revision), ("b", None))
        self.assertEqual((await self.tasks(), await self.engine.revision()), ({}, self.empty))

    async def test_an_id_taken_within_the_batch_counts_where_it_stands(self) -> None:
        await self.create("taken")
        for task_ids, first in [(["a", "taken", "a"], "taken"), (["a", "a", "taken"], "a")]:
            with self.subTest(first=first), self.assertRaises(TaskExistsError) as caught:
                await self.engine.create_tasks(batch(*task_ids))
            self.assertEqual(caught.exception.task_id, first)

    async def test_a_batch_may_have_a_thousand_tasks(self) -> None:
        task_ids = [f"{number:04}" for number in range(1000)]
        created = await self.engine.create_tasks(batch(*task_ids))
        revisions = range(self.first, self.first + 1000)
        # Not assertEqual: the difference of a thousand would take minutes to find.
        self.assertTrue(created.tasks == tuple(zip(task_ids, revisions)))
        self.assertTrue(list(await self.tasks()) == task_ids)

    async def test_several_tasks_are_encoded_beside_the_event_loop(self) -> None:
        """Others wait for the loop, and a few tasks may be as large as very many."""
        threads: set[int] = set()
        self.enterContext(patch.object(TaskEntry, "to_json", noting(TaskEntry.to_json, threads)))
        for count in (2, 2_100):
            created = await self.engine.create_tasks([(None, TaskEntry("t"))] * count)
            self.assertEqual(len(created.tasks), count)
        self.assertTrue(threads)
        self.assertNotIn(threading.get_ident(), threads)
        self.assertEqual(len(await self.tasks()), 2_102)

    async def test_ids_of_very_many_tasks_are_made_beside_the_event_loop(self) -> None:
        threads: set[int] = set()
        for owner in (memory_db, sql_batch):
            self.enterContext(
                patch.object(owner, "new_task_id", noting(owner.new_task_id, threads)))
        await self.engine.create_tasks([(None, TaskEntry("t"))] * 2_100)
        self.assertTrue(threads)
        self.assertNotIn(threading.get_ident(), threads)
