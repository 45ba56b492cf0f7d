"""What concurrent clients see of a task has one order (RELIABILITY.md 4), also over kills.

Clients create, read, write and delete a few tasks at once, with and without preconditions, while
the service is killed and started again; what they saw is given to a checker, which
`unit/linearizability_test.py` shows to reject bad histories.
"""

import random
import tempfile
import threading
import time
import unittest
from bisect import bisect_left
from collections.abc import Sequence
from importlib import import_module
from math import inf
from pathlib import Path
from typing import Any

from tests.helpers.api import wait_until
from tests.helpers import postgres
from tests.helpers.linearizability import (
    Absent, Done, Kind, Operation, Outcome, Stale, Unknown, describe, first_contradiction)
from tests.helpers.timing import FULL
from tests.helpers.restarts import (
    SEED, Answer, Client, Cut, Refused, Service, chance, listens, task_db)

CLIENTS = 5
TASKS = 3
"""How many at a time; each round has its own."""

ROUNDS = 15 if FULL else 2
KILLS = 2
SECONDS = 0.6 if FULL else 0.3
"""How long the clients go on between kills, at the most."""

_METHODS = {Kind.CREATE: "PUT", Kind.READ: "GET", Kind.DELETE: "DELETE"}
_KINDS = [Kind.CREATE] * 2 + [Kind.READ] * 4 + [Kind.WRITE] * 5 + [Kind.DELETE]


class Actor(threading.Thread):
    """A client of a few tasks, which writes down what it asked for and what came of it."""

    def __init__(self, name: str, port: int, paths: Sequence[str], over: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._client, self._port, self._paths, self._over = Client(port), port, paths, over
        self._rng = chance(name)
        self._seen: dict[str, list[int]] = {path: [1] for path in paths}
        self.history: list[tuple[str, Operation]] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._over.is_set():
                self._act(self._rng.choice(self._paths))
        except BaseException as error:
            self.error = error
        finally:
            self._client.close()

    def _act(self, path: str) -> None:
        kind = self._rng.choice(_KINDS)
        value = f"{self.name}-{len(self.history)}"
        expected = self._expected(path) if kind in (Kind.WRITE, Kind.DELETE) else None
        call = time.monotonic()
        try:
            outcome = self._outcome(kind, self._ask(kind, path, value, expected))
        except Refused:
            wait_until(lambda: listens(self._port) or self._over.is_set(), "the service listens")
            return
        except Cut:
            outcome = Unknown()
        if isinstance(outcome, Unknown):
            self._wait_for_the_store()
        back = inf if isinstance(outcome, Unknown) else time.monotonic()
        if isinstance(outcome, (Done, Stale)) and outcome.revision is not None:
            self._seen[path].append(outcome.revision)
        if not (kind is Kind.READ and isinstance(outcome, Unknown)):
            self.history.append((path, Operation(kind, call, back, outcome, value, expected)))

    def _wait_for_the_store(self) -> None:
        """After a failure wait until reads succeed: the fewer are unknown, the more is checked."""
        while not self._over.is_set():
            try:
                if self._client.ask("GET", self._paths[0]).status in (200, 404):
                    return
            except Cut:
                pass
            time.sleep(0.01)

    def _expected(self, path: str) -> int | None:
        """Choose a revision to be bound to: most often the last one seen, if any."""
        choice = self._rng.random()
        return None if choice < 0.4 else self._seen[path][-1 if choice < 0.9 else 0]

    def _ask(self, kind: Kind, path: str, value: str, expected: int | None) -> Answer:
        headers = {} if expected is None else {"If_Match": f'"{expected}"'}
        if kind is Kind.CREATE:
            headers = {"If_None_Match": "*"}
        method = _METHODS.get(kind) or self._rng.choice(("PUT", "PATCH"))
        body = {"title": value} if method in ("PUT", "PATCH") else None
        return self._client.ask(method, path, body, **headers)

    def _outcome(self, kind: Kind, answer: Answer) -> Outcome:
        match answer.status:
            case 200:
                return Done(answer.revision, answer.json["title"])
            case 201 | 204:
                return Done(None if kind is Kind.DELETE else answer.revision)
            case 404:
                return Absent()
            case 412:
                return Stale(answer.revision)
            case 500 | 503 | 507:
                return Unknown()
            case _:
                raise AssertionError(answer)


class LinearizabilityTest(unittest.TestCase):

    engine = "memory"
    killed = False
    """Whether the service is killed; what it stores does not outlive it on memory."""

    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.service = Service(folder, task_db(self.engine, folder))
        self.addCleanup(self.service.close)

    def test_histories_are_linearizable(self) -> None:
        self.service.start()
        operations = unknown = 0
        for number in range(ROUNDS):
            with self.subTest(round=number, seed=SEED):
                histories = self.play(number)
                played = [entry for history in histories.values() for entry in history]
                operations += len(played)
                unknown += sum(isinstance(entry.outcome, Unknown) for entry in played)
                for path, history in histories.items():
                    self.check(path, history)
                self.check_revisions(played)
        self.assertEqual(self.service.stop(), 0)
        self.assertGreater(operations, ROUNDS * 20)
        if FULL:
            print(f"\n{type(self).__name__}: {ROUNDS * TASKS} histories of {operations} "
                  f"operations, {unknown} of them unknown, {ROUNDS * KILLS * self.killed} kills")

    def check(self, path: str, history: Sequence[Operation]) -> None:
        """Fail when no order explains the history."""
        contradiction = first_contradiction(history)
        if contradiction is not None:
            self.fail(f"{path} {describe(history, contradiction)}")

    def check_revisions(self, history: Sequence[Operation]) -> None:
        """Of writes to any tasks, one that began when another was done has a greater revision."""
        writes = [
            (entry.back, entry.outcome.revision or 0, entry.call) for entry in history
            if isinstance(entry.outcome, Done) and entry.kind in (Kind.CREATE, Kind.WRITE)]
        writes.sort(key=lambda write: write[0])
        ends, greatest = [write[0] for write in writes], [0]
        for _, revision, _ in writes:
            greatest.append(max(greatest[-1], revision))
        for _, revision, call in writes:
            self.assertGreater(revision, greatest[bisect_left(ends, call)])

    def play(self, number: int) -> dict[str, list[Operation]]:
        """Let clients act on new tasks, with some kills; return the history of each task."""
        paths = [f"/tasks/{number}-{task}" for task in range(TASKS)]
        over = threading.Event()
        actors = [
            Actor(f"{self.engine}-{number}-{which}", self.service.port, paths, over)
            for which in range(CLIENTS)]
        for actor in actors:
            actor.start()
        try:
            deaths = self.disturb(chance(self.engine, number), number)
        finally:
            over.set()
            for actor in actors:
                actor.join(60)
        self.assertEqual([actor.error for actor in actors], [None] * CLIENTS)
        histories: dict[str, list[Operation]] = {path: [] for path in paths}
        for actor in actors:
            for path, operation in actor.history:
                histories[path].append(self.bounded(operation, deaths))
        return histories

    def disturb(self, rng: random.Random, number: int) -> list[float]:
        """Kill the service at some moments and start it again.

        Returns when it was dead, and what was under way had been decided.
        """
        deaths = []
        for _ in range(KILLS * self.killed):
            time.sleep(rng.uniform(0.05, SECONDS))
            deaths.append(self.service.kill())
            self.service.start()
        time.sleep(SECONDS)
        return deaths

    def bounded(self, operation: Operation, deaths: Sequence[float]) -> Operation:
        """Return an unknown operation with the time when it was decided."""
        if not isinstance(operation.outcome, Unknown):
            return operation
        back = next((death for death in deaths if death > operation.call), inf)
        return Operation(
            operation.kind, operation.call, back, operation.outcome, operation.value,
            operation.expected)


class LinearizabilityOnFsTest(LinearizabilityTest):
    engine = "fs"
    killed = True


class LinearizabilityOnSqliteTest(LinearizabilityTest):
    engine = "sqlite"
    killed = True


class LinearizabilityOnPostgresTest(LinearizabilityTest):
    """Kills of the service and crashes of the server in turn."""

    engine = "postgres"
    killed = True

    def setUp(self) -> None:
        if (reason := postgres.available()) is not None:
            self.skipTest(reason)
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.server = self.enterContext(postgres.PostgresServer())
        db: dict[str, Any] = {"postgres": self.server.create_database()}
        self.service = Service(folder, db)
        self.addCleanup(self.service.close)

    def disturb(self, rng: random.Random, number: int) -> list[float]:
        if number % 2 == 0:
            super().disturb(rng, number)
            return []  # the server may still commit what the service had sent
        deaths = []
        for _ in range(KILLS):
            time.sleep(rng.uniform(0.05, SECONDS))
            self.server.stop("immediate")
            deaths.append(time.monotonic())
            self.server.start()
        time.sleep(SECONDS)
        return deaths


class SqliteWorkersTest(LinearizabilityOnSqliteTest):
    """Two processes serve one file, and one of them is killed; the other goes on."""

    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.service = Service(folder, task_db(self.engine, folder), "--workers", "2")
        self.addCleanup(self.service.close)

    def disturb(self, rng: random.Random, number: int) -> list[float]:
        psutil = import_module("psutil")
        for _ in range(KILLS):
            time.sleep(rng.uniform(0.05, SECONDS))
            rng.choice(psutil.Process(self.service.pid).children()).kill()
        time.sleep(SECONDS)
        return []


if __name__ == "__main__":
    unittest.main()
