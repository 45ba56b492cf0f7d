"""Create, read, replace and delete one task, and the conditions of a write."""

from taskservice.database.db_engines import ENGINES
from taskservice.datamodel import StoredTask, TaskEntry, TaskPriority
from taskservice.errors import StaleRevisionError, TaskExistsError, TaskNotFoundError
from tests.contract.harness import Harness, matching

NEW = TaskEntry("new", "text", TaskPriority.LOW, True, 1.5)


class WriteContract(Harness):
    """One task at a time."""

    async def test_has_its_name_in_the_config(self) -> None:
        self.assertTrue(ENGINES[self.engine.name].location.endswith(f":{type(self.engine).__name__}"))

    async def test_create_answers_id_and_revision(self) -> None:
        created = await self.engine.create_task("a", NEW)
        revision = await self.engine.revision()
        self.assertEqual((created.tasks, created.replayed), ((("a", revision),), False))

    async def test_a_created_task_can_be_read(self) -> None:
        created = await self.engine.create_task("a", NEW)
        expected = StoredTask.of("a", created.tasks[0][1], NEW)
        self.assertEqual(await self.engine.read_task("a"), expected)

    async def test_create_of_a_taken_id_fails_and_changes_nothing(self) -> None:
        [task] = await self.create("a")
        await self.assert_fails(
            TaskExistsError("a", task.revision), self.engine.create_task("a", NEW))
        self.assertEqual(await self.tasks(), {"a": task})

    async def test_ids_differ_by_case(self) -> None:
        await self.create("a-B", "A-b")
        self.assertEqual(set(await self.tasks()), {"a-B", "A-b"})

    async def test_read_of_a_missing_id_fails(self) -> None:
        await self.create("a")
        for task_id in ["b", "A", "aa", "-", "a" * 300, "a" * 5000]:
            with self.subTest(length=len(task_id)):
                await self.assert_fails(TaskNotFoundError(task_id), self.engine.read_task(task_id))

    async def test_update_replaces_the_whole_task(self) -> None:
        await self.engine.create_task("a", NEW)
        updated = await self.engine.update_task("a", TaskEntry("newer"))
        self.assertEqual(updated.entry, TaskEntry("newer"))
        self.assertEqual(await self.tasks(), {"a": updated})
        self.assertEqual(await self.engine.read_task("a"), updated)

    async def test_update_leaves_other_tasks_alone(self) -> None:
        [_, other] = await self.create("a", "b")
        await self.engine.update_task("a", NEW)
        self.assertEqual(await self.engine.read_task("b"), other)

    async def test_update_of_a_missing_id_fails_and_creates_nothing(self) -> None:
        await self.assert_fails(TaskNotFoundError("a"), self.engine.update_task("a", NEW))
        self.assertEqual(await self.tasks(), {})

    async def test_update_to_the_same_task_is_a_write(self) -> None:
        [task] = await self.create("a")
        updated = await self.engine.update_task("a", task.entry)
        self.assertGreater(updated.revision, task.revision)

    async def test_delete_removes_the_task(self) -> None:
        [_, other] = await self.create("a", "b")
        await self.engine.delete_task("a")
        await self.assert_fails(TaskNotFoundError("a"), self.engine.read_task("a"))
        self.assertEqual(await self.tasks(), {"b": other})

    async def test_delete_answers_the_revision_of_the_deletion(self) -> None:
        [task] = await self.create("a")
        revision = await self.engine.delete_task("a")
        self.assertGreater(revision, task.revision)
        self.assertEqual(revision, await self.engine.revision())

    async def test_delete_of_a_missing_id_fails(self) -> None:
        await self.create("a")
        await self.engine.delete_task("a")
        for task_id in ["a", "b", "a" * 5000]:
            await self.assert_fails(TaskNotFoundError(task_id), self.engine.delete_task(task_id))

    async def test_a_deleted_id_can_be_created_again(self) -> None:
        await self.create("a")
        deletion = await self.engine.delete_task("a")
        created = await self.engine.create_task("a", NEW)
        self.assertGreater(created.tasks[0][1], deletion)
        self.assertEqual((await self.engine.read_task("a")).entry, NEW)

    async def test_a_write_expecting_the_current_revision_happens(self) -> None:
        [task] = await self.create("a")
        updated = await self.engine.update_task("a", NEW, matching(task.revision))
        await self.engine.delete_task("a", matching(updated.revision))
        self.assertEqual(await self.tasks(), {})

    async def test_a_write_may_expect_one_of_several_revisions(self) -> None:
        [task] = await self.create("a")
        updated = await self.engine.update_task("a", NEW, matching(1, task.revision, 2))
        await self.engine.delete_task("a", matching(task.revision, updated.revision))
        self.assertEqual(await self.tasks(), {})

    async def test_a_write_expecting_other_revisions_fails_and_changes_nothing(self) -> None:
        [old, other] = await self.create("a", "b")
        task = await self.engine.update_task("a", NEW)
        stale = StaleRevisionError("a", task.revision)
        expectations = ({old.revision}, {old.revision, other.revision}, {task.revision + 1}, {0})
        for expected in expectations:
            await self.assert_fails(stale, self.engine.update_task("a", old.entry, matching(*expected)))
            await self.assert_fails(stale, self.engine.delete_task("a", matching(*expected)))
        self.assertEqual(await self.tasks(), {"a": task, "b": other})

    async def test_a_write_expecting_no_revision_at_all_fails(self) -> None:
        [task] = await self.create("a")
        stale = StaleRevisionError("a", task.revision)
        await self.assert_fails(stale, self.engine.update_task("a", NEW, matching()))
        await self.assert_fails(stale, self.engine.delete_task("a", matching()))
        self.assertEqual(await self.tasks(), {"a": task})

    async def test_a_missing_task_is_not_found_rather_than_stale(self) -> None:
        [task] = await self.create("a")
        await self.engine.delete_task("a")
        for expected in [{task.revision}, {1, 2}, set()]:
            missing = TaskNotFoundError("a")
            await self.assert_fails(missing, self.engine.update_task("a", NEW, matching(*expected)))
            await self.assert_fails(missing, self.engine.delete_task("a", matching(*expected)))

    async def test_a_revision_beyond_64_bits_is_stale(self) -> None:
        """A client can send any number of digits in If-Match."""
        [task] = await self.create("a")
        stale = StaleRevisionError("a", task.revision)
        for expected in [{2 ** 63}, {10 ** 40, -(10 ** 40)}]:
            await self.assert_fails(stale, self.engine.update_task("a", NEW, matching(*expected)))
            await self.assert_fails(stale, self.engine.delete_task("a", matching(*expected)))

    async def test_many_expected_revisions_are_no_problem(self) -> None:
        [task] = await self.create("a")
        expected = [*range(5000), task.revision]
        self.assertEqual((await self.engine.update_task("a", NEW, matching(*expected))).entry, NEW)
