"""Pages: each sort, direction and filter, against the same in plain Python; walks by keyset."""

from itertools import cycle, product
from typing import Any, Iterator
from unicodedata import normalize

from taskservice.datamodel import (
    StoredTask, TaskEntry, TaskPage, TaskPriority, TaskQuery, TaskSort, search_words)
from tests.contract.harness import HOUR, Harness, ids

TITLES = [
    "buy milk", "Buy milk", "buy", "Straße", "STRASSE", "İstanbul", "Ὀδυσσεύς", "ΟΔΟΣ",
    "😀", "\uffff", "100% _off_", "*?[a]", "buy milk", "p" * 250 + "b", "p" * 250 + "a",
    "p" * 200, " space"]
DESCRIPTIONS = [None, "milk, the rest", "", "a\u2028b", "Σίσυφος", None, "semi;colon"]
PRIORITIES = [None, *TaskPriority]
COMPLETED = [None, True, False, None, True]
DUE_DATES: list[int | float | None] = [
    None, 0, 1, 1.0, 1.5, -0.0, -1, 2 ** 53 - 1, -(2 ** 53 - 1), 1e15, None, 1_700_000_000, 0.5]

FILTERS: list[dict[str, Any]] = [
    {},
    {"completed": True},
    {"completed": False},
    {"priorities": frozenset({TaskPriority.NONE})},
    {"priorities": frozenset({TaskPriority.URGENT, TaskPriority.LOW})},
    {"due_after": 0.0},
    {"due_before": 1.0},
    {"due_after": -1.0, "due_before": 1.5},
    {"due_after": -1e300, "due_before": 1e300},
    {"due_after": float(2 ** 53 - 2)},
    {"words": ("milk",)},
    {"completed": False, "priorities": frozenset(TaskPriority), "due_after": -2.0, "words": ("u",)},
]


def varied_tasks(count: int = 60) -> list[tuple[str, TaskEntry]]:
    """Return tasks in which the members repeat at different distances; ids are not in order."""
    members = zip(
        cycle(TITLES), cycle(DESCRIPTIONS), cycle(PRIORITIES), cycle(COMPLETED), cycle(DUE_DATES))
    return [
        (f"{number * 37 % 101:03}", TaskEntry(*values))
        for number, values in zip(range(count), members)]


def expected_tasks(tasks: list[StoredTask], query: TaskQuery) -> list[StoredTask]:
    """Return what a query has to find among the tasks, in its order, by the plainest means."""
    return sorted(filter(query.matcher(), tasks), key=query.sort_key, reverse=query.descending)


class PageContract(Harness):
    """`read_page`."""

    async def fill(self) -> list[StoredTask]:
        """Store varied tasks, some of them replaced later; return them all."""
        tasks = varied_tasks()
        await self.engine.create_tasks(tasks)
        for task_id, entry in tasks[::7]:
            self.clock.now += HOUR
            await self.engine.update_task(task_id, entry)
        return [await self.engine.read_task(task_id) for task_id, _ in tasks]

    def orders(self) -> Iterator[dict[str, Any]]:
        """Yield each sort in each direction."""
        for sort, descending in product(TaskSort, (False, True)):
            yield {"sort": sort, "descending": descending}

    async def test_every_sort_and_filter_finds_what_plain_python_finds(self) -> None:
        tasks = await self.fill()
        for order, filters in product(self.orders(), FILTERS):
            with self.subTest(**order, **filters):
                expected = expected_tasks(tasks, TaskQuery(**order, **filters))
                self.assertEqual(await self.walk(**order, **filters, limit=7), expected)

    async def test_every_filter_keeps_some_tasks_and_leaves_some_out(self) -> None:
        """Or the test above would show little."""
        tasks = await self.fill()
        for filters in FILTERS[1:]:
            found = await self.walk(**filters)
            self.assertTrue(0 < len(found) < len(tasks), filters)

    async def test_a_task_without_a_due_date_is_due_neither_before_nor_after(self) -> None:
        await self.engine.create_tasks([("a", TaskEntry("a")), ("b", TaskEntry("b", due_date=0))])
        for bounds in [{"due_before": 2.0 ** 60}, {"due_after": -1.0}, {"due_before": 1e308}]:
            self.assertEqual(ids(await self.walk(**bounds)), ["b"])
        self.assertEqual(await self.walk(due_after=2.0 ** 52), [])

    async def test_a_due_date_lies_strictly_between_the_bounds(self) -> None:
        await self.engine.create_tasks(
            [(f"{number}", TaskEntry("t", due_date=number)) for number in (1, 2, 3)])
        self.assertEqual(ids(await self.walk(due_after=1.0, due_before=3.0)), ["2"])
        self.assertEqual(ids(await self.walk(due_after=1, due_before=3)), ["2"])
        self.assertEqual(ids(await self.walk(due_after=1.0)), ["2", "3"])
        self.assertEqual(ids(await self.walk(due_before=1.5)), ["1"])

    async def test_a_full_page_shows_whether_more_follow(self) -> None:
        await self.create("a", "b", "c")
        found = [(2, ["a", "b"], True), (3, ["a", "b", "c"], False), (4, ["a", "b", "c"], False)]
        for limit, expected, more in found:
            page = await self.engine.read_page(TaskQuery(limit=limit))
            self.assertEqual((ids(page.tasks), page.end is not None), (expected, more))

    async def test_more_is_of_the_tasks_that_match(self) -> None:
        await self.create("a", "b")
        self.assertIsNone((await self.engine.read_page(TaskQuery(limit=1, words=("a",)))).end)

    async def test_an_empty_page_has_the_stores_revision(self) -> None:
        [task] = await self.create("a")
        for query in [TaskQuery(words=("x",)), TaskQuery(after=("b", "b"))]:
            page = await self.engine.read_page(query)
            self.assertEqual(page, TaskPage(task.revision, ()))

    async def test_a_page_may_go_on_from_a_task_that_is_gone(self) -> None:
        await self.create("a", "b", "c", "d")
        for order in self.orders():
            page = await self.engine.read_page(TaskQuery(**order, limit=2))
            expected = [task for task in await self.walk(**order) if task not in page.tasks]
            gone = page.tasks[-1].id
            await self.engine.delete_task(gone)
            found = await self.engine.read_page(TaskQuery(**order, after=page.end))
            self.assertEqual(list(found.tasks), expected)
            self.clock.now += HOUR
            await self.create(gone)

    async def test_a_page_may_go_on_from_any_due_date(self) -> None:
        """A cursor carries JSON numbers: an int goes on where the float does."""
        dates = [-1, 0, 0.5, 1, 2 ** 53 - 1]
        await self.engine.create_tasks(
            [(f"{place}", TaskEntry("t", due_date=date)) for place, date in enumerate(dates)])
        for after, expected in [(0, 2), (0.0, 2), (-0.0, 2), (0.75, 3), (1, 4), (2 ** 53 - 1, 5)]:
            found = await self.walk(sort=TaskSort.DUE_DATE, after=(after, "z"))
            self.assertEqual(len(found), len(dates) - expected, after)

    async def test_due_dates_that_are_equal_go_by_id(self) -> None:
        await self.engine.create_tasks([
            ("d", TaskEntry("t", due_date=0)), ("a", TaskEntry("t", due_date=-0.0)),
            ("c", TaskEntry("t", due_date=0.0)), ("b", TaskEntry("t", due_date=1)),
            ("e", TaskEntry("t"))])
        found = await self.walk(sort=TaskSort.DUE_DATE, limit=1)
        self.assertEqual(ids(found), ["a", "c", "d", "b", "e"])

    async def test_ids_go_by_code_point(self) -> None:
        await self.create("a", "B", "-", "0", "Z-", "a-", "aa", "A")
        self.assertEqual(ids(await self.walk()), ["-", "0", "A", "B", "Z-", "a", "a-", "aa"])

    async def test_titles_go_by_code_point(self) -> None:
        titles = ["\uffff", "😀", "Z", "a", "é", "e\u0301", "-", "a b", "ab", "\ue000", "\x01"]
        await self.engine.create_tasks(
            [(f"{place}", TaskEntry(title)) for place, title in enumerate(titles)])
        found = [task.entry.title for task in await self.walk(sort=TaskSort.TITLE, limit=2)]
        self.assertEqual(found, sorted(titles))

    async def test_words_are_found_whatever_their_case_accents_and_unicode_form(self) -> None:
        for place, (title, searched) in enumerate([
            ("Straße", "STRASSE"), ("STRASSE", "straße"), ("İstanbul", "İSTANBUL"),
            ("İstanbul", "istanbul"), ("ISTANBUL", "ıstanbul"), ("Ὀδυσσεύς", "ὈΔΥΣΣΕΎΣ"),
            ("ΟΔΟΣ", "οδος"), ("Éclair", "éCLAIR"), ("ǅ", "ǆ"), ("Café", "cafe"), ("cafe", "CAFÉ"),
            ("Cafe\u0301", "Caf\u00e9"), ("Caf\u00e9", "Cafe\u0301"), ("ﬁnden", "find"), ("Łódź", "lodz"),
            ("한국", normalize("NFD", "한국")), ("ガス", "ｶﾞｽ"), ("नमस्ते", "नमस"), ("ข้าว", "ข้า"),
        ]):
            with self.subTest(title=title, searched=searched):
                await self.engine.create_task(f"a-{place}", TaskEntry("x", description=title))
                await self.engine.create_task(f"b-{place}", TaskEntry(title))
                found = ids(await self.walk(words=search_words(searched)))
                self.assertLessEqual({f"a-{place}", f"b-{place}"}, set(found))

    async def test_words_that_differ_by_more_are_not_found(self) -> None:
        await self.engine.create_tasks(
            [(f"{place}", TaskEntry(title)) for place, title in enumerate(
                ["が", "각", "कि", "ข่าว", "мой", "Café"])])
        for searched in ["か", "가", "की", "ขาว", "мои", "cafes"]:
            self.assertEqual(await self.walk(words=search_words(searched)), [], searched)

    async def test_every_word_has_to_occur_in_title_or_description(self) -> None:
        await self.engine.create_tasks([
            ("a", TaskEntry("red", "green")), ("b", TaskEntry("green red")),
            ("c", TaskEntry("red")), ("d", TaskEntry("blue", "agreen"))])
        self.assertEqual(ids(await self.walk(words=("red", "green"))), ["a", "b"])
        self.assertEqual(ids(await self.walk(words=("green",))), ["a", "b", "d"])

    async def test_no_word_matches_across_title_and_description(self) -> None:
        await self.engine.create_task("a", TaskEntry("red", "green"))
        self.assertEqual(await self.walk(words=("redgreen",)), [])

    async def test_a_word_means_itself_and_no_pattern(self) -> None:
        await self.engine.create_tasks(
            [(f"{place}", TaskEntry(title)) for place, title in enumerate(
                ["100%", "a_b", "a.b", "a*b", "[ab]", "a\\b", "a'b", "acb"])])
        for place, word in enumerate(["0%", "a_b", "a.b", "a*b", "[ab]", "\\", "'"]):
            self.assertEqual(ids(await self.walk(words=(word,))), [f"{place}"], word)

    async def test_a_walk_skips_and_repeats_nothing_that_others_leave_alone(self) -> None:
        await self.fill()
        for order in self.orders():
            with self.subTest(**order):
                before = await self.tasks()
                seen = await self.walk_while_writing(order)
                after = await self.tasks()
                alone = {name for name, task in before.items() if after.get(name) == task}
                found = [name for name in seen if name in alone]
                self.assertEqual((len(found), set(found)), (len(alone), alone))

    async def walk_while_writing(self, order: dict[str, Any]) -> list[str]:
        """Walk by pages of 7, with a create, a replacement and a deletion after each."""
        page = await self.engine.read_page(TaskQuery(**order, limit=7))
        seen = ids(page.tasks)
        while page.end and len(seen) < 1000:
            await self.disturb(page)
            page = await self.engine.read_page(TaskQuery(**order, limit=7, after=page.end))
            seen += ids(page.tasks)
        return seen

    async def disturb(self, page: TaskPage) -> None:
        """Delete a task that was seen, replace two, create one at each end of the order by id."""
        await self.engine.delete_task(page.tasks[-1].id)
        await self.engine.update_task(page.tasks[0].id, TaskEntry("zzz", due_date=3))
        await self.engine.update_task(page.tasks[1].id, TaskEntry("aaa", due_date=-3))
        await self.create(f"0-{await self.engine.revision()}")
        await self.create(f"z-{await self.engine.revision()}")
