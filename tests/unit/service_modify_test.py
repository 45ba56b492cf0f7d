"""A change of a task is atomic: it is made again when another writer was first."""

import unittest

from taskservice.database.todolist_db import InMemoryTodoListDB
from taskservice.datamodel import StoredTask, TaskEntry
from taskservice.errors import InvalidTaskError, StaleRevisionError, TaskNotFoundError
from taskservice.precondition import UNCONDITIONAL, Precondition
from taskservice.service import TodoListService


class RacedStore(InMemoryTodoListDB):
    """A store in which others write just before a change does, as often as it is set to."""

    def __init__(self) -> None:
        super().__init__(clock=lambda: 0)
        self.others: list[TaskEntry] = []
        self.deleter = False

    async def update_task(
        self, task_id: str, entry: TaskEntry, precondition: Precondition = UNCONDITIONAL
    ) -> StoredTask:
        """Let another writer go first."""
        if self.others:
            await super().update_task(task_id, self.others.pop())
        if self.deleter:
            await self.delete_task(task_id)
        return await super().update_task(task_id, entry, precondition)


class ModifyTest(unittest.IsolatedAsyncioTestCase):

    async def asyncSetUp(self) -> None:
        self.store = RacedStore()
        self.service = await self.enterAsyncContext(TodoListService(self.store))
        await self.service.create_task(TaskEntry("a"), task_id="x")

    async def test_it_is_what_is_read_back(self) -> None:
        task = await self.service.modify_task("x", complete)
        self.assertEqual((task.revision, task.entry), (2, TaskEntry("a", completed=True)))
        self.assertEqual(await self.service.get_task("x"), task)

    async def test_it_is_made_again_of_what_another_wrote_meanwhile(self) -> None:
        self.store.others = [TaskEntry("c"), TaskEntry("b")]
        task = await self.service.modify_task("x", complete)
        self.assertEqual((task.revision, task.entry), (4, TaskEntry("c", completed=True)))

    async def test_it_is_not_where_a_revision_was_expected(self) -> None:
        self.store.others = [TaskEntry("b")]
        with self.assertRaises(StaleRevisionError) as caught:
            await self.service.modify_task("x", complete, Precondition(match={1}))
        self.assertEqual(caught.exception.revision, 2)
        self.assertEqual((await self.service.get_task("x")).entry, TaskEntry("b"))

    async def test_one_of_several_expected_revisions_will_do(self) -> None:
        self.assertEqual((await self.service.modify_task("x", complete, Precondition(match={1, 7}))).revision, 2)

    async def test_a_stale_expectation_is_reported_before_the_change_is_made(self) -> None:
        for expected in ({7}, set[int]()):
            with self.assertRaises(StaleRevisionError):
                await self.service.modify_task("x", self.fail, Precondition(match=expected))

    async def test_a_change_that_fails_changes_nothing(self) -> None:
        def refuse(entry: TaskEntry) -> TaskEntry:
            raise InvalidTaskError([])

        with self.assertRaises(InvalidTaskError):
            await self.service.modify_task("x", refuse)
        self.assertEqual(await self.service.revision(), 1)

    async def test_there_has_to_be_a_task(self) -> None:
        with self.assertRaises(TaskNotFoundError):
            await self.service.modify_task("none", self.fail)
        self.store.deleter = True
        with self.assertRaises(TaskNotFoundError):
            await self.service.modify_task("x", complete)


def complete(entry: TaskEntry) -> TaskEntry:
    """Complete a task."""
    return entry._replace(completed=True)


if __name__ == "__main__":
    unittest.main()
