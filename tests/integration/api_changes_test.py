"""The changes over HTTP: as JSON, and live."""

import asyncio
import json
import random
import unittest
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import tornado.testing
from tornado.httpclient import HTTPResponse

from taskservice import changes
from taskservice.changes import ChangeFeed
from taskservice.config import Config, HttpConfig
from taskservice.datamodel import TaskEntry
from tests.helpers.api import EVENT_STREAM, EventStream, PROBLEM, until
from tests.helpers.app import AppTestCase, later, on_every_engine


@on_every_engine
class ChangesTest(AppTestCase):

    def changes(self, query: str = "") -> Any:
        """Read the changes."""
        answer = self.ask("GET", f"/changes?{query}")
        self.assertEqual(
            (answer.code, answer.headers["Content-Type"]), (200, "application/json; charset=UTF-8"))
        return json.loads(answer.body)

    def listed(self, query: str = "") -> list[tuple[str, str | None]]:
        """Return path and title (None: deleted) of each change."""
        return [(f"/tasks/{change['id']}", change["task"] and change["task"]["title"])
                for change in self.changes(query)["changes"]]

    def revision(self) -> int:
        """Return the store's revision."""
        return int(self.etag("/tasks")[3:-1])

    def test_each_task_is_named_by_its_latest_write_in_order(self) -> None:
        a, b, c = (self.create('{"title": "%s"}' % title) for title in "abc")
        self.ask("PUT", a, '{"title": "A"}')
        self.ask("DELETE", b)
        self.assertEqual(self.listed(), [(c, "c"), (a, "A"), (b, None)])
        page = self.changes()
        revisions = [change["revision"] for change in page["changes"]]
        self.assertEqual(revisions, sorted(revisions))
        self.assertEqual(page["revision"], self.revision())
        self.assertEqual(revisions[-1], self.revision())
        self.assertEqual(f'"{revisions[1]}"', self.etag(a))
        self.assertEqual(page["changes"][0].keys(), {"revision", "id", "task"})

    def test_they_go_on_from_any_revision(self) -> None:
        start = self.revision()
        tags = [int(self.etag(self.create())[1:-1]) for _ in range(4)]
        for number, since in enumerate([start, *tags]):
            reported = self.changes(f"since={since}")
            self.assertEqual([change["revision"] for change in reported["changes"]], tags[number:])
            self.assertEqual(reported["revision"], tags[-1])

    def test_they_come_in_pages(self) -> None:
        paths = [self.create('{"title": "%d"}' % number) for number in range(5)]
        self.ask("DELETE", paths[0])
        expected = self.changes()["changes"]
        since, pages = self.changes("limit=2")["revision"], [self.changes("limit=2")["changes"]]
        while page := self.changes(f"since={since}&limit=2"):
            if not page["changes"]:
                break
            pages.append(page["changes"])
            since = page["revision"]
        self.assertEqual([len(page) for page in pages], [2, 2, 1])
        self.assertEqual(sum(pages, []), expected)
        self.assertEqual(since, self.revision())

    def test_what_was_deleted_and_created_again_is_there(self) -> None:
        for title in "ab":
            self.ask("PUT", "/tasks/x", '{"title": "%s"}' % title, If_None_Match="*")
            self.ask("DELETE", "/tasks/x")
        self.assertEqual(self.listed(), [("/tasks/x", None)])
        self.ask("PUT", "/tasks/x", '{"title": "c"}', If_None_Match="*")
        self.assertEqual(self.listed(), [("/tasks/x", "c")])

    def test_a_new_store_has_none(self) -> None:
        self.assertEqual(self.changes(), {"changes": [], "revision": self.revision()})

    def test_a_revision_that_is_yet_to_come_is_gone(self) -> None:
        self.create()
        for since in (self.revision() + 1, 2 ** 63 - 1):
            for path, headers in (
                    (f"/changes?since={since}", {"Accept": PROBLEM}),
                    (f"/changes?since={since}", {"Accept": EVENT_STREAM}),
                    ("/changes", {"Accept": EVENT_STREAM, "Last_Event_ID": str(since)})):
                answer = self.ask("GET", path, None, **headers)
                self.assertEqual((answer.code, answer.reason), (410, "Gone"))

    def test_a_bad_parameter_is_named(self) -> None:
        for query, name in (("since=-1", "since"), ("since=x", "since"), ("since=", "since"),
                            ("since=1&since=1", "since"), ("since=9223372036854775808", "since"),
                            ("limit=0", "limit"), ("limit=1001", "limit"), ("q=a", "q"),
                            ("cursor=a", "cursor")):
            for accept in ("*/*", EVENT_STREAM):
                answer = self.ask("GET", f"/changes?{query}", Accept=accept)
                self.assertEqual(answer.code, 400)
                self.assertRegex(json.loads(answer.body)["message"], rf"\A{name}: ")

    def test_head_has_no_body(self) -> None:
        for accept in ("*/*", EVENT_STREAM):
            answer = self.ask("HEAD", "/changes", Accept=accept)
            self.assertEqual((answer.code, answer.body), (200, b""))
            self.assertIn("Accept", answer.headers["Vary"].split(", "))


class ForgottenChangesTest(AppTestCase):
    """On fs what is kept begins with the process."""

    engine = "fs"

    def test_changes_of_before_are_gone(self) -> None:
        for since in (0, 1):
            for accept in ("*/*", EVENT_STREAM):
                answer = self.ask("GET", f"/changes?since={since}", Accept=accept)
                self.assertEqual(answer.code, 410)
        self.assertEqual(self.ask("GET", "/changes").code, 200)


@on_every_engine
class OldDeletionsTest(AppTestCase):
    """A deletion is kept for a week; a client that asks for older changes gets an error."""

    def test_changes_since_before_a_deletion_that_is_forgotten_are_gone(self) -> None:
        path = self.create()
        before = self.revision()
        self.ask("DELETE", path)
        deleted = self.revision()
        with later(6 * 24 * 3600):
            self.create()
            self.assertEqual(self.ask("GET", f"/changes?since={before}").code, 200)
        with later(8 * 24 * 3600):
            self.create()  # old deletions are forgotten with a write
            for accept in ("*/*", EVENT_STREAM):
                answer = self.ask("GET", f"/changes?since={before}", Accept=accept)
                self.assertEqual((answer.code, answer.reason), (410, "Gone"))
            self.assertEqual(self.ask("GET", f"/changes?since={deleted}").code, 200)

    def revision(self) -> int:
        """Return the store's revision."""
        return int(json.loads(self.ask("GET", "/changes").body)["revision"])


class StreamCase(AppTestCase):
    """Clients of event streams, in the loop that serves them."""

    async def listen(self, path: str = "/changes", **headers: str) -> EventStream:
        """Open a stream that is closed in the end."""
        stream = await EventStream.open(self.get_http_port(), path, **headers)
        self.streams.append(stream)
        return stream

    async def write(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> HTTPResponse:
        """Send a request."""
        answer = await self.http_client.fetch(
            self.get_url(path), method=method, body=body, raise_error=False, headers=headers,
            allow_nonstandard_methods=True)
        self.assertLess(answer.code, 300)
        return answer

    async def add(self, title: str = "a") -> tuple[str, int]:
        """Create a task, and return its id and revision."""
        answer = await self.write("POST", "/tasks", json.dumps({"title": title}))
        return answer.headers["Location"].removeprefix("/tasks/"), int(answer.headers["ETag"][1:-1])

    async def revision(self) -> int:
        """Return the store's revision."""
        return await self.service.revision()

    def setUp(self) -> None:
        super().setUp()
        self.streams: list[EventStream] = []

    def tearDown(self) -> None:
        async def close() -> None:
            for stream in self.streams:
                await stream.close()
        self.io_loop.run_sync(close)
        super().tearDown()


@on_every_engine
class StreamTest(StreamCase):

    @tornado.testing.gen_test(timeout=30)
    async def test_without_a_revision_it_starts_now(self) -> None:
        await self.add("before")
        now = await self.revision()
        stream = await self.listen()
        self.assertEqual((stream.status, stream.headers["Content-Type"]), (200, EVENT_STREAM))
        self.assertEqual(stream.headers["X-Accel-Buffering"], "no", "nginx would hold the events back")
        self.assertEqual(await stream.block(), {"retry": "1000", "id": str(now)})
        self.assertEqual(await stream.block(), {"": ""})  # a comment: it is there
        task_id, revision = await self.add("after")
        self.assertEqual(await stream.block(), {
            "id": str(revision),
            "data": '{"revision": %d, "id": "%s", "task": {"title": "after"}}' % (
                revision, task_id)})

    @tornado.testing.gen_test(timeout=30)
    async def test_each_write_is_an_event_and_a_deletion_has_no_task(self) -> None:
        streams = [await self.listen(), await self.listen("/changes/", Accept_Encoding="gzip")]
        for stream in streams:
            await stream.block()
            await stream.block()
        task_id, first = await self.add("a")
        changed = await self.write("PUT", f"/tasks/{task_id}", '{"title": "b"}')
        # Each is read before the next write: what is superseded may be left out.
        for stream in streams:
            self.assertNotIn("Content-Encoding", stream.headers)
            seen = await stream.change()
            while seen["revision"] < int(changed.headers["ETag"][1:-1]):
                self.assertEqual(seen, {"revision": first, "id": task_id, "task": {"title": "a"}})
                seen = await stream.change()
            self.assertEqual((seen["id"], seen["task"]), (task_id, {"title": "b"}))
        await self.write("DELETE", f"/tasks/{task_id}")
        for stream in streams:
            self.assertEqual(await stream.changes(1), [
                {"revision": await self.revision(), "id": task_id, "task": None}])

    @tornado.testing.gen_test(timeout=30)
    async def test_it_resumes_where_it_was(self) -> None:
        """By Last-Event-ID, else by since, the former counting for more."""
        made = [await self.add(title) for title in "abc"]
        start = made[0][1]
        for path, headers in (
                (f"/changes?since={start}", {}), ("/changes", {"Last_Event_ID": str(start)}),
                (f"/changes?since={start + 1}", {"Last_Event_ID": str(start)}),
                (f"/changes?since={start}", {"Last_Event_ID": ""})):
            with self.subTest(path, headers=headers):
                stream = await self.listen(path, **headers)
                self.assertEqual(await stream.block(), {"retry": "1000", "id": str(start)})
                self.assertEqual(
                    [(change["id"], change["revision"])
                     for change in await stream.changes(len(made) - 1)], made[1:])
                made.append(await self.add())  # and it goes on, live
                [change] = await stream.changes(1)
                self.assertEqual((change["id"], change["revision"]), made[-1])

    @tornado.testing.gen_test(timeout=30)
    async def test_what_no_event_had_as_its_id_is_refused(self) -> None:
        for bad in ("x", "-1", "1.0", "9223372036854775808"):
            stream = await self.listen(Last_Event_ID=bad)
            self.assertEqual(stream.status, 400)
            self.assertIn(b"Last-Event-ID: ", await stream.body())

    @tornado.testing.gen_test(timeout=60)
    async def test_who_comes_and_goes_misses_nothing_and_sees_nothing_twice(self) -> None:
        written: dict[str, int] = {}

        async def write() -> None:
            for number in range(40):
                task_id, written[task_id] = await self.add()
                if number % 3 == 0:
                    answer = await self.write("PUT", f"/tasks/{task_id}", '{"title": "b"}')
                    written[task_id] = int(answer.headers["ETag"][1:-1])
            task_id, written[task_id] = await self.add("the end")

        chance = random.Random(self.engine)
        last_id = str(await self.revision())
        writing = asyncio.create_task(write())
        seen: list[tuple[int, str]] = []
        change: Any = None
        while change is None or change["task"]["title"] != "the end":
            stream = await self.listen(Last_Event_ID=last_id)
            for _ in range(chance.randrange(1, 5)):
                change = await stream.change()
                seen.append((change["revision"], change["id"]))
                if change["task"]["title"] == "the end":
                    break
            last_id = stream.last_id or ""
            await stream.close()
        await writing
        self.assertEqual(seen, sorted(set(seen)))
        self.assertEqual({task_id: revision for revision, task_id in seen}, written)

    @tornado.testing.gen_test(timeout=30)
    async def test_many_changes_come_in_their_order(self) -> None:
        since = await self.revision()
        entries = [(None, TaskEntry(str(number))) for number in range(2_500)]
        stream = await self.listen(f"/changes?since={since}")
        created = await self.service.create_tasks(entries)
        titles = [change["task"]["title"] for change in await stream.changes(2_500)]
        self.assertEqual(titles, [str(number) for number in range(2_500)])
        again = await self.listen(f"/changes?since={since}")
        self.assertEqual(
            [change["id"] for change in await again.changes(2_500)],
            [task_id for task_id, _ in created.tasks])


class ManyStreamsTest(StreamCase):
    """More streams than there may be."""

    def config(self) -> Config:
        """Return a config that allows two."""
        return replace(super().config(), http=HttpConfig(max_event_streams=2))

    @tornado.testing.gen_test(timeout=30)
    async def test_one_too_many_is_refused_until_another_ends(self) -> None:
        first, _ = await self.listen(), await self.listen()
        refused = await self.listen()
        self.assertEqual((refused.status, refused.headers["Retry-After"]), (503, "1"))
        self.assertEqual(
            json.loads(await refused.body())["message"],
            "2 event streams are open already (http.max-event-streams): try again later")
        answer = await self.http_client.fetch(self.get_url("/changes"))
        self.assertEqual(answer.code, 200, "what is no event stream")
        self.assertIn(b"\ntaskservice_event_streams 2.0\n", await self.metrics())
        await first.close()
        await until(lambda: len(self.journal.responses()) > 3, "the end of the first")
        again = await self.listen()
        self.assertEqual(again.status, 200)

    async def metrics(self) -> bytes:
        """Return the metrics."""
        answer = await self.http_client.fetch(self.get_url("/metrics"))
        return bytes(answer.body)


class StreamLifeTest(StreamCase):
    """How a stream idles and ends; the same over any engine."""

    @tornado.testing.gen_test(timeout=30)
    async def test_one_that_idles_gets_signs_of_life(self) -> None:
        with patch.object(changes, "HEARTBEAT", 0.02):
            stream = await self.listen()
            await stream.block()
            for _ in range(4):
                self.assertEqual(await stream.block(), {"": ""})
            task_id, _ = await self.add()
            [change] = await stream.changes(1)
            self.assertEqual(change["id"], task_id)

    def test_it_gets_every_15_seconds(self) -> None:
        self.assertEqual(changes.HEARTBEAT, 15.0)

    @tornado.testing.gen_test(timeout=30)
    async def test_who_goes_away_while_nothing_happens_is_noticed(self) -> None:
        stream = await self.listen()
        await stream.block()
        await stream.block()
        await stream.close()
        await until(self.journal.responses, "the canonical line")
        [line] = self.journal.responses()
        self.assertEqual((line.level, line.values["status"]), ("INFO", 200))
        self.assertEqual(line.values["reason"], "the client went away")

    @tornado.testing.gen_test(timeout=30)
    async def test_who_goes_away_while_much_happens_is_noticed(self) -> None:
        stream = await self.listen()
        await stream.block()
        await self.service.create_tasks(
            [(None, TaskEntry("x" * 10_000)) for _ in range(900)])
        await stream.change()
        await stream.close()
        await until(self.journal.responses, "the canonical line")
        [line] = self.journal.responses()
        self.assertEqual((line.level, "trace" in line.values), ("INFO", False))

    @tornado.testing.gen_test(timeout=30)
    async def test_it_ends_when_the_service_goes(self) -> None:
        stream = await self.listen()
        await stream.block()
        await stream.block()
        await self.service.stop_following()
        last = await stream.block()
        assert last is not None
        self.assertEqual(list(last), ["retry"], "not all are to come back at once")
        self.assertTrue(1_000 <= int(last["retry"]) < 5_000, last)
        self.assertIsNone(await stream.block())
        again = await self.listen(Last_Event_ID=stream.last_id or "")
        self.assertIsNone(await again.change())

    @tornado.testing.gen_test(timeout=60)
    async def test_who_falls_too_far_behind_is_cut_off_and_resumes(self) -> None:
        backlog = 50
        # The limit of 1,000 is more than the buffers between server and client leave to show.
        self.service._feed = ChangeFeed(self.service._db, backlog=backlog)
        stream = await self.listen()
        await stream.block()
        await stream.block()
        made: list[str] = []
        for _ in range(8):  # more than fits between the two, which is some megabytes
            created = await self.service.create_tasks(
                [(None, TaskEntry("a", "x" * 50_000)) for _ in range(backlog)])
            made += [task_id for task_id, _ in created.tasks]
            await asyncio.sleep(0)
        seen: list[str] = []
        while (change := await stream.change()) is not None:
            seen.append(change["id"])
        self.assertLess(len(seen), len(made), "it was not cut off")
        assert stream.last_id is not None
        again = await self.listen(Last_Event_ID=stream.last_id)
        seen += [change["id"] for change in await again.changes(len(made) - len(seen))]
        self.assertEqual(seen, made)

    def test_so_far_behind_is_a_thousand_changes(self) -> None:
        self.assertEqual(self.service._feed.backlog, 1_000)

    @tornado.testing.gen_test(timeout=30)
    async def test_a_store_that_is_closed_is_503(self) -> None:
        await self.service.stop()
        stream = await self.listen()
        self.assertEqual((stream.status, stream.headers["Retry-After"]), (503, "1"))


if __name__ == "__main__":
    unittest.main()
