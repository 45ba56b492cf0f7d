"""A process of version 1.0 and one of this version on the same store: one after the other, and beside each other.

The code of 1.0 comes from the history of this repository; a clone without it skips (`upgrade_test.py` has dumps).
"""

import io
import json
import subprocess
import tarfile
import unittest
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count, product
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

from tests.contract import quick_folder
from tests.helpers import postgres
from tests.helpers.api import MERGE_PATCH, NDJSON
from tests.helpers.processes import SERVER, ServiceProcess, run, started
from tests.helpers.raw import Peer, peer
from tests.helpers.running import running, write_config
from tests.helpers.app import ENGINES, ROOT

COMMIT = "6958a79817d82e1a8eb5f042f5b56a88966144af"
"""That of version 1.0."""

TITLES = ("Buy milk", "Cafe\u0301 au lait", "Caf\u00e9 noir", "\u0130stanbul", "x" * 600)
TASKS: list[Mapping[str, Any]] = [
    {"title": title, "priority": priority, "completed": priority == "low", "due_date": 1_800_000_000 + number}
    for number, (title, priority) in enumerate(product(TITLES, ("low", "urgent")))]
KEY = {"Idempotency_Key": '"made by 1.0"'}
WRITERS = 4


def archive(folder: Path) -> Path:
    """Unpack version 1.0, and return its folder; skips where this is no clone that has it."""
    try:
        found = subprocess.run(["git", "-C", ROOT, "archive", COMMIT, "taskservice", "schema"], capture_output=True)
    except FileNotFoundError:
        raise unittest.SkipTest("needs git") from None
    if found.returncode != 0:
        raise unittest.SkipTest(f"needs a clone with version 1.0: {found.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as tar:
        tar.extractall(folder / "version-1", filter="data")
    return folder / "version-1"


class Seen(NamedTuple):
    """What a service shows of a store."""

    tasks: dict[str, tuple[bytes, str]]
    """Id -> its JSON and its tag."""
    changes: list[Any]
    found: dict[str, list[str]]
    """Query -> the ids of its list, in order."""


def ids(client: Peer, query: str) -> list[str]:
    """Return the ids of a list, in its order."""
    status, _, body = client.ask("GET", f"/tasks{query}", Accept=NDJSON)
    assert status == 200, body
    return [json.loads(line)["id"] for line in body.splitlines()]


def see(client: Peer) -> Seen:
    """Read all that there is."""
    everything = ids(client, "")
    answers = {task_id: client.ask("GET", f"/tasks/{task_id}") for task_id in everything}
    assert {status for status, _, _ in answers.values()} == {200}
    status, _, changes = client.ask("GET", "/changes?limit=1000")
    assert status == 200, changes
    queries = ("?sort=title", "?sort=-due_date", "?priority=urgent&sort=updated", "?completed=true", "?q=MILK")
    return Seen(
        {task_id: (body, headers["etag"]) for task_id, (_, headers, body) in answers.items()},
        json.loads(changes)["changes"], {query: ids(client, query) for query in queries})


def write_until(migrated: Event, port: int, name: str) -> dict[str, tuple[int, str]]:
    """Write tasks, until the first that is refused after `migrated`; return title -> status and location."""
    answers: dict[str, tuple[int, str]] = {}
    with peer(port) as client:
        for number in count():
            over = migrated.is_set()
            title = f"{name}-{number}"
            status, headers, _ = client.ask("POST", "/tasks", json.dumps({"title": title}).encode())
            answers[title] = status, headers.get("location", "")
            if over and status != 201:
                return answers
    raise AssertionError


class Version1Case(unittest.TestCase):

    engine: str

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))
        self.version_1 = archive(self.folder)
        self.task_db = ENGINES[self.engine](self.folder)

    @contextmanager
    def old_process(self) -> Iterator[ServiceProcess]:
        """Run version 1.0 on the store."""
        path = write_config(self.folder, self.task_db)
        with started(*SERVER, "--config", path, "--port", "0", cwd=self.version_1) as service:
            yield service

    def fill(self, client: Peer) -> None:
        """Make tasks in every way that 1.0 has, change some and delete one."""
        status, _, body = client.ask(
            "POST", "/tasks", b"".join(json.dumps(task).encode() + b"\n" for task in TASKS), Content_Type=NDJSON)
        self.assertEqual(status, 201, body)
        new = {"If_None_Match": "*"}
        self.assertEqual(client.ask("PUT", "/tasks/named", b'{"title": "Named", "description": "once"}', **new)[0], 201)
        self.assertEqual(client.ask("PATCH", "/tasks/named", b'{"description": "twice"}',
                                    Content_Type=MERGE_PATCH)[0], 204)
        self.assertEqual(client.ask("PUT", "/tasks/gone", b'{"title": "Gone"}', **new)[0], 201)
        self.assertEqual(client.ask("DELETE", "/tasks/gone")[0], 204)
        status, headers, _ = client.ask("POST", "/tasks", b'{"title": "Once"}', **KEY)
        self.assertEqual(status, 201)
        self.once = headers["location"]

    def fill_by_version_1(self) -> Seen:
        """Have a process of 1.0 fill the store, and end; return what it showed."""
        with self.old_process() as service, peer(service.port) as client:
            self.fill(client)
            seen = see(client)
            self.assertEqual(service.stop(), 0)
        self.assertEqual(len(seen.tasks), len(TASKS) + 2)
        self.assertEqual(len(seen.found["?q=MILK"]), 2)
        return seen

    def check_served(self, before: Seen, *options: str) -> None:
        """Serve the store by this version: all is as it was, a key replays, and it takes writes."""
        with running(self.folder, self.task_db, *options) as service, peer(service.port) as client:
            self.assertEqual(see(client), before)
            self.assertEqual(len(ids(client, "?q=cafe")), 4, "of which 1.0 finds two")
            status, headers, _ = client.ask("POST", "/tasks", b'{"title": "Once"}', **KEY)
            self.assertEqual((status, headers["location"]), (201, self.once))
            _, tag = before.tasks["named"]
            status, headers, _ = client.ask("PUT", "/tasks/named", b'{"title": "New"}', If_Match=tag)
            self.assertEqual(status, 204)
            self.assertEqual(client.ask("GET", "/tasks/named")[1]["etag"], headers["etag"])
            self.assertEqual(service.stop(), 0)

    def check_refused(self) -> None:
        """Start 1.0 on a store of this version: it does not start, and says why in one line."""
        with running(self.folder, self.task_db) as service, peer(service.port) as client:
            before = see(client)
            self.assertEqual(service.stop(), 0)
        path = write_config(self.folder, self.task_db)
        refused = run(*SERVER, "--config", path, "--port", "0", cwd=self.version_1)
        self.assertEqual(refused.returncode, 1, refused)
        [line] = (refused.stdout + refused.stderr).splitlines()
        self.assertRegex(line, f"{self.engine} store is of version [2-9], and this taskservice knows versions up to 1")
        with running(self.folder, self.task_db) as service, peer(service.port) as client:
            self.assertEqual(see(client), before)
            self.assertEqual(service.stop(), 0)

    def test_a_store_of_1_0_is_served_as_it_was_and_not_by_1_0_any_more(self) -> None:
        self.check_served(self.fill_by_version_1())
        self.check_refused()

    def test_writes_of_1_0_while_it_is_migrated_are_there_or_refused(self) -> None:
        with self.old_process() as old:
            with peer(old.port) as one:
                self.fill(one)
            migrated = Event()
            with ThreadPoolExecutor(WRITERS) as pool:
                try:
                    writers = [pool.submit(write_until, migrated, old.port, f"{number}") for number in range(WRITERS)]
                    with running(self.folder, self.task_db) as new, peer(new.port) as two:
                        migrated.set()
                        answers = {title: answer for writer in writers for title, answer in writer.result().items()}
                        acknowledged = {title for title, (status, _) in answers.items() if status == 201}
                        self.assertGreater(len(acknowledged), WRITERS)
                        self.assertLessEqual({status for status, _ in answers.values()}, {201, 500, 503})
                        for title in acknowledged:
                            status, _, body = two.ask("GET", answers[title][1])
                            self.assertEqual((status, json.loads(body)), (200, {"title": title}))
                        self.assertEqual(len(ids(two, "")), len(TASKS) + 2 + len(acknowledged), "none that was refused")
                        self.assertEqual(two.ask("POST", "/tasks", b'{"title": "After"}')[0], 201)
                        self.assertEqual(new.stop(), 0)
                finally:
                    migrated.set()
            self.assertEqual(old.stop(), 0)

    def test_a_store_of_1_0_is_served_by_workers(self) -> None:
        self.check_served(self.fill_by_version_1(), "--workers", "2")


class Version1OnSqliteTest(Version1Case):

    engine = "sqlite"


@unittest.skipIf(postgres.available() is not None, postgres.available() or "")
class Version1OnPostgresTest(Version1Case):

    engine = "postgres"

    def test_a_process_of_1_0_beside_this_version_reads_on_and_loses_nothing(self) -> None:
        """As `docs/operating.md` has it, under "Upgrade it"."""
        with self.old_process() as old, peer(old.port) as one:
            self.fill(one)
            before = see(one)
            with running(self.folder, self.task_db) as new, peer(new.port) as two:
                self.assertEqual(see(two), before)
                self.assertEqual(two.ask("PUT", "/tasks/named", b'{"title": "New"}')[0], 204)
                now = see(two)
                self.assertEqual(one.ask("GET", "/tasks/named")[2], now.tasks["named"][0])
                for query in ("", "?sort=title", "?priority=urgent&sort=updated"):
                    self.assertEqual(sorted(ids(one, query)), sorted(ids(two, query)), query)
                status, _, changes = one.ask("GET", "/changes?limit=1000")
                self.assertEqual((status, json.loads(changes)["changes"]), (200, now.changes))
                self.assertEqual(one.ask("GET", "/tasks?q=milk")[0], 500)
                for method, path in (("POST", "/tasks"), ("PUT", "/tasks/named")):
                    self.assertEqual(one.ask(method, path, b'{"title": "Lost"}')[0], 500, path)
                self.assertEqual(see(two), now, "what 1.0 refused changed nothing")
                self.assertEqual(old.stop(), 0)
                self.assertEqual(see(two), now)
                self.assertEqual(two.ask("POST", "/tasks", b'{"title": "After"}')[0], 201)
                self.assertEqual(new.stop(), 0)


del Version1Case


if __name__ == "__main__":
    unittest.main()
