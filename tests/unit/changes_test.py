"""The feed of changes: one reader for all who follow, no gap, nothing twice, and how it ends."""

import asyncio
import contextlib
import contextvars
import unittest
from collections.abc import AsyncGenerator, Mapping, Sequence
from unittest.mock import patch

from taskservice import changes
from taskservice.changes import ChangeFeed
from taskservice.database.todolist_db import InMemoryTodoListDB
from taskservice.datamodel import PORTION_BYTES, Change, ChangePage, TaskEntry
from taskservice.errors import ChangesExpiredError, StoreUnavailableError
from taskservice.utils import taskcontext
from tests.helpers.app import Line, journal
from tests.helpers.time_limit import LimitedTestCase

BACKLOG = 5

SPAN = contextvars.ContextVar("SPAN", default="none")
"""What tracing keeps of a request."""


class Store(InMemoryTodoListDB):
    """A store whose revisions count from 1, that counts reads, and that a test can break."""

    def __init__(self) -> None:
        super().__init__(clock=lambda: 0)
        self.broken: Exception | None = None
        self.expired = False
        self.slow: asyncio.Event | None = None
        self.slow_revision: asyncio.Event | None = None
        self.reads = self.failures = self.reading = 0
        self.context: Mapping[str, object] = {}  # that of the last read
        self.span = ""

    async def revision(self) -> int:
        """Return the revision."""
        if self.broken is not None:
            self.failures += 1
            raise self.broken
        if self.slow_revision is not None:
            await self.slow_revision.wait()
        return await super().revision()

    async def read_changes(self, since: int | None, limit: int) -> ChangePage:
        """Return changes."""
        self.reads += 1
        self.context = dict(taskcontext.current())
        self.span = SPAN.get()
        if self.expired:
            raise ChangesExpiredError("too late")
        if self.slow is not None:
            self.reading += 1
            try:
                await self.slow.wait()
            finally:
                await asyncio.sleep(0)  # a read that is cancelled may take a moment to end
                self.reading -= 1
        return await super().read_changes(since, limit)


class ChangeFeedTest(LimitedTestCase):

    async def asyncSetUp(self) -> None:
        self.journal = self.enterContext(journal())
        self.store = await self.enterAsyncContext(Store())
        self.feed = ChangeFeed(self.store, backlog=BACKLOG)
        self.addAsyncCleanup(self.feed.stop)
        self.count = 0

    async def write(self, count: int = 1, wake: bool = True) -> None:
        """Create tasks, whose ids are the revisions they get."""
        for _ in range(count):
            self.count += 1
            await self.store.create_task(f"{self.count:03}", TaskEntry("a"))
        if wake:
            self.feed.wake()

    async def follow(self, since: int | None) -> "Follower":
        """Follow what was after `since`, which is now if it is None."""
        if since is None:
            since = await InMemoryTodoListDB.revision(self.store)
        follower = Follower(self.feed.follow(since))
        self.addAsyncCleanup(follower.close)
        return follower

    async def follow_live(self) -> "Follower":
        """Follow, until something that happens is reported."""
        follower = await self.follow(None)
        await follower.until_empty()
        await self.write()
        await follower.batch()
        return follower

    def patch(self, **values: float) -> None:
        """Set constants of the module."""
        for name, value in values.items():
            self.enterContext(patch.object(changes, name, value))

    async def test_it_begins_now_or_with_what_was_before(self) -> None:
        await self.write(3)
        for since, before in ((None, []), (0, [1, 2, 3]), (2, [3]), (3, [])):
            follower = await self.follow(since)
            self.assertEqual(await follower.until_empty(), before)

    async def test_what_was_comes_in_pages_then_an_empty_batch_then_what_happens(self) -> None:
        self.patch(PAGE=2)
        await self.write(5)
        follower = await self.follow(0)
        self.assertEqual([await follower.batch() for _ in range(4)], [[1, 2], [3, 4], [5], []])
        await self.write()
        self.assertEqual(await follower.batch(), [6])

    async def test_what_happens_comes_in_portions(self) -> None:
        follower = await self.follow_live()
        for _ in range(3):
            await self.store.create_task(None, TaskEntry("a" * (PORTION_BYTES // 2)))
        self.feed.wake()
        await spin()
        self.assertEqual([len(await follower.batch()) for _ in range(3)], [1, 1, 1])

    async def test_who_falls_behind_by_many_bytes_is_dropped(self) -> None:
        self.patch(BACKLOG_BYTES=PORTION_BYTES)
        slow, quick = await self.follow_live(), await self.follow_live()
        await slow.batch()
        for _ in range(3):
            await self.store.create_task(None, TaskEntry("a" * (PORTION_BYTES // 2)))
            self.feed.wake()
            self.assertEqual(len(await quick.batch()), 1)
        self.assertIsNone(await slow.batch_or_end())

    async def test_what_happens_while_it_catches_up_is_reported_once(self) -> None:
        self.patch(PAGE=2)
        await self.write(3)
        follower = await self.follow(0)
        seen = await follower.batch()
        for _ in range(4):  # the reader has them as well
            await self.write()
            await spin()
            seen += await follower.batch()
        seen += await follower.until_empty()
        await self.write(2)
        while len(seen) < 9:
            seen += await follower.batch()
        self.assertEqual(seen, list(range(1, 10)))

    async def test_who_catches_up_for_longer_than_the_backlog_misses_nothing(self) -> None:
        self.patch(PAGE=2)
        await self.write(2)
        follower = await self.follow(0)
        seen = await follower.batch()
        await self.write(4 * BACKLOG)
        await spin()
        await self.write(4 * BACKLOG)
        seen += await follower.until_empty()
        self.assertEqual(seen, list(range(1, 3 + 8 * BACKLOG)))

    async def test_only_the_latest_write_of_a_task_has_to_be_reported(self) -> None:
        follower = await self.follow(None)
        await follower.until_empty()
        await self.write()
        for _ in range(3):
            await self.store.update_task("001", TaskEntry("b"))
        await self.store.delete_task("001")
        self.feed.wake()
        self.assertEqual(await follower.batch(), [5])
        self.assertIsNone(follower.last[-1].task)

    async def test_all_followers_share_one_reader(self) -> None:
        followers = [await self.follow(None) for _ in range(20)]
        for follower in followers:
            await follower.until_empty()
        reads = self.store.reads
        await self.write()
        for follower in followers:
            self.assertEqual(await follower.batch(), [1])
        self.assertEqual(self.store.reads - reads, 1)

    async def test_the_reader_works_for_no_request(self) -> None:
        taskcontext.install(asyncio.get_running_loop())
        taskcontext.set("req_id", "1")
        SPAN.set("a request's")
        await self.follow_live()
        self.assertEqual((self.store.context, self.store.span), ({}, "none"))

    async def test_an_idle_follower_gets_an_empty_batch_from_time_to_time(self) -> None:
        self.patch(HEARTBEAT=0.005)
        follower = await self.follow(None)
        self.assertEqual([await follower.batch() for _ in range(4)], [[], [], [], []])
        await self.write()
        self.assertEqual([b for b in [await follower.batch(), await follower.batch()] if b], [[1]])

    async def test_an_idle_follower_costs_no_more_the_longer_it_waits(self) -> None:
        self.patch(HEARTBEAT=0.001)
        follower = await self.follow(None)
        for _ in range(20):
            await follower.batch()
        self.assertLessEqual(len(self.feed._waiting), 1)

    async def test_writes_of_other_processes_are_polled_for(self) -> None:
        self.patch(POLL_INTERVAL=0.005)
        follower = await self.follow(None)
        await follower.until_empty()
        await self.write(wake=False)
        self.assertEqual(await follower.batch(), [1])

    def test_it_polls_often_enough_for_a_second(self) -> None:
        self.assertLessEqual(changes.POLL_INTERVAL, 0.5)

    async def test_who_falls_too_far_behind_is_dropped_and_can_resume(self) -> None:
        slow, quick = await self.follow_live(), await self.follow_live()
        for _ in range(BACKLOG + 1):
            await self.write()
            await quick.batch()
        self.assertIsNone(await slow.batch_or_end())
        await self.write()
        seen = quick.revision
        self.assertEqual(await quick.batch(), [seen + 1])
        again = await self.follow(slow.revision)
        self.assertEqual(await again.until_empty(), list(range(slow.revision + 1, seen + 2)))

    async def test_who_is_as_far_behind_as_allowed_is_not(self) -> None:
        slow, quick = await self.follow_live(), await self.follow_live()
        for _ in range(BACKLOG - 1):  # after the one for which `quick` waited
            await self.write()
            await quick.batch()
        seen = slow.revision
        self.assertEqual(await slow.batch(), list(range(seen + 1, quick.revision + 1)))

    async def test_many_changes_at_once_do_not_drop_who_waits_for_them(self) -> None:
        """A store that answers without a pause must not keep the followers from their turn."""
        follower = await self.follow(None)
        await follower.until_empty()
        waiting = asyncio.create_task(follower.batches_until(4 * BACKLOG))
        await spin()
        await self.write(4 * BACKLOG)
        self.assertEqual(await waiting, list(range(1, 4 * BACKLOG + 1)))

    async def test_more_changes_than_are_read_at_once_come_without_a_poll(self) -> None:
        self.patch(POLL_INTERVAL=60)
        follower = await self.follow(None)
        await follower.until_empty()
        waiting = asyncio.create_task(follower.batches_until(4 * BACKLOG))
        await spin()
        await self.write(4 * BACKLOG)
        async with asyncio.timeout(30):  # in which heartbeats come, but no poll
            self.assertEqual(await waiting, list(range(1, 4 * BACKLOG + 1)))

    async def test_a_store_that_is_away_for_a_while_costs_nothing(self) -> None:
        line, _ = await self.lines_of_outage(StoreUnavailableError("away"))
        self.assertEqual(line.level, "WARNING")
        self.assertEqual(line.values, {"message": "CHANGES UNAVAILABLE", "reason": "away"})

    async def test_an_error_that_nobody_foresaw_is_reported_and_followers_go_on(self) -> None:
        line, _ = await self.lines_of_outage(RuntimeError("a bug"))
        self.assertEqual(line.level, "ERROR")
        self.assertIn("RuntimeError: a bug", line.values["trace"])

    async def test_each_outage_is_logged_once_when_it_begins_and_once_when_it_ends(self) -> None:
        self.patch(POLL_INTERVAL=0.001)
        follower = await self.follow(None)
        await follower.until_empty()
        for outage in (1, 2):
            await self.outage(follower, StoreUnavailableError("away"))
            self.assertEqual(
                [line.values["message"] for line in self.journal.lines],
                ["CHANGES UNAVAILABLE", "CHANGES AVAILABLE"] * outage)
            self.assertEqual(self.journal.lines[-1].level, "INFO")
            self.assertGreater(float(self.journal.lines[-1].values["seconds"]), 0)

    async def lines_of_outage(self, error: Exception) -> list[Line]:
        """Let the store fail for a while; return what was logged."""
        self.patch(POLL_INTERVAL=0.005)
        follower = await self.follow(None)
        await follower.until_empty()
        await self.outage(follower, error)
        return self.journal.lines

    async def outage(self, follower: "Follower", error: Exception) -> None:
        """Let the store fail for several polls, during which it is written to; see it all after."""
        self.store.broken, failed = error, self.store.failures + 5
        while self.store.failures < failed:
            await asyncio.sleep(0)
        await self.write(wake=False)
        self.store.broken = None
        self.assertEqual(await follower.batch(), [self.count])
        await spin()  # the reader's turn comes after the followers'

    async def test_a_store_that_is_away_at_first_can_be_followed_later(self) -> None:
        self.store.broken = StoreUnavailableError("away")
        for since in (None, 0):
            with self.assertRaises(StoreUnavailableError):
                await (await self.follow(since)).batch()
        self.store.broken = None
        await self.write()
        self.assertEqual(await (await self.follow(0)).batch(), [1])

    async def test_changes_that_are_not_kept_are_an_error(self) -> None:
        with self.assertRaises(ChangesExpiredError):
            await (await self.follow(1)).batch()
        await self.assert_reader_ends()

    async def test_changes_that_were_forgotten_meanwhile_end_the_followers(self) -> None:
        """The changes they missed cannot be sent: they learn of it when they come back."""
        follower = await self.follow_live()
        self.store.expired = True
        await self.write()
        self.assertIsNone(await follower.batch_or_end())
        self.store.expired = False
        again = await self.follow(None)
        await again.until_empty()
        await self.write()
        self.assertEqual(await again.batch(), [3])

    async def test_the_reader_ends_when_nobody_follows_and_begins_anew(self) -> None:
        for expected in (1, 5):
            follower = await self.follow(None)
            await follower.until_empty()
            await self.write()
            self.assertEqual(await follower.batch(), [expected])
            await follower.close()
            await self.assert_reader_ends()
            reads = self.store.reads
            await self.write(3)
            await spin()
            self.assertEqual(self.store.reads, reads)

    async def assert_reader_ends(self) -> None:
        """The reader, if there is one, ends by itself."""
        if self.feed._reader is not None:
            await asyncio.wait_for(asyncio.shield(self.feed._reader), 30)

    async def test_they_end_when_it_stops(self) -> None:
        followers = [await self.follow(None) for _ in range(3)]
        for follower in followers:
            await follower.until_empty()
        waiting = asyncio.create_task(followers[0].batch_or_end())
        await spin()
        await self.feed.stop()
        self.assertIsNone(await waiting)
        for follower in followers[1:]:
            self.assertIsNone(await follower.batch_or_end())
        await self.feed.stop()

    async def test_who_is_catching_up_when_it_stops_gets_no_further_page(self) -> None:
        self.patch(PAGE=2)
        await self.write(100)
        follower = await self.follow(0)
        self.assertEqual(await follower.batch(), [1, 2])
        await self.feed.stop()
        self.assertIsNone(await follower.batch_or_end())

    async def test_a_page_that_is_being_read_when_it_stops_is_not_given(self) -> None:
        await self.write(2)
        self.store.slow = asyncio.Event()
        follower = await self.follow(0)
        waiting = asyncio.create_task(follower.batch_or_end())
        while not self.store.reads:
            await asyncio.sleep(0)
        await self.feed.stop()
        self.store.slow.set()
        self.assertIsNone(await waiting)

    async def test_it_reads_no_more_once_it_has_stopped(self) -> None:
        """So that the store can be closed then."""
        follower = await self.follow(None)
        await follower.until_empty()
        waiting = asyncio.create_task(follower.batch_or_end())
        self.store.slow = asyncio.Event()
        await self.write()
        while not self.store.reading:
            await asyncio.sleep(0)
        await self.feed.stop()
        self.assertEqual(self.store.reading, 0)
        self.assertIsNone(await waiting)

    async def test_who_was_about_to_follow_when_it_stops_has_nothing_read(self) -> None:
        self.store.slow_revision, self.store.slow = asyncio.Event(), asyncio.Event()
        follower = await self.follow(0)
        waiting = asyncio.create_task(follower.batch_or_end())
        await spin()
        await self.feed.stop()
        self.store.broken = StoreUnavailableError("it is closed")
        self.store.slow_revision.set()
        await spin()
        self.store.slow.set()
        self.assertIsNone(await waiting)
        await self.assert_reader_ends()
        self.assertEqual(self.journal.lines, [])

    async def test_who_comes_when_it_has_stopped_gets_nothing(self) -> None:
        await self.write(2)
        await self.feed.stop()
        for since in (None, 0):
            follower = await self.follow(since)
            self.assertIsNone(await follower.batch_or_end())
        await self.assert_reader_ends()


class Follower:
    """Reads batches as lists of revisions."""

    def __init__(self, batches: AsyncGenerator[Sequence[Change], None]) -> None:
        self._batches = batches
        self.last: Sequence[Change] = ()
        self.revision = 0

    async def batch_or_end(self) -> list[int] | None:
        """Return the next batch; None at the end."""
        try:
            async with asyncio.timeout(30):
                self.last = await anext(self._batches)
        except StopAsyncIteration:
            return None
        revisions = [change.revision for change in self.last]
        self.revision = max([self.revision, *revisions])
        return revisions

    async def batch(self) -> list[int]:
        """Return the next batch."""
        if (batch := await self.batch_or_end()) is None:
            raise AssertionError("it ended")
        return batch

    async def until_empty(self) -> list[int]:
        """Return what comes before an empty batch."""
        seen: list[int] = []
        while batch := await self.batch():
            seen += batch
        return seen

    async def batches_until(self, revision: int) -> list[int]:
        """Return what comes up to a revision."""
        seen: list[int] = []
        while self.revision < revision:
            seen += await self.batch()
        return seen

    async def close(self) -> None:
        """Leave."""
        with contextlib.suppress(RuntimeError):  # where it is waiting for a batch
            await self._batches.aclose()


async def spin(times: int = 20) -> None:
    """Let the others do what they can do without waiting."""
    for _ in range(times):
        await asyncio.sleep(0)


if __name__ == "__main__":
    unittest.main()
