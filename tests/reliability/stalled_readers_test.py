"""What readers that take nothing of a large answer cost: portions, however large the answer is."""

import json
import os
import socket
import time
import unittest
import urllib.request
from pathlib import Path

from tests.contract import quick_folder
from tests.helpers import postgres
from tests.helpers.api import NDJSON, serving
from tests.helpers.app import ENGINES
from tests.helpers.processes import PATIENCE, ServiceProcess
from tests.helpers.timing import FULL

TASKS = 1_000 if FULL else 250
"""How many tasks of nearly 64 KiB, the most that a body has by default, an answer has."""

READERS = 10
MOST_EACH = 2 * 1024
"""KiB that a stalled reader may cost."""

JSON, EVENT_STREAM = "application/json", "text/event-stream"

ANSWERS = [
    ("/tasks?limit=1000", JSON), ("/tasks?limit=1000", NDJSON), ("/tasks?limit=1000&sort=title", JSON),
    ("/tasks", JSON), ("/changes?limit=1000", JSON), ("/changes?since=0", EVENT_STREAM)]

TICK = 1 / os.sysconf("SC_CLK_TCK")


def anonymous(service: ServiceProcess) -> int:
    """Return the KiB of memory that is the process's own (RssAnon)."""
    status = Path(f"/proc/{service.process.pid}/status").read_text("ascii")
    return int(status.partition("RssAnon:")[2].split()[0])


def worked(service: ServiceProcess) -> float:
    """Return the seconds of CPU that the process has taken."""
    fields = Path(f"/proc/{service.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


class StalledReadersCase(unittest.TestCase):

    engine: str

    def setUp(self) -> None:
        folder = Path(self.enterContext(quick_folder()))
        self.service = self.enterContext(serving(ENGINES[self.engine](folder), folder))
        task = json.dumps({"title": "a", "description": "x" * 65_000}).encode() + b"\n"
        for _ in range(TASKS // 50):
            with urllib.request.urlopen(urllib.request.Request(
                    f"http://localhost:{self.service.port}/tasks", task * 50,
                    {"Content-Type": NDJSON}), timeout=PATIENCE) as answer:
                answer.read()

    def reader(self, path: str, accept: str) -> socket.socket:
        """Ask for an answer, with little room for it, and read no more than how it begins."""
        reader = socket.socket()
        self.addCleanup(reader.close)
        reader.settimeout(PATIENCE)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", self.service.port))
        reader.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n".encode())
        return reader

    def settle(self) -> int:
        """Wait until the service has no more to do; return the most memory it had meanwhile."""
        most, since, before = 0, time.monotonic(), worked(self.service)
        while time.monotonic() < since + 1.0:
            most = max(most, anonymous(self.service))
            if (now := worked(self.service)) > before + 2 * TICK:
                before, since = now, time.monotonic()
            time.sleep(0.01)
        return most

    def read(self, reader: socket.socket) -> int:
        """Read an answer, as far as the tasks go, and return how many tasks it has."""
        count, last = 0, b""
        while count < TASKS:
            chunk = reader.recv(1 << 20)
            self.assertTrue(chunk, "the answer was cut")
            count += (last + chunk).count(b'"title"')
            last = chunk[-len('"title"') + 1:]
        return count

    def warm(self) -> None:
        """Fill what does not grow with the readers: an engine's caches, and what it keeps encoded."""
        searches = [self.reader("/tasks?q=nosuchword", JSON) for _ in range(READERS)]
        for search in searches:
            while b"{}" not in search.recv(1 << 16):
                pass
        for path, accept in ANSWERS:
            with self.reader(path, accept) as once:
                self.read(once)

    def test_each_costs_little(self) -> None:
        self.warm()
        before = self.settle()
        for path, accept in ANSWERS:
            with self.subTest(path, accept=accept):
                readers = [self.reader(path, accept) for _ in range(READERS)]
                for reader in readers:
                    self.assertEqual(reader.recv(15), b"HTTP/1.1 200 OK")
                each = (self.settle() - before) / READERS
                print(f"\n{self.engine}: {path} {accept}: {TASKS * 65 / 1024:.0f} MiB,"
                      f" {each / 1024:.2f} MiB a stalled reader", flush=True)
                self.assertLess(each, MOST_EACH)
                self.assertEqual(self.read(readers[0]), TASKS)
                for reader in readers:
                    reader.close()


class StalledReadersInMemoryTest(StalledReadersCase):

    engine = "memory"


class StalledReadersOnSqliteTest(StalledReadersCase):

    engine = "sqlite"


@unittest.skipIf(postgres.available() is not None, postgres.available() or "")
class StalledReadersOnPostgresTest(StalledReadersCase):

    engine = "postgres"


del StalledReadersCase


if __name__ == "__main__":
    unittest.main()
