"""Bulks: how long they hold other writers, and how much memory they take (RELIABILITY.md 10)."""

import asyncio
import json
import threading
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract import quick_folder
from tests.helpers import postgres
from tests.helpers.api import NDJSON, json_lines
from tests.helpers.app import ENGINES
from tests.helpers.load import KeptConnection, own_memory
from tests.helpers.processes import ServiceProcess
from tests.helpers.raw import peer
from tests.helpers.running import running
from tests.helpers.timing import FULL
from tests.helpers.timing import at_most

MIB = 1 << 20

HELD = 0.25 if FULL else 0.75
"""Seconds for which 10,000 tasks of 200 bytes may hold the other writers; the short form, which runs on machines of any
speed, sees only that they do not wait for the whole bulk."""

SIZES = (10_000, 50_000, 100_000) if FULL else (10_000,)
BULKS = 5 if FULL else 3
"""How many bulks of each size there are."""

WORDS = "words of a task " * 5 + "and more"
"""The description of a task of 200 bytes."""

FIXED = 12 * MIB
"""What a fresh process may grow by with any bulk: threads, statements, what malloc keeps."""

A_LINE = 1200
"""Bytes that a line may take beside its text: ids, revisions, rows."""


def lines_of(text: str, count: int) -> bytes:
    """Return a body of so many tasks with this description."""
    return b"".join(
        json.dumps({
            "title": f"Task number {number}", "description": text, "priority": "high", "completed": number % 3 == 0,
            "due_date": 1_764_115_261 + number * 997 % 100_000}, ensure_ascii=False).encode() + b"\n"
        for number in range(count))


class BulkCase(unittest.TestCase):

    engine: str

    @contextmanager
    def serving(self) -> Iterator[ServiceProcess]:
        """Run a service of its own in the block."""
        with quick_folder() as name, running(
                Path(name), ENGINES[self.engine](Path(name)), http={
                    "max-ndjson-lines": max(SIZES), "max-ndjson-body": 64 * MIB, "max-body-memory": 128 * MIB,
                    "answer-timeout": 60}) as service:
            yield service

    # --- Other writers ---

    async def write_until(self, done: asyncio.Event, port: int) -> float:
        """Create a task again and again; return the seconds that the slowest took."""
        client, slowest = KeptConnection(port), 0.0
        while not done.is_set():
            answer = await client.ask("POST", "/tasks", b'{"title": "other"}')
            self.assertEqual(answer.status, 201)
            slowest = max(slowest, answer.seconds)
            await asyncio.sleep(0.005)
        client.close()
        return slowest

    async def hold(self, body: bytes, port: int) -> tuple[float, float]:
        """Send a bulk beside another writer; return the seconds of the bulk, and of the other's slowest write."""
        done, client = asyncio.Event(), KeptConnection(port)
        other = asyncio.create_task(self.write_until(done, port))
        await asyncio.sleep(0.05)
        answer = await client.ask("POST", "/tasks", body, Content_Type=NDJSON)
        done.set()
        self.assertEqual(answer.status, 200)
        client.close()
        return answer.seconds, await other

    def check_others(self) -> None:
        """They wait for as long as the transaction takes."""
        service = self.enterContext(self.serving())
        for size in SIZES:
            body = lines_of(WORDS, size)
            self.assertAlmostEqual(len(body) / size, 200, delta=5)
            took = [asyncio.run(self.hold(body, service.port)) for _ in range(BULKS)]
            print(f"\n{self.engine}: bulks of {size} tasks of 200 bytes, and the slowest write beside: " + ", ".join(
                f"{bulk * 1000:.0f} and {other * 1000:.0f} ms" for bulk, other in took), flush=True)
            # What else the machine does only adds to it: the least is what the bulk does.
            self.assertLess(min(other for _, other in took), at_most(HELD * size / min(SIZES)))

    # --- Memory ---

    @contextmanager
    def growth(self, service: ServiceProcess) -> Iterator[list[int]]:
        """Note by how much the process grows in the block, at the most."""
        before, done = own_memory(service.process.pid), threading.Event()
        peak = [0]

        def watch() -> None:
            while not done.wait(0.002):
                peak[0] = max(peak[0], own_memory(service.process.pid) - before)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield peak
        finally:
            done.set()
            watcher.join()

    def send_twice(self, body: bytes) -> int:
        """Send a bulk with a key, twice, to a fresh process: it is there once. Return its peak of memory."""
        headers = {"Content_Type": NDJSON, "Idempotency_Key": f"{len(body)}"}
        with self.serving() as service, peer(service.port) as client:
            client.sock.settimeout(120)
            client.ask("GET", "/tasks")  # what is loaded at first
            with self.growth(service) as peak:
                code, fields, first = client.ask("POST", "/tasks", body, **headers)
            self.assertEqual((code, fields.get("idempotent-replayed")), (200, None))
            code, fields, again = client.ask("POST", "/tasks", body, **headers)
        self.assertEqual((code, fields.get("idempotent-replayed")), (200, "true"))
        self.assertTrue(first == again)  # assertEqual would take minutes to find the difference
        self.assertEqual(len(json_lines(first)), body.count(b"\n"))
        return peak[0]

    def check_memory(self) -> None:
        """It is in proportion to the body, and to its lines."""
        for name, body in (
                ("tiny tasks", b'{"title":"a"}\n' * 10_000), ("tasks of 200 bytes", lines_of(WORDS, 10_000)),
                ("tasks of 1.7 KB", lines_of("x" * 1_600, 9_900)), ("tasks of 65 KB", lines_of("x" * 65_000, 256)),
                ("tasks of 65 KB and one emoji", lines_of("x" * 65_000 + "\U0001f600", 256)),
                ("tasks of 65 KB of U+FDFA, which folding makes longer", lines_of("\ufdfa" * 21_600, 256)),
                ("tasks of 1.6 KB of it", lines_of("\ufdfa" * 500, 9_900))):
            most = 4 * len(body) + A_LINE * body.count(b"\n") + FIXED
            peak = self.send_twice(body)
            print(f"\n{self.engine}: {name}, {len(body) / MIB:.1f} MiB in {body.count(10)} lines: "
                  f"+{peak / MIB:.1f} MiB of {most / MIB:.1f}", flush=True)
            self.assertLess(peak, most, name)


class BulkOnSqliteTest(BulkCase):

    engine = "sqlite"

    def test_others_hardly_wait(self) -> None:
        self.check_others()

    def test_memory_is_in_proportion(self) -> None:
        self.check_memory()


@unittest.skipIf(postgres.available() is not None, postgres.available() or "")
class BulkOnPostgresTest(BulkCase):

    engine = "postgres"

    def test_others_hardly_wait(self) -> None:
        self.check_others()

    def test_memory_is_in_proportion(self) -> None:
        self.check_memory()


if __name__ == "__main__":
    unittest.main()
