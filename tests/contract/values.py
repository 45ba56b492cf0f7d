"""A task reads back exactly as it was written, and what was handed out stays as it is."""

import json

from taskservice.datamodel import StoredTask, TaskEntry, TaskPriority, TaskQuery, TaskSort
from tests.contract.harness import Harness, ids

NUMBERS: list[int | float] = [
    0, 1, -1, 1.0, 1.5, 0.0, -0.0, 0.1 + 0.2, 5e-324, 1e15, 1e-7, 2 ** 53 - 1, -(2 ** 53 - 1),
    float(2 ** 53 - 1), 1700000000, 1700000000.123456]

TEXTS = [
    "plain", " ", "  both ends  ", "\t\r\n", "\u2028\u2029", "\x01\x1f\x7f", "\ufeffbom", "\uffff",
    "😀 astral 𝕏", "e\u0301 is not \u00e9", "שלום עולם", "ﬁ ligature", "\"quoted\" \\ 'single'",
    "</script><!--", "'; DROP TABLE tasks; --", "%s {0} $1 :name ?", "null"]


class ValueContract(Harness):
    """What goes in comes out."""

    async def assert_reads_back(self, *entries: TaskEntry) -> None:
        """Create and replace tasks, and find each entry in all the places where tasks come out."""
        created = [(f"c{number:03}", entry) for number, entry in enumerate(entries)]
        updated = [(f"u{number:03}", entry) for number, entry in enumerate(entries)]
        await self.engine.create_tasks([*created, *((name, TaskEntry("-")) for name, _ in updated)])
        for task_id, entry in updated:
            self.assert_exact(await self.engine.update_task(task_id, entry), entry)
        by_id = dict(created + updated)
        tasks = [await self.engine.read_task(task_id) for task_id in by_id]
        tasks += await self.walk()
        since, more = None, True
        while more:
            page = await self.engine.read_changes(since, 1000)
            tasks += [change.task for change in page.changes if change.task is not None]
            since, more = page.revision, page.more
        self.assertEqual(len(tasks), 3 * len(by_id))
        for task in tasks:
            self.assert_exact(task, by_id[task.id])

    def assert_exact(self, task: StoredTask, entry: TaskEntry) -> None:
        """Compare an entry, its JSON, and the types in it: 1 == 1.0 == True is not enough."""
        self.assertEqual(task.entry, entry)
        self.assertEqual(task.body, entry.to_json())
        self.assertEqual(repr(json.loads(task.body)), repr(entry.to_dict()))

    async def test_numbers_read_back_exactly(self) -> None:
        await self.assert_reads_back(*(TaskEntry("t", due_date=number) for number in NUMBERS))

    async def test_texts_read_back_exactly(self) -> None:
        await self.assert_reads_back(*(TaskEntry(text, description=text) for text in TEXTS))

    async def test_only_the_members_that_were_sent_read_back(self) -> None:
        await self.assert_reads_back(
            TaskEntry("t"), TaskEntry("t", ""), TaskEntry("t", completed=False),
            TaskEntry("t", completed=True), TaskEntry("t", due_date=0),
            *(TaskEntry("t", priority=priority) for priority in TaskPriority))

    async def test_long_texts_read_back_exactly(self) -> None:
        await self.assert_reads_back(
            TaskEntry("x" * 60_000), TaskEntry("😀" * 15_000), TaskEntry("t", "é" * 30_000))

    async def test_long_titles_sort_beyond_a_common_beginning(self) -> None:
        titles = {f"{number:x}": "p" * 199 + end for number, end in enumerate("bca")}
        titles["prefix"] = "p" * 199
        await self.engine.create_tasks(
            [(task_id, TaskEntry(title)) for task_id, title in titles.items()])
        tasks = await self.walk(sort=TaskSort.TITLE, limit=1)
        self.assertEqual(ids(tasks), sorted(titles, key=titles.__getitem__))

    async def test_titles_that_begin_alike_for_200_characters_go_by_id(self) -> None:
        for character in ["p", "\x01", '"', "\\", "é", "😀"]:  # however many bytes each takes
            titles = {f"{number}": character * 200 + end for number, end in enumerate(["b", "", "a"])}
            await self.engine.create_tasks(
                [(task_id, TaskEntry(title)) for task_id, title in titles.items()])
            tasks = await self.walk(sort=TaskSort.TITLE, limit=1)
            self.assertEqual(ids(tasks), ["0", "1", "2"])
            for task_id in titles:
                await self.engine.delete_task(task_id)

    async def test_a_task_that_was_handed_out_stays_as_it_is(self) -> None:
        [task] = await self.create("a")
        page = await self.engine.read_page(TaskQuery())
        changes = await self.engine.read_changes(None, 10)
        await self.engine.update_task("a", TaskEntry("new"))
        await self.create("b")
        await self.engine.delete_task("a")
        self.assertEqual((task.id, task.entry), ("a", TaskEntry("a")))
        self.assertEqual(page.tasks, (task,))
        self.assertEqual([change.task for change in changes.changes], [task])

    async def test_a_sequence_that_was_handed_in_may_change_afterwards(self) -> None:
        batch = [("a", TaskEntry("a"))]
        await self.engine.create_tasks(batch)
        batch[0] = ("b", TaskEntry("b"))
        self.assertEqual(set(await self.tasks()), {"a"})
