"""PostgreSQL goes away under load and comes back (RELIABILITY.md 6), as clients of HTTP see it.

Meanwhile answers are 503 with Retry-After within 3 s; 5 s after its return everything succeeds;
nothing acknowledged is lost; the service is the same process all the time.
"""

import tempfile
import threading
import time
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.helpers import postgres
from tests.helpers.network import Proxy
from tests.helpers.restarts import Answer, Client, Service, is_whole, tasks, whole
from tests.helpers.timing import FULL, at_most

WITHIN = 3.0
"""Seconds that an answer may take while the store is away."""

BACK = 5.0
"""Seconds after the store's return from which on everything succeeds."""

WRITERS, READERS = (16, 8) if FULL else (6, 3)
ROUNDS = 3 if FULL else 1
HALT = 6.0 if FULL else 3.0
"""How many seconds the server is halted or cut off."""


@dataclass(frozen=True)
class Sent:
    """A request that was answered, and when it was sent."""

    at: float
    write: bool
    answer: Answer


class Load(threading.Thread):
    """A client that writes or reads all the time, and keeps what it was answered."""

    def __init__(self, number: int, service: Service, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.number, self._client, self._over = number, service.client(), over
        self.writes = number < WRITERS
        self.sent: list[Sent] = []
        self.known: dict[str, set[str | None]] = {}
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            step = 0
            while not self._over.is_set():
                step += 1
                if self.writes:
                    self._write(step)
                else:
                    self._ask("GET", "/tasks/first" if step % 2 else "/tasks?limit=20&sort=title")
        except BaseException as error:  # a connection that is cut is an error, too
            self.error = error
        finally:
            self._client.close()

    def _write(self, step: int) -> None:
        path, title = f"/tasks/{self.number}-{step}", f"{self.number}-{step}"
        answer = self._ask("PUT", path, whole(title, 5), If_None_Match="*")
        self.known[path] = {title} if answer.status == 201 else {title, None}
        if answer.status == 201 and step % 3 == 0:
            answer = self._ask("PUT", path, whole(f"{title}-changed", 5))
            self.known[path] = {f"{title}-changed", *([title] if answer.status != 204 else [])}

    def _ask(self, *request: object, **headers: str) -> Answer:
        at = time.monotonic()
        answer = self._client.ask(*request, **headers)  # type: ignore[arg-type]  # as it takes
        self.sent.append(Sent(at, self.writes, answer))
        if answer.status >= 500:
            self._over.wait(0.05)
        return answer


class PostgresFaultsTest(unittest.TestCase):

    server: postgres.PostgresServer

    @classmethod
    def setUpClass(cls) -> None:
        if (reason := postgres.available()) is not None:
            raise unittest.SkipTest(reason)
        cls.server = cls.enterClassContext(postgres.PostgresServer())

    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        dsn = self.server.create_database()
        self.name = dsn.rpartition("/")[2]
        self.proxy = Proxy(self.server.port)
        self.addCleanup(self.proxy.close)
        dsn = dsn.replace(f":{self.server.port}/", f":{self.proxy.port}/")
        self.service = Service(folder, {"postgres": dsn})
        self.addCleanup(self.service.close)
        self.service.start()
        client = self.service.client()
        self.assertEqual(
            client.ask("PUT", "/tasks/first", whole("first", 1), If_None_Match="*").status, 201)
        client.close()

    def test_a_crash_of_the_server(self) -> None:
        self.withstand(lambda: self.server.restart("immediate"))

    def test_a_server_that_is_stopped_for_a_while(self) -> None:
        def stop() -> None:
            self.server.stop()
            time.sleep(HALT / 3)
            self.server.start()
        self.withstand(stop, fails=True)

    def test_a_server_that_is_halted(self) -> None:
        def halt() -> None:
            self.server.pause()
            time.sleep(HALT)
            self.server.resume()
        self.withstand(halt, fails=True)

    def test_connections_that_the_server_ends(self) -> None:
        self.withstand(lambda: self.server.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{self.name}' AND pid <> pg_backend_pid()"))

    def test_connections_that_are_cut(self) -> None:
        self.withstand(self.proxy.cut)

    def test_a_network_that_swallows_everything(self) -> None:
        def swallow() -> None:
            self.proxy.swallows = True
            time.sleep(HALT)
            self.proxy.swallows = False
            self.proxy.cut()
        self.withstand(swallow, fails=True)

    def withstand(self, fault: Callable[[], object], fails: bool = False) -> None:
        """Let a fault happen under load, and check all that was answered.

        `fails` shows whether some requests have to fail, or the fault was none.
        """
        pid, over = self.service.pid, threading.Event()
        loads = [Load(number, self.service, over) for number in range(WRITERS + READERS)]
        for load in loads:
            load.start()
        faults = []
        try:
            for _ in range(ROUNDS):
                self.wait_for_work(loads)
                begun = time.monotonic()
                fault()
                faults.append((begun, time.monotonic()))
                time.sleep(BACK if FULL else 1.0)
                self.wait_for_work(loads)
        finally:
            over.set()
            for load in loads:
                load.join(30)
        self.assertEqual([load.error for load in loads if load.error is not None], [])
        self.check_answers([sent for load in loads for sent in load.sent], faults, fails)
        self.check_tasks({p: titles for load in loads for p, titles in load.known.items()})
        self.assertIsNone(self.service.process.process.poll())
        self.assertEqual((self.service.pid, self.service.stop()), (pid, 0))

    def wait_for_work(self, loads: list[Load]) -> None:
        """Wait until each client has been served once more, within the time that is allowed."""
        started = time.monotonic()
        for load in loads:
            while not any(
                    sent.at > started and sent.answer.status < 500 for sent in load.sent[-20:]):
                late = f"client {load.number} is not served again: {load.sent[-3:]} {load.error}"
                self.assertLess(time.monotonic(), started + at_most(BACK), late)
                time.sleep(0.01)

    def check_answers(
        self, sent: list[Sent], faults: list[tuple[float, float]], fails: bool
    ) -> None:
        """Each was in time; what failed is 503 with Retry-After, and near a fault."""
        failed = [each for each in sent if each.answer.status >= 400]
        self.assertLessEqual({each.answer.status for each in failed}, {503})
        self.assertTrue(all("Retry-After" in each.answer.headers for each in failed))
        self.assertLess(max(each.answer.seconds for each in sent), at_most(WITHIN))
        latest = 0.0
        for each in failed:
            begun, ended = max(fault for fault in faults if fault[0] <= each.at + WITHIN)
            latest = max(latest, each.at - ended)
        self.assertLess(latest, at_most(BACK))
        if fails:
            for write in (True, False):
                self.assertTrue([each for each in failed if each.write is write])
        if FULL:
            slowest = max(each.answer.seconds for each in sent)
            print(f"\n{self._testMethodName}: {len(sent)} requests, {len(failed)} of them 503, "
                  f"the slowest {slowest:.2f} s; the last 503 {latest:.2f} s after the end")

    def check_tasks(self, known: dict[str, set[str | None]]) -> None:
        """What was acknowledged is there; what was not is there whole, or not at all."""
        client: Client = self.service.client()
        _, found = tasks(client)
        client.close()
        for path, titles in known.items():
            self.assertIn(found[path][1]["title"] if path in found else None, titles, path)
        for _, task in found.values():
            self.assertTrue(is_whole(task))


if __name__ == "__main__":
    unittest.main()
