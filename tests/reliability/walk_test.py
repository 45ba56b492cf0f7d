"""A walk by cursor through very many tasks while others write: all that stays is seen once."""

import http.client
import json
import random
import threading
import unittest
from pathlib import Path

from tests.contract import quick_folder
from tests.helpers.api import NDJSON, json_lines, ndjson
from tests.helpers.app import ENGINES, on_every_engine
from tests.helpers.live import live_server
from tests.helpers.processes import PATIENCE
from tests.helpers.timing import FULL

TASKS = 100_000 if FULL else 5_000
CHURN = 10
"""One task in so many is written or deleted during the walk."""

LIMIT = 1_000 if FULL else 100
BATCH = 5_000
SORTS = ("created", "-created", "title", "-updated", "priority", "due_date")


class Client:
    """A client on a connection of its own."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("localhost", port, timeout=PATIENCE)

    def ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Send a request."""
        headers = {"Content-Type": kind, "Accept": NDJSON}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer, answer.read()


def some_task(chance: random.Random) -> dict[str, object]:
    """Return a task whose sort keys others have, too."""
    return {"title": f"t{chance.randrange(50)}", "due_date": chance.randrange(100),
            "priority": chance.choice(["urgent", "high", "normal", "low", "none"])}


class Churn(threading.Thread):
    """Replaces and deletes tasks, and creates others, until asked to end."""

    def __init__(self, port: int, ids: list[str]) -> None:
        super().__init__(daemon=True)
        self._client, self._ids = Client(port), ids
        self._chance = random.Random(len(ids))
        self.writes = 0
        self.end = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Write."""
        try:
            while not self.end.is_set():
                self._write()
                self.writes += 1
        except BaseException as error:
            self.failure = error
        self._client.connection.close()

    def _write(self) -> None:
        kind = self._chance.random()
        body = json.dumps(some_task(self._chance)).encode()
        if kind < 0.3 or not self._ids:
            answer, _ = self._client.ask("POST", "/tasks", body)
            self._ids.append(answer.headers["Location"].removeprefix("/tasks/"))
            assert answer.status == 201
            return
        number = self._chance.randrange(len(self._ids))
        if kind < 0.7:
            answer, _ = self._client.ask("PUT", f"/tasks/{self._ids[number]}", body)
        else:
            answer, _ = self._client.ask("DELETE", f"/tasks/{self._ids.pop(number)}")
        assert answer.status == 204, answer.status


@on_every_engine
class WalkTest(unittest.TestCase):

    engine = "memory"

    def setUp(self) -> None:
        folder = Path(self.enterContext(quick_folder()))
        self.service = self.enterContext(live_server(ENGINES[self.engine](folder)))
        self.client = Client(self.service.port)
        self.addCleanup(self.client.connection.close)

    def test_what_stays_is_seen_once_in_every_order(self) -> None:
        ids = self.fill()
        stay = {task_id for number, task_id in enumerate(ids) if number % CHURN}
        churn = Churn(self.service.port, [task_id for task_id in ids if task_id not in stay])
        churn.start()
        for sort in SORTS:
            with self.subTest(sort):
                seen, pages, writes = self.walk(sort), self.pages, churn.writes
                found = [task_id for task_id in seen if task_id in stay]
                self.assertEqual(len(found), len(stay))
                self.assertEqual(set(found), stay)
                self.assertGreater(pages, 10)
                self.assertGreater(churn.writes, 0)
                self.assertGreaterEqual(churn.writes, writes)
        churn.end.set()
        churn.join(PATIENCE)
        self.assertIsNone(churn.failure)
        self.assertGreater(churn.writes, len(SORTS) * 10, "hardly anything was written meanwhile")

    def fill(self) -> list[str]:
        """Create the tasks, and return their ids."""
        chance = random.Random(1)
        ids: list[str] = []
        while len(ids) < TASKS:
            body = ndjson(some_task(chance) for _ in range(min(BATCH, TASKS - len(ids))))
            answer, created = self.client.ask("POST", "/tasks", body, NDJSON)
            self.assertEqual(answer.status, 200)
            ids += [line["id"] for line in json_lines(created)]
        return ids

    def walk(self, sort: str) -> list[str]:
        """Go through all pages, and return the ids in the order in which they came."""
        seen: list[str] = []
        self.pages = 0
        target: str | None = f"/tasks?sort={sort}&limit={LIMIT}"
        while target is not None:
            answer, body = self.client.ask("GET", target)
            self.assertEqual(answer.status, 200)
            seen += [line["id"] for line in json_lines(body)]
            self.pages += 1
            link = answer.headers["Link"]
            target = None if link is None else link[1:link.index(">")]
        return seen


if __name__ == "__main__":
    unittest.main()
