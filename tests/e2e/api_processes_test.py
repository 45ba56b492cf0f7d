"""Two service processes on one store: each sees at once what the other wrote, in one order."""

import asyncio
import json
import tempfile
import time
import unittest
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tornado.httpclient import HTTPResponse

from tests.contract import quick_folder
from tests.helpers import postgres
from tests.helpers.api import EventStream, Request, all_at_once, serving
from tests.helpers.app import ENGINES
from tests.helpers.processes import ServiceProcess
from tests.helpers.timing import at_most


class TwoProcessesCase(unittest.IsolatedAsyncioTestCase):
    """Two processes on one store, which the tests of a class share."""

    engine: str
    task_db: Mapping[str, Any]
    first: ServiceProcess
    second: ServiceProcess

    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(cls.enterClassContext(quick_folder()))
        cls.task_db = ENGINES[cls.engine](folder)
        cls.first, cls.second = (
            cls.enterClassContext(serving(cls.task_db, folder)) for _ in range(2))

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would warn of every slow step

    async def ask(
        self, service: ServiceProcess, method: str, path: str, body: str | None = None,
        **headers: str
    ) -> HTTPResponse:
        """Send a request to one of the two; `A_b` is the header A-b."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        [answer] = await all_at_once([Request(service.url + path, method, body, named)])
        return answer

    async def create(self, service: ServiceProcess, title: str = "a") -> str:
        """Create a task by one of the two, and return its path."""
        answer = await self.ask(service, "POST", "/tasks", json.dumps({"title": title}))
        return answer.headers["Location"]

    async def race(
        self, method: str, path: str, count: int, headers: Mapping[str, str]
    ) -> list[HTTPResponse]:
        """Send requests that differ in their titles, half of them to each, all at once."""
        return await all_at_once([
            Request((self.first, self.second)[number % 2].url + path, method,
                    '{"title": "%d"}' % number, headers)
            for number in range(count)])

    async def listen(self, service: ServiceProcess, **headers: str) -> EventStream:
        """Open an event stream that is there: its beginning has come."""
        stream = await EventStream.open(service.port, **headers)
        self.addAsyncCleanup(stream.close)
        await stream.block()
        return stream


class SharedStoreTests(TwoProcessesCase):

    async def test_what_one_acknowledged_the_other_has(self) -> None:
        for writer, reader in ((self.first, self.second), (self.second, self.first)):
            path = await self.create(writer)
            task = await self.ask(reader, "GET", path)
            listed = await self.ask(reader, "GET", "/tasks?sort=-created&limit=1")
            self.assertEqual([f"/tasks/{task_id}" for task_id in json.loads(listed.body)], [path])
            self.assertEqual(listed.headers["ETag"], f"W/{task.headers['ETag']}")
            known = {"If_None_Match": listed.headers["ETag"]}
            await self.ask(writer, "DELETE", path, If_Match=task.headers["ETag"])
            self.assertEqual((await self.ask(reader, "GET", path)).code, 404)
            self.assertEqual((await self.ask(reader, "GET", "/tasks?limit=1", **known)).code, 200)

    async def test_a_stream_of_one_has_the_writes_of_the_other_within_a_second(self) -> None:
        for writer, reader in ((self.first, self.second), (self.second, self.first)):
            stream = await self.listen(reader)
            await stream.block()
            for _ in range(3):
                path = await self.create(writer)
                written = time.monotonic()
                change = await stream.change()
                self.assertLess(time.monotonic() - written, at_most(1))
                self.assertEqual(f"/tasks/{change['id']}", path)

    async def test_a_stream_goes_on_at_the_other_where_it_was(self) -> None:
        stream = await self.listen(self.first)
        paths = [await self.create(self.second), await self.create(self.first)]
        [change] = await stream.changes(1)
        self.assertEqual(f"/tasks/{change['id']}", paths[0])
        other = await self.listen(self.second, Last_Event_ID=stream.last_id or "")
        [change] = await other.changes(1)
        self.assertEqual(f"/tasks/{change['id']}", paths[1])

    async def test_of_32_writers_with_one_tag_at_both_exactly_one_wins(self) -> None:
        for _ in range(3):
            path = await self.create(self.first)
            tag = (await self.ask(self.second, "HEAD", path)).headers["ETag"]
            answers = await self.race("PUT", path, 32, {"If-Match": tag})
            codes = [answer.code for answer in answers]
            self.assertEqual(sorted(codes), [204] + [412] * 31)
            winner = codes.index(204)
            for service in (self.first, self.second):
                task = await self.ask(service, "GET", path)
                self.assertEqual(task.body, b'{"title": "%d"}' % winner)
                self.assertEqual({task.headers["ETag"]}, {a.headers["ETag"] for a in answers})

    async def test_one_key_at_both_makes_one_task(self) -> None:
        path = await self.create(self.first)
        answers = await all_at_once([
            Request(service.url + "/tasks", "POST", '{"title": "once"}', {"Idempotency-Key": path})
            for service in [self.first, self.second] * 8])
        self.assertEqual({answer.code for answer in answers}, {201})
        self.assertEqual(len({(a.headers["Location"], a.headers["ETag"]) for a in answers}), 1)
        self.assertEqual(
            sum("Idempotent-Replayed" not in answer.headers for answer in answers), 1)
        found = json.loads((await self.ask(self.first, "GET", "/tasks?q=once")).body)
        self.assertEqual(len(found), 1)

    async def test_revisions_of_both_are_in_one_order(self) -> None:
        answers = await self.race("POST", "/tasks", 24, {})
        tags = [answer.headers["ETag"] for answer in answers]
        self.assertEqual(len(set(tags)), 24)
        since = min(int(tag[1:-1]) for tag in tags) - 1
        for service in (self.first, self.second):
            page = json.loads((await self.ask(service, "GET", f"/changes?since={since}")).body)
            reported = [change["revision"] for change in page["changes"]]
            self.assertEqual(reported, sorted(int(tag[1:-1]) for tag in tags))

    async def test_one_ends_its_streams_when_it_goes_and_they_go_on_at_the_other(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        third = self.enterContext(serving(self.task_db, folder))
        stream = await self.listen(third)
        await stream.block()
        path = await self.create(third)
        self.assertEqual(f"/tasks/{(await stream.change())['id']}", path)
        code = await asyncio.to_thread(third.stop)
        self.assertEqual(code, 0)
        self.assertIsNone(await stream.change(), "it did not end, but broke off")
        other = await self.listen(self.first, Last_Event_ID=stream.last_id or "")
        path = await self.create(self.second)
        self.assertEqual(f"/tasks/{(await other.change())['id']}", path)

    async def test_a_body_beyond_the_limit_is_413(self) -> None:
        for size, code in ((65_536, 201), (65_537, 413)):
            body = '{"title": "a", "description": "%s"}' % ("x" * (size - 33))
            answer = await self.ask(self.first, "POST", "/tasks", body)
            self.assertEqual(answer.code, code)


class TwoProcessesOnSqliteTest(SharedStoreTests):

    engine = "sqlite"


@unittest.skipIf(postgres.available() is not None, postgres.available() or "")
class TwoProcessesOnPostgresTest(SharedStoreTests):

    engine = "postgres"


del TwoProcessesCase, SharedStoreTests  # they are tests only with an engine

if __name__ == "__main__":
    unittest.main()
