"""Searches that nobody waits for: what others notice of them (RELIABILITY.md 10)."""

import asyncio
import os
import socket
import struct
import unittest
from collections.abc import Mapping
from pathlib import Path

from taskservice.database.db_engines import create_todolist_db
from taskservice.datamodel import TaskEntry, TaskPriority
from tests.contract import quick_folder
from tests.helpers import postgres
from tests.helpers.app import ENGINES
from tests.helpers.load import KeptConnection
from tests.helpers.processes import ServiceProcess
from tests.helpers.raw import request
from tests.helpers.running import running
from tests.helpers.timing import FULL
from tests.helpers.timing import at_most
from tests.reliability.watching import Others

TASKS = 1_000_000 if FULL else 50_000
BATCH = 10_000
SEARCHES = 60
SECONDS = 15.0 if FULL else 3.0
"""How long the others are watched, from the attack on."""

MOST = 0.1 if FULL else 0.3
"""Seconds that 99 of 100 requests of the others may take, on an idle machine; in the short form, of any speed."""

SEARCH = "/tasks?q=nosuchword&sort=title&limit=50"
RST = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: close() resets the connection."""


class SearchesCase(unittest.TestCase):

    engine: str

    def setUp(self) -> None:
        folder = Path(self.enterContext(quick_folder()))
        task_db = ENGINES[self.engine](folder)
        asyncio.run(self.fill(task_db))
        self.service: ServiceProcess = self.enterContext(
            running(folder, task_db))

    async def fill(self, task_db: Mapping[str, object]) -> None:
        """Make a store of many tasks, before the service opens it."""
        priorities = tuple(TaskPriority)
        async with create_todolist_db(task_db) as engine:
            for start in range(0, TASKS, BATCH):
                await engine.create_tasks([
                    (f"{number:07}", TaskEntry(
                        f"task {number * 7919 % TASKS}", "some words that a task has " * 5,
                        priorities[number % 5], number % 3 == 0))
                    for number in range(start, start + BATCH)])

    def search_and_leave(self, reset: bool) -> None:
        """Ask for a search, and close the connection at once."""
        with socket.create_connection(("127.0.0.1", self.service.port)) as sock:
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            sock.sendall(request("GET", SEARCH))

    def cpu(self) -> float:
        """Return how many seconds of CPU the service has used."""
        fields = Path(f"/proc/{self.service.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def attack(self, reset: bool) -> None:
        """Search and leave very often, while others go on."""
        before = self.cpu()
        async with Others(self.service.port, self.service.process.pid) as others:
            for _ in range(SEARCHES):
                await asyncio.to_thread(self.search_and_leave, reset)
            await asyncio.sleep(SECONDS)
        print(f"\n{self.engine}, {TASKS} tasks, {SEARCHES} searches left by {'RST' if reset else 'FIN'}: "
              f"beside them p99 {others.summary()}; {self.cpu() - before:.1f} s of CPU", flush=True)
        for name, seen in others.seen.items():
            self.assertEqual(seen.failed, 0, name)
            self.assertLess(seen.p99, at_most(MOST), name)
        client = KeptConnection(self.service.port)
        self.assertEqual((await client.ask("GET", SEARCH)).status, 200, "searches are answered again")
        client.close()

    def check(self) -> None:
        """Leave in each way."""
        for reset in (False, True):
            with self.subTest(reset=reset):
                asyncio.run(self.attack(reset))


class SearchesOnSqliteTest(SearchesCase):

    engine = "sqlite"

    def test_searches_that_nobody_waits_for(self) -> None:
        self.check()


@unittest.skipIf(postgres.available() is not None, postgres.available() or "")
class SearchesOnPostgresTest(SearchesCase):

    engine = "postgres"

    def test_searches_that_nobody_waits_for(self) -> None:
        self.check()


if __name__ == "__main__":
    unittest.main()
