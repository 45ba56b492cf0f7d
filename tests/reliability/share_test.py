"""One client takes as much as it can of one thing: what it gets, and what others notice (RELIABILITY.md 10).

The table of `docs/reliability.md`, "What one client can take", has its figures. Searches have a test of their own.
"""

import asyncio
import unittest
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from tests.contract import quick_folder
from tests.helpers.api import EVENT_STREAM, NDJSON
from tests.helpers.app import ENGINES
from tests.helpers.load import KeptConnection
from tests.helpers.processes import ServiceProcess
from tests.helpers.raw import peer, request
from tests.helpers.running import running
from tests.helpers.timing import FULL
from tests.helpers.timing import at_most
from tests.reliability.watching import ASKED, Others

TASKS = 200_000 if FULL else 20_000
SECONDS = 10.0 if FULL else 1.5
CONNECTIONS = 2_000 if FULL else 200
STREAMS = 500 if FULL else 50
BULKS = 10 if FULL else 2
HEADER_TIMEOUT = 5 if FULL else 2

MOST, MOST_IN_A_BULK = (0.1, 0.3) if FULL else (0.3, 0.9)
"""Seconds that 99 of 100 requests of others may take, on an idle machine; in the short form, of any speed."""

MIB = 1 << 20
LINE = b'{"title": "%b", "description": "%b"}\n' % (b"t" * 40, b"d" * 140)


class ShareTest(unittest.TestCase):

    def setUp(self) -> None:
        folder = Path(self.enterContext(quick_folder()))
        self.service: ServiceProcess = self.enterContext(running(folder, ENGINES["sqlite"](folder), http={
            "max-connections": CONNECTIONS, "max-event-streams": STREAMS, "header-timeout": HEADER_TIMEOUT,
            "answer-timeout": 60}))  # the machine may be busy
        self.port = self.service.port

    async def fill(self) -> None:
        """Create tasks, in bulks."""
        client = KeptConnection(self.port)
        for _ in range(TASKS // 10_000):
            self.assertEqual((await client.ask("POST", "/tasks", LINE * 10_000, Content_Type=NDJSON)).status, 200)
        client.close()

    def check(self, name: str, attack: Callable[[AsyncExitStack], Awaitable[str]], most: float = MOST) -> None:
        """Let others go on beside an attack; print, and check, what they noticed."""
        asyncio.run(self.beside(name, attack, most))

    async def beside(
        self, name: str, attack: Callable[[AsyncExitStack], Awaitable[str]], most: float
    ) -> None:
        """Do so; what an attack holds is let go at the end."""
        await self.fill()
        async with AsyncExitStack() as held:
            async with Others(self.port, self.service.process.pid) as others:
                outcome = await attack(held)
                await asyncio.sleep(SECONDS)
        print(f"\n{name}: {outcome}; beside it p99 {others.summary()}", flush=True)
        for what, seen in others.seen.items():
            self.assertEqual(seen.failed, 0, what)
            self.assertLess(seen.p99, at_most(MOST_IN_A_BULK if what == "POST" else most), what)

    async def connect(self, held: AsyncExitStack) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, until the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        held.callback(writer.close)
        return reader, writer

    def test_answers_that_nobody_reads(self) -> None:
        async def attack(held: AsyncExitStack) -> str:
            for _ in range(10):
                reader, writer = await self.connect(held)
                reader._transport.pause_reading()  # type: ignore[attr-defined]  # it has no public way
                writer.write(request("GET", "/tasks"))
            return "10 whole lists asked for, none read"
        self.check("stalled readers", attack)

    def test_bodies_that_do_not_end(self) -> None:
        async def attack(held: AsyncExitStack) -> str:
            statuses: list[bytes] = []

            async def send() -> None:
                reader, writer = await self.connect(held)
                writer.write(request("POST", "/tasks", LINE * (4 * MIB // len(LINE)), 16 * MIB, Content_Type=NDJSON))
                statuses.append((await reader.readline()).split()[1])

            for _ in range(20):
                sending = asyncio.create_task(send())
                held.callback(sending.cancel)
                await asyncio.sleep(0.02)
            await asyncio.sleep(SECONDS)
            self.assertEqual(set(statuses), {b"503"})
            return f"20 bodies of 16 MiB, of which 4 MiB come: {len(statuses)} refused"
        self.check("bodies", attack)

    def test_bulks_one_after_the_other(self) -> None:
        async def attack(held: AsyncExitStack) -> str:
            async def send() -> None:
                client = KeptConnection(self.port)
                held.callback(client.close)
                for _ in range(BULKS):
                    self.assertEqual(
                        (await client.ask("POST", "/tasks", LINE * 10_000, Content_Type=NDJSON)).status, 200)

            await asyncio.gather(send(), send())
            return f"2 clients sent {BULKS} bulks of 10,000 tasks of 200 bytes each"
        self.check("bulks", attack, MOST_IN_A_BULK)

    def test_event_streams(self) -> None:
        async def attack(held: AsyncExitStack) -> str:
            statuses = []
            for _ in range(STREAMS + 20):
                reader, writer = await self.connect(held)
                writer.write(request("GET", "/changes", Accept=EVENT_STREAM))
                statuses.append((await reader.readline()).split()[1])
            self.assertEqual(statuses.count(b"503"), 20, set(statuses))
            return f"{STREAMS} event streams, 20 more refused"
        self.check("event streams", attack)

    def test_connections(self) -> None:
        async def attack(held: AsyncExitStack) -> str:
            for _ in range(CONNECTIONS):
                await self.connect(held)
            probe = KeptConnection(self.port)
            answer = await probe.ask("GET", "/healthz")
            probe.close()
            self.assertEqual(answer.status, 200)
            return f"{CONNECTIONS} connections of {CONNECTIONS} that say nothing, a new one gets /healthz"
        self.check("connections", attack)

    def test_heads_that_do_not_end(self) -> None:
        """More of them than there may be connections, so that those kept for probes are tried, too."""
        async def attack(held: AsyncExitStack) -> str:
            ends: Counter[bytes] = Counter()

            async def be_slow() -> None:
                while True:
                    ends[await self.drip(request("GET", "/tasks", X="x" * 15_000)[:-4])] += 1

            for _ in range(CONNECTIONS + 50):
                held.callback(asyncio.create_task(be_slow()).cancel)
            probes: Counter[int] = Counter()
            while ends[b"408"] < CONNECTIONS - len(ASKED) or not probes[200]:
                probes[await asyncio.to_thread(self.probe)] += 1
            self.assertLessEqual(set(ends), {b"408", b""}, "one on a connection for probes is cut")
            self.assertLessEqual(set(probes), {200, 0}, "one whose request comes late gives way to others")
            return (f"{CONNECTIONS + 50} clients with heads of 15 KB, a byte each second, again and again:"
                    f" {ends[b'408']} are 408; of {probes.total()} new clients {probes[200]} get /healthz")
        self.check("slow heads", attack)

    def probe(self) -> int:
        """Ask on a new connection how the service is; return the status, 0 if there was no answer."""
        with peer(self.port) as client:
            try:
                return client.ask("GET", "/healthz")[0]
            except EOFError:
                return 0

    async def drip(self, data: bytes) -> bytes:
        """Send this and then a byte each second until cut; return the status, none if there was no answer."""
        async with AsyncExitStack() as held:
            try:
                reader, writer = await self.connect(held)
                writer.write(data)
                answer = asyncio.create_task(reader.read())
                held.callback(answer.cancel)
                while not answer.done():
                    await asyncio.wait([answer], timeout=1)
                    writer.write(b"x")
                return (await answer)[9:12]
            except ConnectionError:
                return b""


if __name__ == "__main__":
    unittest.main()
