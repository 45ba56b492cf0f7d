"""Changes: each id's latest, in the order of their revisions, to go on from."""

from collections.abc import Awaitable, Callable

from taskservice.datamodel import Change, ChangePage, TaskEntry
from taskservice.errors import ChangesExpiredError
from tests.contract.harness import HOUR, Harness, titled


class ChangeContract(Harness):
    """`read_changes`."""

    async def test_a_store_never_written_to_has_no_changes(self) -> None:
        for since in (None, self.empty):
            page = await self.engine.read_changes(since, 10)
            self.assertEqual(page, ChangePage(self.empty, ()))

    async def test_changes_come_in_the_order_of_their_revisions(self) -> None:
        tasks = await self.create("b", "c", "a")
        expected = tuple(Change(task.id, task.revision, task) for task in tasks)
        page = await self.engine.read_changes(None, 10)
        self.assertEqual(page, ChangePage(tasks[-1].revision, expected))

    async def test_superseded_changes_are_left_out(self) -> None:
        await self.create("a", "b")
        await self.engine.update_task("a", TaskEntry("new"))
        await self.engine.update_task("a", TaskEntry("newer"))
        self.assertEqual(await self.changes(None), [("b", "b"), ("a", "newer")])

    async def test_a_deletion_is_a_change(self) -> None:
        await self.create("a", "b")
        revision = await self.engine.delete_task("a")
        page = await self.engine.read_changes(None, 10)
        self.assertEqual([titled(change) for change in page.changes], [("b", "b"), ("a", None)])
        self.assertEqual(page.changes[-1], Change("a", revision, None))
        self.assertEqual(page.revision, revision)

    async def test_an_id_that_is_created_again_is_no_deletion_any_more(self) -> None:
        await self.create("a", "b")
        deletion = await self.engine.delete_task("a")
        await self.create("a")
        self.assertEqual(await self.changes(None), [("b", "b"), ("a", "a")])
        self.assertEqual(await self.changes(deletion), [("a", "a")])
        await self.engine.delete_task("a")
        self.assertEqual(await self.changes(None), [("b", "b"), ("a", None)])

    async def test_only_changes_after_since_are_there(self) -> None:
        [first, second] = await self.create("a", "b")
        self.assertEqual(await self.changes(first.revision), [("b", "b")])
        self.assertEqual(await self.changes(first.revision - 1), [("a", "a"), ("b", "b")])
        await self.engine.update_task("a", TaskEntry("new"))
        self.assertEqual(await self.changes(first.revision), [("b", "b"), ("a", "new")])
        self.assertEqual(await self.changes(second.revision), [("a", "new")])

    async def test_since_may_lie_between_two_revisions(self) -> None:
        [first] = await self.create("a")
        self.clock.now += HOUR
        await self.create("b")
        self.assertEqual(await self.changes(first.revision + 5), [("b", "b")])

    async def test_there_are_no_changes_after_the_stores_revision(self) -> None:
        await self.create("a")
        revision = await self.engine.delete_task("a")
        self.assertEqual(
            await self.engine.read_changes(revision, 10), ChangePage(revision, ()))

    async def test_a_page_has_at_most_limit_changes_and_shows_where_to_go_on(self) -> None:
        tasks = await self.create(*"edcba")
        await self.engine.delete_task("e")
        page = await self.engine.read_changes(None, 2)
        self.assertEqual([titled(change) for change in page.changes], [("d", "d"), ("c", "c")])
        self.assertEqual(page.revision, tasks[2].revision)
        page = await self.engine.read_changes(page.revision, 2)
        self.assertEqual([titled(change) for change in page.changes], [("b", "b"), ("a", "a")])
        page = await self.engine.read_changes(page.revision, 2)
        self.assertEqual([titled(change) for change in page.changes], [("e", None)])
        self.assertEqual(page.revision, await self.engine.revision())

    async def test_exactly_limit_changes_are_all_there_are(self) -> None:
        await self.create("a", "b", "c")
        page = await self.engine.read_changes(None, 3)
        self.assertEqual((len(page.changes), page.revision), (3, await self.engine.revision()))

    async def test_going_on_while_others_write_misses_no_latest_change(self) -> None:
        await self.create(*"abcdefgh")
        latest: dict[str, str | None] = {}
        since = None
        for task_id in [*"achb", None, None, None, None]:
            page = await self.engine.read_changes(since, 2)
            latest |= dict(titled(change) for change in page.changes)
            since = page.revision
            if task_id is not None:
                await self.engine.update_task(task_id, TaskEntry("new"))
        self.assertEqual(since, await self.engine.revision())
        expected = {name: task.entry.title for name, task in (await self.tasks()).items()}
        self.assertEqual(latest, expected)

    async def test_changes_beyond_the_stores_revision_are_expired(self) -> None:
        for _ in range(2):
            revision = await self.engine.revision()
            for since in (revision + 1, revision + HOUR, 2 ** 63, 10 ** 40):
                with self.assertRaises(ChangesExpiredError):
                    await self.engine.read_changes(since, 10)
            await self.create(f"{revision}")

    async def test_changes_before_all_time_are_all_or_expired(self) -> None:
        await self.create("a")
        for since in (-1, -(2 ** 63), -(10 ** 40)):
            try:
                self.assertEqual(await self.changes(since), [("a", "a")])
            except ChangesExpiredError:
                pass

    async def test_a_deletion_is_kept_for_7_days(self) -> None:
        [task, _] = await self.create("a", "b")
        await self.engine.delete_task("a")
        self.clock.now += 7 * 24 * HOUR - 1_000_000
        await self.create("c")
        for since in (task.revision, None):
            self.assertEqual(await self.changes(since), [("b", "b"), ("a", None), ("c", "c")])

    async def test_a_deletion_is_forgotten_after_7_days(self) -> None:
        """With a write; a reader from before it gets an error, and one that begins anew never sees it."""
        [task, _] = await self.create("a", "b")
        deletion = await self.engine.delete_task("a")
        self.clock.now += 7 * 24 * HOUR + 1_000_000
        await self.create("c")
        for since in (task.revision, deletion - 1):
            with self.assertRaises(ChangesExpiredError):
                await self.engine.read_changes(since, 10)
        self.assertEqual(await self.changes(deletion), [("c", "c")])
        self.assertEqual(await self.changes(None), [("b", "b"), ("c", "c")])

    async def test_the_oldest_deletions_are_forgotten_first(self) -> None:
        await self.create("a", "b", "c")
        first = await self.engine.delete_task("a")
        self.clock.now += 4 * 24 * HOUR
        second = await self.engine.delete_task("b")
        self.clock.now += 4 * 24 * HOUR
        await self.engine.update_task("c", TaskEntry("new"))
        self.assertEqual(await self.changes(first), [("b", None), ("c", "new")])
        self.assertEqual(await self.changes(None), [("b", None), ("c", "new")])
        self.clock.now += 4 * 24 * HOUR
        await self.engine.delete_task("c")
        with self.assertRaises(ChangesExpiredError):
            await self.engine.read_changes(first, 10)
        self.assertEqual(await self.changes(second), [("c", None)])

    async def test_every_kind_of_write_forgets(self) -> None:
        writes: list[Callable[[], Awaitable[object]]] = [
            lambda: self.engine.create_task("new", TaskEntry("t")),
            lambda: self.engine.update_task("new", TaskEntry("t")),
            lambda: self.engine.delete_task("new"),
            lambda: self.engine.create_tasks([(f"{n}", TaskEntry("t")) for n in range(2_100)])]
        for write in writes:
            [task] = await self.create("gone")
            await self.engine.delete_task("gone")
            self.clock.now += 8 * 24 * HOUR
            await write()
            with self.assertRaises(ChangesExpiredError):
                await self.engine.read_changes(task.revision, 10)

    async def test_a_deleted_id_that_is_created_after_its_deletion_was_forgotten(self) -> None:
        await self.create("a", "b")
        deletion = await self.engine.delete_task("a")
        self.clock.now += 8 * 24 * HOUR
        await self.create("c", "a")
        self.assertEqual(await self.changes(deletion), [("c", "c"), ("a", "a")])
        await self.engine.delete_task("a")
        self.assertEqual(await self.changes(deletion), [("c", "c"), ("a", None)])

    async def test_a_clock_that_goes_back_forgets_nothing(self) -> None:
        [task, _] = await self.create("a", "b")
        await self.engine.delete_task("a")
        self.clock.now -= 24 * HOUR
        await self.create("c")
        self.assertEqual(await self.changes(task.revision), [("b", "b"), ("a", None), ("c", "c")])

    async def test_a_deletion_while_the_clock_was_ahead_is_not_kept_for_as_long(self) -> None:
        """Nor does its revision make a later deletion look younger than it is."""
        await self.create("a", "b", "c")
        self.clock.now += 365 * 24 * HOUR
        ahead = await self.engine.delete_task("a")
        self.clock.now -= 365 * 24 * HOUR
        right = await self.engine.delete_task("b")
        for _ in range(2):
            await self.engine.update_task("c", TaskEntry("c"))
        with self.assertRaises(ChangesExpiredError):
            await self.engine.read_changes(ahead - 1, 10)
        self.assertEqual(await self.changes(ahead), [("b", None), ("c", "c")])
        self.clock.now += 7 * 24 * HOUR + 1_000_000
        for _ in range(2):
            await self.engine.update_task("c", TaskEntry("c"))
        with self.assertRaises(ChangesExpiredError):
            await self.engine.read_changes(right - 1, 10)
        self.assertEqual(await self.changes(right), [("c", "c")])

    async def test_changes_of_a_thousand_writes_are_all_there(self) -> None:
        names = [f"{number:03}" for number in range(500)]
        await self.create(*names)
        for name in names[::50]:
            await self.engine.delete_task(name)
        found = await self.changes(None)
        self.assertEqual(len(found), 500)
        self.assertEqual(found[-10:], [(name, None) for name in names[::50]])
