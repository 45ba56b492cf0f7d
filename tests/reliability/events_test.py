"""An event stream that goes on by Last-Event-ID after kill -9: no gap, and nothing twice."""

import asyncio
import http.client
import json
import random
import signal
import threading
import unittest
from pathlib import Path
from typing import Any

from tests.contract import quick_folder
from tests.helpers import postgres
from tests.helpers.api import EventStream, serving, until
from tests.helpers.app import ENGINES
from tests.helpers.processes import PATIENCE, ServiceProcess
from tests.helpers.timing import FULL

ROUNDS = 40 if FULL else 4
WRITERS = 4


class Writer(threading.Thread):
    """Creates, replaces and deletes until there is no answer; keeps what was acknowledged."""

    def __init__(self, port: int, seed: str) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection("localhost", port, timeout=PATIENCE)
        self._chance = random.Random(seed)
        self.known: dict[str, int] = {}
        """Id -> revision of its latest acknowledged write."""

    def run(self) -> None:
        """Write."""
        try:
            while True:
                self._write()
        except (OSError, http.client.HTTPException):
            self._connection.close()

    def _write(self) -> None:
        task_id = self._chance.choice([*self.known, ""][-20:])
        if not task_id or self._chance.random() < 0.3:
            answer = self._send("POST", "/tasks")
            task_id = answer.headers["Location"].removeprefix("/tasks/")
        elif self._chance.random() < 0.8:
            answer = self._send("PUT", f"/tasks/{task_id}")
        else:
            self._send("DELETE", f"/tasks/{task_id}")
            del self.known[task_id]  # the answer does not have the deletion's revision
            return
        self.known[task_id] = int(answer.headers["ETag"][1:-1])

    def _send(self, method: str, path: str) -> http.client.HTTPResponse:
        self._connection.request(method, path, None if method == "DELETE" else '{"title": "a"}')
        answer = self._connection.getresponse()
        answer.read()
        assert answer.status in (201, 204), answer.status
        return answer


class ResumedStreamCase(unittest.IsolatedAsyncioTestCase):

    engine: str

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))
        self.task_db = ENGINES[self.engine](self.folder)

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would warn of every slow step
        self.port = 0
        self.seen: list[tuple[int, str]] = []
        self.last_id = ""

    def serve(self) -> ServiceProcess:
        """Start the service, again on the port that it had."""
        service = self.enterContext(serving(self.task_db, self.folder, port=self.port))
        self.port = service.port
        return service

    async def follow(self) -> EventStream:
        """Go on with the stream."""
        stream = await EventStream.open(self.port, Last_Event_ID=self.last_id)
        self.assertEqual(stream.status, 200)
        block = await stream.block()
        assert block is not None
        self.assertEqual(block["id"], self.last_id or block["id"])
        self.last_id = block["id"]
        return stream

    async def read(self, stream: EventStream) -> None:
        """Read until the stream breaks off."""
        try:
            while (change := await stream.change()) is not None:
                self.seen.append((change["revision"], change["id"]))
                self.last_id = stream.last_id or ""
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        await stream.close()

    async def check(self) -> None:
        """Kill the service while many write and one follows, again and again."""
        chance = random.Random(self.engine)
        known: dict[str, int] = {}
        for number in range(ROUNDS):
            service = self.serve()
            reading = asyncio.create_task(self.read(await self.follow()))
            writers = [Writer(self.port, f"{number}-{name}") for name in range(WRITERS)]
            for writer in writers:
                writer.start()
            enough = len(self.seen) + chance.randrange(1, 200)
            await until(lambda: len(self.seen) >= enough, "events")
            service.process.send_signal(signal.SIGKILL)
            for writer in writers:
                await asyncio.to_thread(writer.join, PATIENCE)
                known |= writer.known
            await asyncio.wait_for(reading, PATIENCE)
        await self.compare(known)
        print(f"\n{self.engine}: {ROUNDS} kills, {len(self.seen)} events")

    async def compare(self, known: dict[str, int]) -> None:
        """The stream reported what happened."""
        service = self.serve()
        changes = await asyncio.to_thread(self.all_changes)
        reading = asyncio.create_task(self.read(await self.follow()))
        await until(lambda: self.seen[-1][0] >= changes[-1]["revision"], "the last event")
        self.assertEqual(await asyncio.to_thread(service.stop), 0)
        await reading
        self.assertEqual(self.seen, sorted(set(self.seen)), "in order, and nothing twice")
        latest = {task_id: revision for revision, task_id in self.seen}
        self.assertEqual(latest, {change["id"]: change["revision"] for change in changes})
        for task_id, revision in known.items():
            self.assertGreaterEqual(latest[task_id], revision)

    def all_changes(self) -> list[Any]:
        """Return all changes there are."""
        connection = http.client.HTTPConnection("localhost", self.port, timeout=PATIENCE)
        changes: list[Any] = []
        since = 0
        while True:
            connection.request("GET", f"/changes?since={since}")
            page = json.loads(connection.getresponse().read())
            if not page["changes"]:
                connection.close()
                return changes
            changes += page["changes"]
            since = page["revision"]


class ResumedStreamOnSqliteTest(ResumedStreamCase):

    engine = "sqlite"

    async def test_it_misses_nothing_and_repeats_nothing(self) -> None:
        await self.check()


@unittest.skipIf(postgres.available() is not None, postgres.available() or "")
class ResumedStreamOnPostgresTest(ResumedStreamCase):

    engine = "postgres"

    async def test_it_misses_nothing_and_repeats_nothing(self) -> None:
        await self.check()


if __name__ == "__main__":
    unittest.main()
