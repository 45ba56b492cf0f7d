"""The service over each engine, without HTTP."""

import unittest
from pathlib import Path

from taskservice.database.db_engines import create_todolist_db
from taskservice.datamodel import TaskEntry, TaskPriority, TaskQuery, TaskSort
from taskservice.errors import StaleRevisionError, StoreUnavailableError, TaskNotFoundError
from taskservice.precondition import Precondition
from taskservice.service import TodoListService
from tests.contract import quick_folder
from tests.support import ENGINES, on_every_engine


@on_every_engine
class TodoListServiceTest(unittest.IsolatedAsyncioTestCase):

    engine = "memory"

    def setUp(self) -> None:
        folder = Path(self.enterContext(quick_folder()))
        self.service = TodoListService(create_todolist_db(ENGINES[self.engine](folder)))

    async def asyncSetUp(self) -> None:
        await self.enterAsyncContext(self.service)

    async def create(self, *titles: str) -> list[str]:
        """Create a task of each title, and return their ids."""
        made = [await self.service.create_task(TaskEntry(title)) for title in titles]
        return [created.tasks[0][0] for created in made]

    async def pages(self, query: TaskQuery) -> list[list[str]]:
        """Return the titles of each page."""
        return [[task.entry.title for task in page.tasks]
                async for page in self.service.list_tasks(query)]

    async def test_crud(self) -> None:
        entry = TaskEntry("a", "b", TaskPriority.HIGH, True, 1.5)
        [(task_id, revision)] = (await self.service.create_task(entry)).tasks
        task = await self.service.get_task(task_id)
        self.assertEqual((task.id, task.revision, task.entry), (task_id, revision, entry))
        updated = await self.service.update_task(task_id, TaskEntry("c"))
        self.assertEqual((await self.service.get_task(task_id)).entry, TaskEntry("c"))
        self.assertGreater(updated.revision, revision)
        deleted = await self.service.delete_task(task_id)
        self.assertGreater(deleted, updated.revision)
        self.assertEqual(await self.service.revision(), deleted)
        self.assertEqual(await self.pages(TaskQuery()), [[]])

    async def test_a_task_that_is_not_there(self) -> None:
        for call in (self.service.get_task("none"), self.service.delete_task("none"),
                     self.service.update_task("none", TaskEntry("a"))):
            with self.assertRaises(TaskNotFoundError):
                await call

    async def test_a_stale_writer_is_refused(self) -> None:
        [task_id] = await self.create("a")
        revision = (await self.service.get_task(task_id)).revision
        await self.service.update_task(task_id, TaskEntry("b"), Precondition(match={revision}))
        with self.assertRaises(StaleRevisionError):
            await self.service.update_task(task_id, TaskEntry("lost"), Precondition(match={revision}))
        with self.assertRaises(StaleRevisionError):
            await self.service.delete_task(task_id, Precondition(match=()))
        self.assertEqual((await self.service.get_task(task_id)).entry.title, "b")

    async def test_a_list_comes_in_pages_of_its_limit(self) -> None:
        await self.create(*"dacb")
        self.assertEqual(await self.pages(TaskQuery(limit=2)), [["d", "a"], ["c", "b"]])
        by_title = TaskQuery(sort=TaskSort.TITLE, descending=True, limit=3)
        self.assertEqual(await self.pages(by_title), [["d", "c", "b"], ["a"]])

    async def test_a_task_that_goes_between_pages_takes_no_other_along(self) -> None:
        ids = await self.create(*"abcd")
        seen: list[str] = []
        async for page in self.service.list_tasks(TaskQuery(limit=2)):
            seen += [task.entry.title for task in page.tasks]
            if len(seen) == 2:
                await self.service.delete_task(ids[1])
        self.assertEqual(seen, list("abcd"))

    async def test_it_stops(self) -> None:
        await self.service.stop()
        with self.assertRaises(StoreUnavailableError):
            await self.service.revision()
