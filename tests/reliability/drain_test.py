"""Going away is clean (RELIABILITY.md 5): restarts under the load of 64 kept connections.

No request that was sent stays without an answer, and what was acknowledged is there.
"""

import asyncio
import json
import random
import signal
import time
import unittest
from pathlib import Path

from tests.contract import quick_folder
from tests.helpers import postgres
from tests.helpers.load import KeptConnection, NotSent, Unanswered
from tests.helpers.processes import PATIENCE, SERVER, ServiceProcess
from tests.helpers.raw import peer
from tests.helpers.running import write_config
from tests.helpers.timing import FULL
from tests.helpers.timing import at_most

RESTARTS = 10 if FULL else 3
CLIENTS = 64
UP = 2.0
"""Seconds between a start and the next stop."""


class Worker:
    """A client: it writes and reads its own tasks, and knows the answers it got."""

    def __init__(self, port: int, number: int) -> None:
        self.client = KeptConnection(port)
        self.chance = random.Random(number)
        self.known: dict[str, str] = {}
        self.answered = self.reconnected = 0
        self.failures: list[str] = []
        self.stopping = False
        self._pause = 0.0 if number % 2 else 0.3  # shorter than a connection may idle in a drain

    async def run(self) -> None:
        """Ask until asked to stop."""
        while not self.stopping:
            try:
                await self._step()
            except NotSent:
                self.reconnected += 1
                await asyncio.sleep(0.02)
            except Unanswered as error:
                self.failures.append(str(error))
            if self._pause:
                await asyncio.sleep(self.chance.random() * self._pause)

    async def _step(self) -> None:
        title = str(self.chance.randrange(10 ** 9))
        body = json.dumps({"title": title}).encode()
        if not self.known or self.chance.random() < 0.2:
            answer = await self.client.ask("POST", "/tasks", body)
            assert answer.status == 201, answer
            self.known[answer.headers["location"]] = title
        elif self.chance.random() < 0.3:
            path = self.chance.choice(list(self.known))
            answer = await self.client.ask("PUT", path, body)
            assert answer.status == 204, answer
            self.known[path] = title
        else:
            path = self.chance.choice(list(self.known))
            answer = await self.client.ask("GET", path)
            assert answer.status == 200, answer
            assert json.loads(answer.body)["title"] == self.known[path], (answer, self.known[path])
        self.answered += 1


class RestartsCase(unittest.TestCase):

    server = "taskservice"
    options: tuple[str, ...] = ()

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))
        self.port = postgres.free_port()
        write_config(self.folder, {"sqlite": str(self.folder / "tasks.db")}, http={"server": self.server})
        self.service = self.start()
        self.addCleanup(lambda: self.service.close())

    def start(self) -> ServiceProcess:
        """Start it, on the same port and the same store."""
        service = ServiceProcess([
            *SERVER, "--config", self.folder / "config.yaml", "--port", str(self.port), *self.options])
        assert service.port
        with peer(self.port) as client:  # a stop before any worker accepts resets what waits for one
            self.assertEqual(client.ask("GET", "/healthz")[0], 200)
        return service

    async def restart_under_load(self, clients: int = CLIENTS, restarts: int = RESTARTS) -> list[Worker]:
        """Restart it some times; return what each client saw."""
        workers = [Worker(self.port, number) for number in range(clients)]
        tasks = [asyncio.create_task(worker.run()) for worker in workers]
        self.took: list[float] = []
        for _ in range(restarts):
            await asyncio.sleep(UP)
            self.took.append(await asyncio.to_thread(self.stop))
            self.service = await asyncio.to_thread(self.start)
        await asyncio.sleep(UP)
        for worker in workers:
            worker.stopping = True
        await asyncio.gather(*tasks)
        await self.check_all(workers)
        return workers

    def stop(self) -> float:
        """Stop it cleanly; return how long that took."""
        started = time.monotonic()
        self.assertEqual(self.service.stop(signal.SIGTERM), 0)
        took = time.monotonic() - started
        self.assertEqual(self.service.stderr, [])
        return took

    async def check_all(self, workers: list[Worker]) -> None:
        """What was acknowledged is there, and nothing else but what was sent and not answered."""
        client = KeptConnection(self.port)
        tasks = json.loads((await client.ask("GET", "/tasks")).body)
        client.close()
        for worker in workers:
            for path, title in worker.known.items():
                self.assertEqual(tasks[path.removeprefix("/tasks/")]["title"], title)
            worker.client.close()


class RestartsTest(RestartsCase):

    def test_no_request_in_flight_is_lost(self) -> None:
        workers = asyncio.run(self.restart_under_load())
        answered = sum(worker.answered for worker in workers)
        failures = [failure for worker in workers for failure in worker.failures]
        print(f"\n{RESTARTS} restarts under {CLIENTS} clients: {answered} answers, {len(failures)} requests "
              f"lost, each stop took at most {max(self.took):.1f} s")
        self.assertEqual(failures, [])
        self.assertTrue(all(worker.reconnected for worker in workers), "some saw no restart")
        self.assertLess(max(self.took), 30)


class RestartsOfWorkersTest(RestartsCase):
    """Several processes behind the port."""

    options = ("--workers", "2")

    def test_no_request_in_flight_is_lost(self) -> None:
        workers = asyncio.run(self.restart_under_load(restarts=max(1, RESTARTS // 3)))
        self.assertEqual([failure for worker in workers for failure in worker.failures], [])
        self.assertLess(max(self.took), 30)


@unittest.skipIf(postgres.available() is not None, postgres.available() or "")
class StoreThatHangsTest(unittest.TestCase):
    """The store does not answer any more: the end is a clean one all the same, and soon.

    What is in flight is answered within 3 s, and the store is closed within the 5 s that a statement
    may take: `postgres_waits_test.StopTest` has that alone.
    """

    def test_it_ends_in_time(self) -> None:
        folder = Path(self.enterContext(quick_folder()))
        database = self.enterContext(postgres.PostgresServer(fsync=False))
        write_config(folder, {"postgres": database.dsn()})
        service = ServiceProcess([*SERVER, "--config", folder / "config.yaml", "--port", "0"])
        self.addCleanup(service.close)
        asyncio.run(self.hang(service, database))

    async def hang(self, service: ServiceProcess, database: postgres.PostgresServer) -> None:
        """Write while it hangs, and end the service."""
        client = KeptConnection(service.port)
        self.assertEqual((await client.ask("POST", "/tasks", b'{"title": "a"}')).status, 201)
        clients = [client, KeptConnection(service.port), KeptConnection(service.port)]
        database.pause()
        try:
            asked = [asyncio.create_task(each.ask("POST", "/tasks", b'{"title": "b"}'))
                     for each in clients]
            await asyncio.sleep(0.2)
            started = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            self.assertEqual([(await answer).status for answer in asked], [503] * 3)
            self.assertLess(time.monotonic() - started, at_most(4))
            self.assertEqual(await asyncio.to_thread(service.process.wait, PATIENCE), 0)
            self.assertLess(time.monotonic() - started, at_most(9))
            self.assertEqual(service.stderr, [])
            print(f"\nwith PostgreSQL paused the stop took {time.monotonic() - started:.1f} s")
        finally:
            database.resume()
            for each in clients:
                each.close()


del RestartsCase

if __name__ == "__main__":
    unittest.main()
