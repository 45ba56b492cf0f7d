"""The service's clock is wrong, and is set right: a day back, a year ahead (RELIABILITY.md 12).

libfaketime (Debian: faketime) shows the service another time than the system's, PostgreSQL the system's.
"""

import json
import re
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path

from tests.contract import quick_folder
from tests.helpers import postgres
from tests.helpers.processes import SERVER, ServiceProcess
from tests.helpers.restarts import Answer, Client, task_db
from tests.helpers.running import write_config

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)

YEAR, DAY = "+365d", "-1d"
STEPS = ("+0d", YEAR, "+0d", DAY, "+0d")
"""What is added to the system's time, one after the other."""

TASKS = 3
"""How many tasks there are from each step."""


@unittest.skipIf(LIBRARY is None, "libfaketime is not installed (Debian: faketime)")
class ClockCase(unittest.TestCase):

    engine: str
    keeps_history = True
    """Whether deletions and keys outlive the process."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))
        self.config = write_config(self.folder, task_db(self.engine, self.folder))
        self.offset = self.folder / "offset"
        self.service: ServiceProcess | None = None
        self.addCleanup(self.stop)
        self.revisions: list[int] = []
        self.ids: list[str] = []

    def start(self) -> None:
        """Start the service, which sees the time that the file says."""
        self.service = ServiceProcess(
            [*SERVER, "--config", self.config, "--port", "0"], variables={
                "LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(self.offset),
                "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"})
        self.client = Client(self.service.port)

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self.service is not None:
            self.client.close()
            self.assertEqual(self.service.stop(), 0)
            self.service = None

    def step(self, offset: str, restart: bool) -> None:
        """Set the service's clock, while it runs or while it does not."""
        if restart:
            self.stop()
        self.offset.write_text(offset + "\n", "ascii")
        if self.service is None:
            self.start()

    def ask(self, status: int, method: str, path: str, body: object = None, /, **headers: str) -> Answer:
        """Ask for something; it has to have this status."""
        answer = self.client.ask(method, path, body, **headers)
        self.assertEqual(answer.status, status, (method, path, answer.body))
        return answer

    def created(self, key: str) -> str:
        """Create a task with a key, twice; return its path."""
        answer, again = [self.ask(201, "POST", "/tasks", {"title": "t"}, Idempotency_Key=key) for _ in range(2)]
        path: str = answer.headers["Location"]
        self.assertEqual((again.headers["Location"], again.headers["Idempotent-Replayed"]), (path, "true"))
        self.note(answer.revision)
        self.assertGreater(path, max(self.ids, default=""), "ids are in the order of creation")
        self.ids.append(path)
        return path

    def note(self, revision: int) -> None:
        """Note a revision, which is greater than all before."""
        self.assertGreater(revision, max(self.revisions, default=0))
        self.revisions.append(revision)

    def write(self, name: str) -> str:
        """Create tasks and write them on conditions; return the path of one that stays as it is."""
        kept, written, *_ = [self.created(f"{name}-{number}") for number in range(TASKS)]
        task = self.ask(200, "GET", written)
        date, modified = (parsedate_to_datetime(task.headers[field]) for field in ("Date", "Last-Modified"))
        self.assertLessEqual(modified, date, "RFC 9110 §8.8.2.1")
        listed = self.ask(200, "GET", "/tasks?limit=1")
        self.ask(304, "GET", "/tasks?limit=1", If_None_Match=listed.headers["ETag"])
        tag = task.headers["ETag"]
        self.note(self.ask(204, "PUT", written, {"title": "u"}, If_Match=tag).revision)
        self.ask(412, "PUT", written, {"title": "v"}, If_Match=tag)
        self.ask(200, "GET", "/tasks?limit=1", If_None_Match=listed.headers["ETag"])
        return kept

    def changed(self, since: int) -> list[str]:
        """Return the ids of the changes since a revision."""
        answer = self.ask(200, "GET", f"/changes?since={since}&limit=1000")
        return [change["id"] for change in answer.json["changes"]]

    def walk(self, target: str | None) -> Iterator[str]:
        """Give the ids of a list, page by page."""
        while target is not None:
            answer = self.ask(200, "GET", target, Accept="application/x-ndjson")
            yield from (f"/tasks/{json.loads(line)['id']}" for line in answer.body.splitlines())
            link = re.fullmatch('<(.*)>; rel="next"', answer.headers["Link"] or "")
            target = link and link[1]

    @contextmanager
    def across(self, sort: str) -> Iterator[None]:
        """Begin a walk before the block, and end it after that."""
        walk = self.walk(f"/tasks?limit=2&sort={sort}")
        before = set(self.ids)
        seen = [next(walk), next(walk)]
        yield
        seen += walk
        self.assertEqual(len(seen), len(set(seen)))
        self.assertLessEqual(before, set(seen))

    def check(self, restart: bool) -> None:
        """Step, and write after each step."""
        self.step(STEPS[0], restart)
        kept = {0: self.write("0")}
        for number, offset in enumerate(STEPS[1:], 1):
            since = self.revisions[-1]
            with self.across("created"), self.across("updated"):
                self.step(offset, restart)
                kept[number] = self.write(f"{number}")
            self.assertEqual(set(self.walk("/tasks?limit=4&sort=-updated")), set(self.ids))
            if self.keeps_history or not restart:
                self.assertEqual(
                    sorted(self.changed(since)), sorted(path.removeprefix("/tasks/") for path in self.ids[-TASKS:]))
                self.deleted(offset)
            answer = self.ask(201, "POST", "/tasks", {"title": "t"}, Idempotency_Key=f"{number}-0")
            self.assertEqual(answer.headers["Location"], kept[number])

    def deleted(self, offset: str) -> None:
        """Delete a task: it is among the changes, also after a clock that was ahead is set right."""
        since = self.revisions[-1]
        path = self.created(f"deleted-{len(self.revisions)}")
        self.ask(204, "DELETE", path)
        self.ids.remove(path)
        self.assertEqual(self.changed(since), [path.removeprefix("/tasks/")])
        last = self.ask(200, "GET", "/changes?limit=1000").json["revision"]
        self.note(last)
        if offset == YEAR:
            self.ahead = last

    def test_steps_while_it_runs(self) -> None:
        self.check(restart=False)
        self.ask(410, "GET", f"/changes?since={self.ahead - 1}")

    def test_steps_over_a_restart(self) -> None:
        self.check(restart=True)
        if self.keeps_history:
            self.ask(410, "GET", f"/changes?since={self.ahead - 1}")

    def test_a_key_of_a_year_ahead_is_not_kept_for_a_year(self) -> None:
        for offset, replayed in (("+0d", None), (DAY, "true"), (YEAR, None), ("+0d", None), ("+0d", "true")):
            self.step(offset, restart=False)
            answer = self.ask(201, "POST", "/tasks", {"title": "t"}, Idempotency_Key="one")
            self.assertEqual(answer.headers["Idempotent-Replayed"], replayed, offset)


class ClockOnFilesTest(ClockCase):

    engine = "fs"
    keeps_history = False


class ClockOnSqliteTest(ClockCase):

    engine = "sqlite"


@unittest.skipIf(postgres.available() is not None, postgres.available() or "")
class ClockOnPostgresTest(ClockCase):

    engine = "postgres"


del ClockCase  # it is no test by itself


if __name__ == "__main__":
    unittest.main()
