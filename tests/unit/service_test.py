"""The service's own logic: ids, and that a list goes on where its page ended."""

import asyncio
import itertools
import unittest
from contextlib import aclosing
from unittest.mock import patch

from taskservice import changes
from taskservice.database.todolist_db import InMemoryTodoListDB
from taskservice.datamodel import ChangePage, TaskEntry, TaskPage, TaskQuery
from taskservice.errors import ChangesExpiredError
from taskservice.service import LISTS_AT_ONCE, TodoListService


class ForgetfulTodoListDB(InMemoryTodoListDB):
    """A store whose portions have one change, and which forgets changes when the test says so."""

    forgotten = False

    async def read_changes(self, since: int | None, limit: int) -> ChangePage:
        """Return one change."""
        if self.forgotten:
            raise ChangesExpiredError("too late")
        return await super().read_changes(since, 1)


class ServiceTest(unittest.IsolatedAsyncioTestCase):

    async def test_time_is_the_clocks(self) -> None:
        async with TodoListService(InMemoryTodoListDB(clock=lambda: 5)) as service:
            created = await service.create_task(TaskEntry("t"), task_id="a")
            self.assertEqual(created.tasks, (("a", 5),))
            self.assertEqual((await service.get_task("a")).entry, TaskEntry("t"))

    async def test_a_list_goes_on_where_its_page_ended(self) -> None:
        async with TodoListService(InMemoryTodoListDB()) as service:
            await service.create_tasks([(task_id, TaskEntry("t")) for task_id in "abcde"])
            pages = [[task.id for task in page.tasks]
                     async for page in service.list_tasks(TaskQuery(limit=2, descending=True))]
        self.assertEqual(pages, [["e", "d"], ["c", "b"], ["a"]])

    async def test_whole_lists_take_turns_and_a_page_waits_for_none_of_them(self) -> None:
        store = SlowTodoListDB()
        async with TodoListService(store) as service:
            for title in "vwxyz":
                await service.create_task(TaskEntry(title))

            async def whole() -> int:
                pages = service.list_tasks(TaskQuery(limit=1))
                return sum([len(page.tasks) async for page in pages])

            lists = asyncio.gather(*(whole() for _ in range(10)))
            await turns()
            self.assertEqual(store.reading, LISTS_AT_ONCE)
            page = asyncio.create_task(anext(service.read_page(TaskQuery())))
            await turns()
            self.assertEqual(store.reading, LISTS_AT_ONCE + 1)
            store.go.set()
            await page
            self.assertEqual(await lists, [5] * 10)
        self.assertEqual(store.most, LISTS_AT_ONCE + 1)

    async def test_whole_lists_wait_for_no_search(self) -> None:
        store = SlowTodoListDB()
        async with TodoListService(store) as service:
            searches = [asyncio.create_task(anext(service.list_tasks(TaskQuery(words=("a",))))) for _ in range(10)]
            await turns()
            self.assertEqual(store.reading, LISTS_AT_ONCE)
            whole = asyncio.create_task(anext(service.list_tasks(TaskQuery())))
            await turns()
            self.assertEqual(store.reading, LISTS_AT_ONCE + 1)
            store.go.set()
            await asyncio.gather(whole, *searches)

    async def test_a_whole_list_gives_others_a_turn_between_its_pages(self) -> None:
        """Though a store in memory has each at once."""
        async with TodoListService(InMemoryTodoListDB()) as service:
            await service.create_tasks([(task_id, TaskEntry("t")) for task_id in "abcdefghij"])
            taken = itertools.count()

            async def others() -> None:
                while True:
                    next(taken)
                    await asyncio.sleep(0)

            other = asyncio.create_task(others())
            pages = [page async for page in service.list_tasks(TaskQuery(limit=1))]
            other.cancel()
            self.assertEqual(len(pages), 10)
            self.assertGreaterEqual(next(taken), 8)

    async def test_the_first_page_of_a_whole_list_waits_for_no_turn_if_the_store_has_it_at_once(self) -> None:
        store = SlowTodoListDB(at_once=True)
        async with TodoListService(store) as service:
            await service.create_tasks([(task_id, TaskEntry("t")) for task_id in "abc"])
            searches = [asyncio.create_task(anext(service.list_tasks(TaskQuery(words=("t",))))) for _ in range(10)]
            lists = [service.list_tasks(TaskQuery(limit=1)) for _ in range(10)]
            for pages in lists:
                self.assertEqual([task.id for task in (await anext(pages)).tasks], ["a"])
            later = [asyncio.create_task(anext(pages)) for pages in lists]
            await turns()
            self.assertEqual(store.reading, 2 * LISTS_AT_ONCE)
            store.go.set()
            for page in later:
                self.assertEqual([task.id for task in (await page).tasks], ["b"])
            await asyncio.gather(*searches)

    async def test_changes_that_are_forgotten_between_portions_end_a_page(self) -> None:
        """What was given is right, and from its revision the client goes on, or hears of it."""
        async with TodoListService(store := ForgetfulTodoListDB()) as service:
            for title in "ab":
                await service.create_task(TaskEntry(title))
            async with aclosing(service.read_changes(None, 10)) as portions:
                first = await anext(portions)
                self.assertEqual((len(first.changes), first.more), (1, True))
                store.forgotten = True
                self.assertEqual([page async for page in portions], [])
            with self.assertRaises(ChangesExpiredError):
                await anext(service.read_changes(first.revision, 10))

    async def test_every_write_is_reported_at_once_to_those_who_follow(self) -> None:
        """Not when the store is next looked at, as for the writes of other processes."""
        self.enterContext(patch.object(changes, "POLL_INTERVAL", 3600.0))
        async with TodoListService(InMemoryTodoListDB()) as service:
            writes = (
                lambda: service.create_task(TaskEntry("t"), task_id="a"),
                lambda: service.create_tasks([("b", TaskEntry("t"))]),
                lambda: service.update_task("a", TaskEntry("u")),
                lambda: service.modify_task("a", lambda entry: TaskEntry("v")),
                lambda: service.delete_task("a"))
            async with aclosing(service.follow_changes(await service.revision())) as batches, asyncio.timeout(30):
                self.assertEqual(await anext(batches), ())
                for write in writes:
                    await turns()  # the reader of changes waits again
                    await write()
                    [change] = await anext(batches)
                    self.assertEqual(change.revision, await service.revision())


async def turns() -> None:
    """Let everybody run as far as they come by themselves."""
    for _ in range(20):
        await asyncio.sleep(0)


class SlowTodoListDB(InMemoryTodoListDB):
    """Reads no page to its end before it may go on, and shows how many it reads at once."""

    def __init__(self, at_once: bool = False) -> None:
        super().__init__()
        self.at_once = at_once
        self.reading = self.most = 0
        self.go = asyncio.Event()

    def page_at_once(self, query: TaskQuery) -> TaskPage | None:
        return super().page_at_once(query) if self.at_once and query.after is None else None

    async def read_page(self, query: TaskQuery) -> TaskPage:
        self.reading += 1
        self.most = max(self.most, self.reading)
        await self.go.wait()
        await asyncio.sleep(0)
        self.reading -= 1
        return await super().read_page(query)
