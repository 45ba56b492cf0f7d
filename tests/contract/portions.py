"""What does not fit is read in portions, of bounded bytes, on every engine."""

from taskservice.datamodel import (
    PAGE_BYTES, PORTION_BYTES, ChangePage, StoredTask, TaskEntry, TaskQuery, TaskSort)
from tests.contract.harness import HOUR, Harness, ids

LARGE = 60_000
"""Characters of a task of which few fit a portion."""


def size(tasks: list[StoredTask] | tuple[StoredTask, ...]) -> int:
    """Return how many bytes tasks have."""
    return sum(len(task.body) for task in tasks)


class PortionContract(Harness):
    """`read_page`, `read_tasks` and `read_changes`, where there is much to read."""

    async def sized(self, *sizes: int) -> list[str]:
        """Create a task with a title of each size, and return their ids in order."""
        tasks = [(f"{place:03}", TaskEntry("x" * chars)) for place, chars in enumerate(sizes)]
        await self.engine.create_tasks(tasks)
        return [task_id for task_id, _ in tasks]

    async def test_a_page_has_no_more_bytes_than_fit(self) -> None:
        names = await self.sized(*[LARGE] * 20)
        for limit in (19, 20, 1000):
            page = await self.engine.read_page(TaskQuery(limit=limit))
            self.assertLessEqual(size(page.tasks), PAGE_BYTES)
            self.assertEqual([*ids(page.tasks), *page.unread], names[:limit])
            self.assertEqual(page.end, (names[18], names[18]) if limit == 19 else None)

    async def test_a_page_of_small_tasks_is_read_at_once(self) -> None:
        names = await self.sized(*[PAGE_BYTES // 110] * 100)
        page = await self.engine.read_page(TaskQuery(limit=100))
        self.assertEqual((ids(page.tasks), page.unread, page.end), (names, (), None))

    async def test_a_walk_over_large_tasks_is_whole_in_every_order(self) -> None:
        names = await self.sized(*[LARGE, 5, LARGE + 1, 5, 6, LARGE, LARGE] * 3)
        for place, name in enumerate(names[::2]):
            self.clock.now += HOUR
            await self.engine.update_task(
                name, TaskEntry("y" * (place * 7 % 10 + 1), "z" * LARGE, due_date=place / 3))
        tasks = [await self.engine.read_task(name) for name in names]
        for sort in TaskSort:
            for descending in (False, True):
                query = TaskQuery(sort=sort, descending=descending)
                found = await self.walk(sort=sort, descending=descending, limit=11)
                self.assertEqual(found, sorted(tasks, key=query.sort_key, reverse=descending))

    async def test_a_page_ends_where_its_last_task_was_then(self) -> None:
        """Not where it is when its text is read."""
        names = await self.sized(*[LARGE] * 20)
        page = await self.engine.read_page(TaskQuery(sort=TaskSort.UPDATED, limit=15))
        last = page.unread[-1]
        self.assertEqual(last, names[14])
        revision = (await self.engine.read_task(last)).revision
        await self.engine.update_task(last, TaskEntry("new"))
        self.assertEqual(page.end, (revision, last))
        rest = await self.walk(sort=TaskSort.UPDATED, after=page.end)
        self.assertEqual(ids(rest), [*names[15:], last])

    async def test_tasks_are_read_in_the_order_of_their_ids_given(self) -> None:
        await self.sized(1, 2, 3, 4)
        portion = await self.engine.read_tasks(["002", "000", "003"])
        self.assertEqual((ids(portion.tasks), portion.read), (["002", "000", "003"], 3))
        self.assertEqual(portion.tasks[0], await self.engine.read_task("002"))

    async def test_a_portion_has_no_more_bytes_than_fit(self) -> None:
        names = await self.sized(*[PORTION_BYTES // 4 - 100] * 9)
        portion = await self.engine.read_tasks(names)
        self.assertEqual((ids(portion.tasks), portion.read), (names[:4], 4))

    async def test_a_task_that_alone_does_not_fit_is_a_portion(self) -> None:
        names = await self.sized(PORTION_BYTES + 1, PORTION_BYTES + 1, 1)
        portion = await self.engine.read_tasks(names)
        self.assertEqual((ids(portion.tasks), portion.read), (names[:1], 1))
        page = await self.engine.read_changes(None, 10)
        self.assertEqual(([change.id for change in page.changes], page.more), (names[:1], True))

    async def test_tasks_that_are_gone_are_read_without_a_trace(self) -> None:
        [a, b, c, d] = await self.sized(1, PORTION_BYTES, 3, 4)
        for gone in (a, c, d):
            await self.engine.delete_task(gone)
        portion = await self.engine.read_tasks([a, b, c, d])
        self.assertEqual((ids(portion.tasks), portion.read), ([b], 4))
        portion = await self.engine.read_tasks([a, c, d])
        self.assertEqual((portion.tasks, portion.read), ((), 3))

    async def test_a_task_that_grew_meanwhile_is_read_as_it_is(self) -> None:
        names = await self.sized(*[LARGE] * 12, 1)
        page = await self.engine.read_page(TaskQuery())
        for name in names:
            await self.engine.update_task(name, TaskEntry("new", "x" * (PORTION_BYTES // 2)))
        read = 0
        while read < len(page.unread):
            portion = await self.engine.read_tasks(page.unread[read:])
            self.assertLessEqual(size(portion.tasks), PORTION_BYTES)
            self.assertEqual({task.entry.title for task in portion.tasks}, {"new"})
            read += portion.read

    async def test_changes_have_no_more_bytes_than_fit(self) -> None:
        names = await self.sized(*[LARGE] * 12)
        await self.engine.delete_task(names[3])
        since, pages = None, list[ChangePage]()
        while not pages or pages[-1].more:
            pages.append(await self.engine.read_changes(since, 1000))
            since = pages[-1].revision
            self.assertLessEqual(
                size([change.task for change in pages[-1].changes if change.task]), PORTION_BYTES)
        self.assertEqual([len(page.changes) for page in pages], [4, 4, 4])
        found = [change.id for page in pages for change in page.changes]
        self.assertEqual(found, [*names[:3], *names[4:], names[3]])
        self.assertEqual(since, await self.engine.revision())

    async def test_deletions_take_no_room(self) -> None:
        names = await self.sized(1, 2, 3)
        for name in names:
            await self.engine.delete_task(name)
        page = await self.engine.read_changes(None, 2)
        self.assertEqual(([change.id for change in page.changes], page.more), (names[:2], True))
        page = await self.engine.read_changes(page.revision, 2)
        self.assertEqual(([change.id for change in page.changes], page.more), (names[2:], False))
