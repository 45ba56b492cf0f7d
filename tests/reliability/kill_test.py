"""kill -9 while many write (RELIABILITY.md 1): what was acknowledged is there, nothing is torn.

An unacknowledged write is there whole or not at all, revisions only grow, and the service is
ready in time.
"""

import tempfile
import threading
import time
import unittest
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

from tests.helpers.timing import FULL
from tests.helpers.restarts import (
    READY, SEED, Client, Cut, Service, batch, chance, is_whole, task_db, tasks, whole)
from tests.helpers.timing import at_most

ROUNDS = 25 if FULL else 3
WRITERS = 8
TASKS = 10_000 if FULL else 500
LONGEST = 1.0 if FULL else 0.5
"""Seconds of writing before the kill, at the most."""


@dataclass(frozen=True)
class Fact:
    """The answer that a client got: the task's title and revision, both None for a deleted one."""

    title: str | None
    revision: int | None


@dataclass(frozen=True)
class Pending:
    """A write without an answer; a create has no path yet, but may have an idempotency key."""

    path: str | None
    title: str | None
    task: dict[str, Any] | None = None
    key: str | None = None


class Writer(threading.Thread):
    """Creates, replaces, changes and deletes tasks of its own until the service is gone."""

    def __init__(self, name: str, port: int, keys: bool) -> None:
        super().__init__(name=name, daemon=True)
        self._client, self._keys, self._rng = Client(port), keys, chance(name)
        self.facts: dict[str, Fact] = {}
        self.pending: Pending | None = None
        self.acknowledged = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            for step in range(1_000_000):
                self._write(f"{self.name}-{step}")
        except Cut:
            pass
        except BaseException as error:
            self.error = error
        finally:
            self._client.close()

    def _write(self, title: str) -> None:
        there = [path for path, fact in self.facts.items() if fact.title is not None]
        task = whole(title, self._rng.choice((1, 10, 300)))
        if len(there) < 3 or self._rng.random() < 0.3:
            self._create(task)
        else:
            self._change(self._rng.choice(there), task)

    def _create(self, task: dict[str, Any]) -> None:
        key = str(UUID(int=self._rng.getrandbits(128))) if self._keys else None
        self.pending = Pending(None, task["title"], task, key)
        headers = {} if key is None else {"Idempotency_Key": f'"{key}"'}
        answer = self._client.ask("POST", "/tasks", task, **headers)
        assert answer.status == 201, answer
        self._know(answer.headers["Location"], Fact(task["title"], answer.revision))

    def _change(self, path: str, task: dict[str, Any]) -> None:
        method = self._rng.choice(("PUT", "PUT", "PATCH", "DELETE"))
        tag = f'"{self.facts[path].revision}"'
        headers = {"If_Match": tag} if self._rng.random() < 0.5 else {}
        body = None if method == "DELETE" else task
        self.pending = Pending(path, None if body is None else task["title"])
        answer = self._client.ask(method, path, body, **headers)
        assert answer.status == 204, answer
        self._know(path, Fact(None, None) if body is None else Fact(task["title"], answer.revision))

    def _know(self, path: str, fact: Fact) -> None:
        self.facts[path], self.pending = fact, None
        self.acknowledged += 1


class KillTest(unittest.TestCase):

    engine = "fs"
    keys_survive = False

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.service = Service(self.folder, task_db(self.engine, self.folder))
        self.addCleanup(self.service.close)
        self.facts: dict[str, Fact] = {}
        self.greatest = 0
        self.writes = 0

    def test_every_acknowledged_write_reads_back(self) -> None:
        self.service.start()
        self.fill()
        starts = []
        for number in range(ROUNDS):
            with self.subTest(round=number, seed=SEED):
                writers = self.write_until_killed(number)
                starts.append(self.service.start())
                self.check(writers)
        self.assertLess(max(starts), at_most(READY))
        self.assertEqual(self.service.stop(), 0)
        self.assertGreater(self.writes, ROUNDS)
        self.assertFalse([line for line in self.service.process.stdout if "DAMAGED" in line])
        if FULL:
            print(f"\n{self.engine}: {ROUNDS} kills, {self.writes} writes acknowledged, among "
                  f"{len(self.facts)} tasks; ready within {median(starts):.2f} s in "
                  f"the median, {max(starts):.2f} s at most")

    def fill(self) -> None:
        """Create many tasks."""
        client = self.service.client()
        for start in range(0, TASKS, 500):
            titles = [f"old-{number}" for number in range(start, start + 500)]
            answer = client.ask(
                "POST", "/tasks", batch(titles), Content_Type="application/x-ndjson")
            self.assertEqual(answer.status, 200, answer)
        _, found = tasks(client)
        client.close()
        self.facts = {path: Fact(task["title"], rev) for path, (rev, task) in found.items()}
        self.assertEqual(len(self.facts), TASKS)

    def write_until_killed(self, number: int) -> list[Writer]:
        """Let writers write, kill the service at any moment, and return the writers."""
        writers = [
            Writer(f"{number}-{which}", self.service.port, self.keys_survive)
            for which in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(chance(self.engine, number).uniform(0.01, LONGEST))
        self.service.kill()
        for writer in writers:
            writer.join(30)
            self.assertFalse(writer.is_alive())
            self.assertIsNone(writer.error)
        return writers

    def check(self, writers: list[Writer]) -> None:
        """Compare what is there with the answers that clients got, and go on from what is there."""
        pending = [writer.pending for writer in writers if writer.pending is not None]
        for writer in writers:
            self.writes += writer.acknowledged
            self.facts.update(writer.facts)
        client = self.service.client()
        revision, found = tasks(client)
        self.check_known(found, {p.path: p for p in pending if p.path is not None})
        self.check_new(found, [p for p in pending if p.path is None])
        self.check_revisions(revision, found)
        self.facts = {path: Fact(task["title"], rev) for path, (rev, task) in found.items()} | {
            path: Fact(None, None) for path in self.facts if path not in found}
        for create in pending:
            if create.key is not None:
                self.check_retry(client, create, found)
        self.check_next_write(client)
        client.close()

    def check_known(self, found: dict[str, Any], pending: dict[str | None, Pending]) -> None:
        """What is known is there, unless a write of it was under way: then that may be."""
        for path, fact in self.facts.items():
            rev, task = found.get(path, (None, None))
            there = Fact(None if task is None else task["title"], rev)
            if there != fact:
                self.assertIn(path, pending, f"{there} where {fact} was acknowledged")
                self.assertEqual(there.title, pending[path].title)
        for path, (_, task) in found.items():
            self.assertTrue(is_whole(task), path)

    def check_new(self, found: dict[str, Any], creates: list[Pending]) -> None:
        """A task without an answer is one of the creates under way."""
        titles = [task["title"] for path, (_, task) in found.items() if path not in self.facts]
        self.assertLessEqual(set(titles), {create.title for create in creates})
        self.assertEqual(len(titles), len(set(titles)))

    def check_revisions(self, revision: int, found: dict[str, Any]) -> None:
        """No two are the same, and the store's is no less than any that a client got."""
        revisions = [rev for rev, _ in found.values()]
        self.assertEqual(len(revisions), len(set(revisions)))
        reported = [fact.revision or 0 for fact in self.facts.values()]
        self.assertGreaterEqual(revision, max([self.greatest, *revisions, *reported]))
        self.greatest = revision

    def check_retry(self, client: Client, create: Pending, found: dict[str, Any]) -> None:
        """A create that is sent again with its key makes no second task."""
        earlier = [path for path, (_, task) in found.items() if task["title"] == create.title]
        answer = client.ask("POST", "/tasks", create.task, Idempotency_Key=f'"{create.key}"')
        self.assertEqual(answer.status, 201)
        path = answer.headers["Location"]
        self.assertEqual([path] if earlier else [], earlier)
        self.assertEqual(answer.headers.get("Idempotent-Replayed"), "true" if earlier else None)
        if not earlier:
            self.facts[path] = Fact(create.title, answer.revision)
            self.greatest = max(self.greatest, answer.revision)

    def check_next_write(self, client: Client) -> None:
        """The next revision is greater than all before."""
        answer = client.ask("POST", "/tasks", whole("next", 1))
        self.assertEqual(answer.status, 201)
        self.assertGreater(answer.revision, self.greatest)
        self.greatest = answer.revision
        self.facts[answer.headers["Location"]] = Fact("next", answer.revision)


class KillOnSqliteTest(KillTest):
    engine = "sqlite"
    keys_survive = True


class KillOnPostgresTest(KillTest):
    engine = "postgres"
    keys_survive = True


if __name__ == "__main__":
    unittest.main()
