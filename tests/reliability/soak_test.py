"""A long run under a steady mixed load: memory and file descriptors stay as they are.

30 minutes at full size, with a slope of less than 1 MiB in 10 minutes; in the short form half a minute,
in which only what leaks fast is seen. The memory is the process's own: the database's file, which SQLite
maps, grows by a tombstone for each task that is deleted, for a week.
"""

import asyncio
import time
import unittest
from contextlib import suppress
from pathlib import Path

from tests.contract import quick_folder
from tests.helpers.load import (
    KeptConnection, Mix, NotSent, Unanswered, descriptors, own_memory, percentile, rss, slope)
from tests.helpers.raw import request
from tests.helpers.running import running
from tests.helpers.timing import FULL

SECONDS = 30 * 60.0 if FULL else 30.0
WARM = 5 * 60.0 if FULL else 12.0
"""Seconds until caches are full, pools are made and the store has its size."""

CLIENTS = 16
MOST = 1.0 if FULL else 90.0
"""MiB that the memory may grow in 10 minutes. In the short form, of 18 seconds, one MiB of noise counts as 33; on
a busy machine the store also gets its size late."""


class SoakTest(unittest.TestCase):

    def test_nothing_grows(self) -> None:
        folder = Path(self.enterContext(quick_folder()))
        service = self.enterContext(running(folder, {"sqlite": str(folder / "tasks.db")}))
        self.port, self.pid = service.port, service.process.pid
        asyncio.run(self.soak())
        self.assertEqual(service.stop(), 0)

    async def soak(self) -> None:
        """Keep it busy, and look at it every second."""
        self.done = asyncio.Event()
        self.took: list[float] = []
        work = [asyncio.create_task(self.busy(number)) for number in range(CLIENTS)]
        work += [asyncio.create_task(self.comes_and_goes()), asyncio.create_task(self.follows()),
                 asyncio.create_task(self.lists())]
        memory: list[tuple[float, float]] = []
        whole: list[tuple[float, float]] = []
        files: list[int] = []
        started = time.monotonic()
        while (now := time.monotonic() - started) < SECONDS:
            await asyncio.sleep(1)
            for task in work:
                if task.done():
                    task.result()  # its error ends the test
            if now > WARM:
                memory.append((now / 600, own_memory(self.pid) / 2 ** 20))
                whole.append((now / 600, rss(self.pid) / 2 ** 20))
                files.append(descriptors(self.pid))
        self.done.set()
        await asyncio.gather(*work)
        growth = slope(memory)
        print(f"\n{SECONDS / 60:.1f} minutes: {len(self.took)} answers, "
              f"p99 {percentile(self.took, 0.99) * 1000:.0f} ms, p99.9 {percentile(self.took, 0.999) * 1000:.0f} ms; "
              f"memory {memory[0][1]:.1f} to {memory[-1][1]:.1f} MiB, {growth:+.2f} MiB in 10 minutes "
              f"(with mapped files {whole[0][1]:.1f} to {whole[-1][1]:.1f} MiB, {slope(whole):+.2f} MiB); "
              f"{min(files)} to {max(files)} descriptors")
        self.assertLess(growth, MOST)
        third = len(files) // 3
        self.assertLessEqual(abs(max(files[-third:]) - max(files[:third])), 3, "descriptors")

    async def busy(self, number: int) -> None:
        """Be a client of the usual kind."""
        mix = Mix(self.port, number)
        while not self.done.is_set():
            self.took.append((await mix.step()).seconds)
            await asyncio.sleep(0.01)
        mix.client.close()

    async def comes_and_goes(self) -> None:
        """Be a client on a new connection each time, and sometimes one that leaves in the middle."""
        turn = 0
        while not self.done.is_set():
            turn += 1
            client = KeptConnection(self.port)
            with suppress(Unanswered, NotSent):
                answer = await client.ask("GET", "/tasks?limit=100", X_Request_Id=f"r{turn}")
                assert answer.status == 200, answer
            client.close()
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(request("GET", "/tasks") if turn % 2 else request("POST", "/tasks", b"{", 9))
            await asyncio.sleep(0.05)
            writer.close()

    async def follows(self) -> None:
        """Follow the changes for a while, again and again."""
        while not self.done.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(request("GET", "/changes", Accept="text/event-stream"))
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    while await reader.read(65_536):
                        pass
            writer.close()

    async def lists(self) -> None:
        """Read what is large: all tasks, in each form, and the measurements."""
        client = KeptConnection(self.port)
        while not self.done.is_set():
            for path, fields in (
                    ("/tasks", {}), ("/tasks", {"Accept_Encoding": "gzip"}), ("/metrics", {}),
                    ("/tasks", {"Accept": "application/x-ndjson"}), ("/changes", {}), ("/openapi.json", {}),
                    (f"/{time.monotonic_ns()}", {})):
                answer = await client.ask("GET", path, **fields)
                assert answer.status in (200, 404), answer
            await asyncio.sleep(0.2)
        client.close()


if __name__ == "__main__":
    unittest.main()
