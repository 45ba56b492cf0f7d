"""The service over each engine, without HTTP."""

import unittest
from contextlib import aclosing, suppress
from pathlib import Path

from taskservice.database.db_engines import create_todolist_db
from taskservice.datamodel import TaskEntry, TaskPriority, TaskQuery, TaskSort
from taskservice.errors import StaleRevisionError, StoreUnavailableError, TaskNotFoundError
from taskservice.precondition import Precondition
from taskservice.service import TodoListService
from tests.contract import quick_folder
from tests.helpers.app import ENGINES, on_every_engine


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

    async def large(self) -> list[str]:
        """Create tasks of which a page of all has several portions."""
        entry = TaskEntry("a", "x" * 60_000, completed=False)
        created = await self.service.create_tasks([(f"{number:02}", entry) for number in range(20)])
        return [task_id for task_id, _ in created.tasks]

    async def test_what_is_written_between_portions_is_given_as_it_is_then(self) -> None:
        names = await self.large()
        query = TaskQuery(completed=False)
        async with aclosing(self.service.read_page(query)) as portions:
            first = await anext(portions)
            gone, done, changed = first.unread[-3:]
            await self.service.delete_task(gone)
            await self.service.update_task(done, TaskEntry("b", completed=True))
            await self.service.update_task(changed, TaskEntry("c"))
            found = [*first.tasks, *[task async for page in portions for task in page.tasks]]
        self.assertEqual([task.id for task in found],
                         [name for name in names if name not in (gone, done)])
        self.assertEqual([task.entry.title for task in found if task.id == changed], ["c"])

    async def test_all_that_is_unread_may_go(self) -> None:
        names = await self.large()
        for read in (self.service.read_page, self.service.list_tasks):
            async with aclosing(read(TaskQuery())) as portions:
                first = await anext(portions)
                for name in first.unread:
                    await self.service.delete_task(name)
                last = [page async for page in portions][-1]
            self.assertEqual((last.tasks, last.unread, last.end), ((), (), None))
            for name in names:
                with suppress(TaskNotFoundError):
                    await self.service.delete_task(name)
            await self.large()

    async def test_changes_come_in_portions_up_to_their_limit(self) -> None:
        names = await self.large()
        portions = [page async for page in self.service.read_changes(None, 11)]
        self.assertGreater(len(portions), 1)
        self.assertEqual([page.more for page in portions], [True] * (len(portions) - 1) + [False])
        self.assertEqual([change.id for page in portions for change in page.changes], names[:11])

    async def test_it_stops(self) -> None:
        await self.service.stop()
        with self.assertRaises(StoreUnavailableError):
            await self.service.revision()
