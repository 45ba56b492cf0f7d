"""What a process needs while very many tasks go out, or come in: no more than for a few."""

import http.client
import json
import unittest
from collections.abc import Iterator
from pathlib import Path

from tests.contract import quick_folder
from tests.helpers import postgres
from tests.helpers.api import NDJSON, serving
from tests.helpers.app import ENGINES
from tests.helpers.processes import PATIENCE, ServiceProcess
from tests.helpers.timing import FULL

OUT = 1_000_000 if FULL else 50_000
IN = 100_000 if FULL else 20_000
BATCH = 1_000
"""What `run.py import` sends at once."""

MOST_GROWTH = 24 * 1024
"""KiB by which a process may grow; the tasks that go out or come in have several times as many."""

DESCRIPTION = "x" * (400 if FULL else 2_000)


def memory(service: ServiceProcess, name: str) -> int:
    """Return a figure of the process, in KiB: VmRSS is what it has, VmHWM the most it had."""
    for line in Path(f"/proc/{service.process.pid}/status").read_text("ascii").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    raise AssertionError(name)


def forget_peak(service: ServiceProcess) -> int:
    """Let VmHWM begin anew, and return what the process has now, in KiB (proc(5), clear_refs)."""
    Path(f"/proc/{service.process.pid}/clear_refs").write_text("5")
    return memory(service, "VmRSS")


class MemoryCase(unittest.TestCase):

    engine: str

    def setUp(self) -> None:
        folder = Path(self.enterContext(quick_folder()))
        self.service = self.enterContext(serving(ENGINES[self.engine](folder), folder))
        self.connection = http.client.HTTPConnection(
            "localhost", self.service.port, timeout=PATIENCE)
        self.addCleanup(self.connection.close)

    def send(self, count: int) -> None:
        """Let tasks come in, in batches."""
        body = json.dumps({"title": "a", "description": DESCRIPTION}).encode() + b"\n"
        for _ in range(count // BATCH):
            self.connection.request("POST", "/tasks", body * BATCH, {"Content-Type": NDJSON})
            answer = self.connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, 200)

    def chunks(self, path: str, accept: str) -> Iterator[bytes]:
        """Let tasks go out."""
        self.connection.request("GET", path, headers={"Accept": accept})
        answer = self.connection.getresponse()
        self.assertEqual(answer.status, 200)
        while chunk := answer.read1(1 << 20):
            yield chunk
        answer.close()  # read1 by itself does not, where the length is known
        self.link = answer.headers["Link"]

    def walk(self) -> None:
        """Read all tasks page by page, for the same reason."""
        target: str | None = "/tasks?limit=1000"
        while target is not None:
            for _ in self.chunks(target, NDJSON):
                pass
            target = self.link and self.link[1:self.link.index(">")]

    def assert_flat(self, what: str, before: int, moved: int) -> None:
        """The process has hardly grown over what it had."""
        growth = memory(self.service, "VmHWM") - before
        print(f"\n{self.engine}: {what}, {moved >> 20} MiB: from {before >> 10} MiB by"
              f" {growth / 1024:.1f} MiB at the most", flush=True)
        self.assertGreater(moved >> 10, 1.5 * MOST_GROWTH, "it would show nothing")
        self.assertLess(growth, MOST_GROWTH)

    def check(self) -> None:
        """Let tasks come in and go out."""
        self.send(OUT // 2)  # so that the engine's caches are as full as they get
        before = forget_peak(self.service)
        self.send(IN)
        self.assert_flat(f"{IN} tasks come in", before, IN * (len(DESCRIPTION) + 40))
        self.send(OUT - OUT // 2 - IN)
        for accept in (NDJSON, "application/json"):
            self.walk()
            before = forget_peak(self.service)
            moved, count = 0, 0
            for chunk in self.chunks("/tasks", accept):
                moved += len(chunk)
                count += chunk.count(b'"title"')
            self.assertGreaterEqual(count, OUT * 0.999)  # a chunk may end within the word
            self.assert_flat(f"{OUT} tasks go out as {accept}", before, moved)


class MemoryOnSqliteTest(MemoryCase):

    engine = "sqlite"

    def test_it_is_flat(self) -> None:
        self.check()


@unittest.skipIf(postgres.available() is not None, postgres.available() or "")
class MemoryOnPostgresTest(MemoryCase):

    engine = "postgres"

    def test_it_is_flat(self) -> None:
        self.check()


if __name__ == "__main__":
    unittest.main()
