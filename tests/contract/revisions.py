"""Every acknowledged write gets the store's next revision: `max(last + 1, now)`."""

from taskservice.datamodel import TaskEntry, TaskQuery
from taskservice.errors import TodoListError
from tests.contract.harness import HOUR, NOON, Harness, matching

ENTRY = TaskEntry("t")


class RevisionContract(Harness):
    """How revisions grow."""

    async def write(self) -> list[int]:
        """Create, replace and delete a task; return the three revisions."""
        created = await self.engine.create_task("w", ENTRY)
        updated = await self.engine.update_task("w", ENTRY)
        return [created.tasks[0][1], updated.revision, await self.engine.delete_task("w")]

    async def test_a_store_never_written_to_has_a_revision_and_no_task(self) -> None:
        self.assertEqual(await self.engine.revision(), self.empty)
        page = await self.engine.read_page(TaskQuery())
        self.assertEqual((page.revision, page.tasks, page.end), (self.empty, (), None))

    async def test_the_first_revision_shows_the_time(self) -> None:
        self.assertEqual((await self.write())[0], self.first)

    async def test_revisions_grow_by_one_while_the_clock_stands_still(self) -> None:
        revisions = await self.write() + await self.write()
        self.assertEqual(revisions, list(range(self.first, self.first + 6)))

    async def test_revisions_grow_by_one_while_the_clock_goes_backwards(self) -> None:
        first = await self.write()
        self.clock.now -= 24 * HOUR
        self.assertEqual(await self.write(), [revision + 3 for revision in first])

    async def test_a_revision_jumps_with_the_clock(self) -> None:
        await self.write()
        self.clock.now += HOUR
        self.assertEqual((await self.write())[0], NOON + HOUR)

    async def test_a_revision_does_not_jump_back(self) -> None:
        self.clock.now += 50 * 365 * 24 * HOUR
        late = await self.write()
        self.clock.now = NOON
        self.assertEqual(await self.write(), [revision + 3 for revision in late])

    async def test_a_clock_near_the_epoch_makes_small_revisions(self) -> None:
        self.clock.now = 0
        expected = [self.empty + 1, self.empty + 2, self.empty + 3]
        self.assertEqual(await self.write(), expected)

    async def test_the_stores_revision_is_that_of_the_last_write(self) -> None:
        for revision in await self.write():
            self.assertLessEqual(revision, await self.engine.revision())
        self.assertEqual(revision, await self.engine.revision())
        page = await self.engine.read_page(TaskQuery())
        changes = await self.engine.read_changes(None, 10)
        self.assertEqual((page.revision, changes.revision), (revision, revision))

    async def test_a_write_that_fails_takes_no_revision(self) -> None:
        [task] = await self.create("a")
        self.clock.now += HOUR
        for call in [
            self.engine.create_task("a", ENTRY), self.engine.update_task("b", ENTRY),
            self.engine.update_task("a", ENTRY, matching(1)), self.engine.delete_task("b"),
            self.engine.delete_task("a", matching(1)),
            self.engine.create_tasks([("c", ENTRY), ("d", ENTRY), ("a", ENTRY)]),
        ]:
            with self.assertRaises(TodoListError):
                await call
        self.assertEqual(await self.engine.revision(), task.revision)

    async def test_reading_takes_no_revision(self) -> None:
        [task] = await self.create("a")
        self.clock.now += HOUR
        await self.engine.read_task("a")
        await self.engine.read_page(TaskQuery())
        await self.engine.read_changes(None, 10)
        self.assertEqual(await self.engine.revision(), task.revision)

    async def test_a_read_task_has_the_revision_of_its_last_write(self) -> None:
        [first, _] = await self.create("a", "b")
        self.assertEqual(first.revision, self.first)
        updated = await self.engine.update_task("a", ENTRY)
        self.assertEqual(updated.revision, self.first + 2)
        self.assertEqual((await self.engine.read_task("a")).revision, self.first + 2)
        self.assertEqual((await self.engine.read_task("b")).revision, self.first + 1)
