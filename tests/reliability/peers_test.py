"""Slow and hostile peers (RELIABILITY.md 7): cut at their limit, while the others are served."""

import asyncio
import contextlib
import resource
import socket
import time
import unittest
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from taskservice.http1.limits import Limits
from tests.contract import quick_folder
from tests.helpers import timing
from tests.helpers.api import NDJSON, until
from tests.helpers.app import ENGINES
from tests.helpers.load import KeptConnection, Mix, NotSent, Unanswered, descriptors, percentile, rss
from tests.helpers.processes import ServiceProcess
from tests.helpers.raw import peer, request
from tests.helpers.running import running
from tests.helpers.timing import FULL, at_most

IDLE = 10_000 if FULL else 2_000
SLOW = 500 if FULL else 50
"""Slow peers of each kind."""

ROUNDS = 20 if FULL else 3
LIMIT = 2.0
"""Seconds that the slow ones have."""

LATE = 3.0
"""Seconds by which they may be cut late, on a busy machine."""


class PeersCase(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))

    def serve(self, engine: str = "memory", **limits: Any) -> ServiceProcess:
        """Start the service; `a_b` is the key a-b of its http."""
        http = {name.replace("_", "-"): value for name, value in limits.items()}
        task_db: Mapping[str, Any] = ENGINES[engine](self.folder)
        self.service: ServiceProcess = self.enterContext(running(self.folder, task_db, http=http))
        self.pid = self.service.process.pid
        return self.service

    async def load(self, clients: int, stop: asyncio.Event) -> list[float]:
        """Be good clients until asked to stop; return how long each answer took."""
        took: list[float] = []

        async def one(number: int) -> None:
            mix = Mix(self.service.port, number)
            while not stop.is_set():
                took.append((await mix.step()).seconds)
                await asyncio.sleep(0.02)
            mix.client.close()

        await asyncio.gather(*(one(number) for number in range(clients)))
        return took


class IdleTest(PeersCase):

    def test_many_idle_connections(self) -> None:
        self.serve(idle_timeout=15 if FULL else 6)
        asyncio.run(self.idle())

    async def idle(self) -> None:
        """Hold many connections that say nothing, and be served beside them."""
        before, files = rss(self.pid), descriptors(self.pid)
        held: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        for _ in range(IDLE // 100):
            held += await asyncio.gather(*(
                asyncio.open_connection("127.0.0.1", self.service.port) for _ in range(100)))
        await until(lambda: descriptors(self.pid) >= files + IDLE, "all are let in", 30)
        each = (rss(self.pid) - before) / IDLE
        stop = asyncio.Event()
        load = asyncio.create_task(self.load(8, stop))
        ends = await asyncio.gather(*(reader.read() for reader, _ in held))
        self.assertEqual(set(ends), {b""}, "cut at the limit, without a word")
        stop.set()
        took = await load
        print(f"\n{IDLE} idle connections: {each / 1024:.1f} KiB each; beside them {len(took)} answers, "
              f"p99 {percentile(took, 0.99) * 1000:.0f} ms")
        for _, writer in held:
            writer.close()
        await until(lambda: descriptors(self.pid) <= files + 8, "their descriptors are back", 10)
        self.assertLess(each, 16 * 1024)
        self.assertLess(percentile(took, 0.99), at_most(1))


class SlowTest(PeersCase):

    def test_slow_heads_bodies_and_readers(self) -> None:
        self.serve(header_timeout=LIMIT, body_timeout=LIMIT, reader_timeout=LIMIT)
        line = b'{"title": "%b"}\n' % (b"x" * 10_000)
        with peer(self.service.port) as client:
            self.assertEqual(client.ask("POST", "/tasks", line * 1_000, Content_Type=NDJSON)[0], 200)
        asyncio.run(self.slow())
        self.assertEqual(self.service.stop(), 0)

    async def slow(self) -> None:
        """Let many be slow, each in one way, and some be as they should."""
        stop = asyncio.Event()
        load = asyncio.create_task(self.load(8, stop))
        await asyncio.sleep(1)
        before, files = rss(self.pid), descriptors(self.pid)
        kinds = (self.slow_head, self.slow_body, self.slow_reader)
        started = time.monotonic()
        lasted = await asyncio.gather(*(kind() for kind in kinds for _ in range(SLOW)))
        grown = rss(self.pid) - before
        stop.set()
        took = await load
        print(f"\n{len(lasted)} slow peers were cut after {min(lasted):.1f} to {max(lasted):.1f} s of {LIMIT:.0f}, "
              f"RSS +{grown / 2 ** 20:.0f} MiB; beside them {len(took)} answers, "
              f"p99 {percentile(took, 0.99) * 1000:.0f} ms")
        # A body that comes byte by byte has Limits.body_grace until its rate counts.
        self.assertLess(max(lasted), at_most(Limits().body_grace + LIMIT + LATE))
        self.assertGreater(min(lasted), LIMIT - 0.1)
        self.assertLess(time.monotonic() - started, 60)
        self.assertLess(percentile(took, 0.99), at_most(1))
        await until(lambda: descriptors(self.pid) <= files, "their descriptors are back", 10)
        # A slow reader costs no more than the piece of the list that waits for it: here 1 MB.
        self.assertLess(grown, SLOW * 2 * 2 ** 20 + 50 * 2 ** 20)

    async def drip(self, data: bytes) -> float:
        """Send a byte at a time until cut; return after how many seconds that was."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.service.port)
        started = time.monotonic()
        cut = asyncio.create_task(reader.read())
        for byte in data:
            if cut.done():
                break
            writer.write(bytes([byte]))
            self.assertLess(time.monotonic() - started, 30, "it was not cut")
            await asyncio.wait([cut], timeout=0.2)
        answer = await asyncio.wait_for(cut, 30)
        self.assertIn(b" 408 ", answer.splitlines()[0])
        writer.close()
        return time.monotonic() - started

    async def slow_head(self) -> float:
        """Be one with a head that does not end."""
        return await self.drip(request("GET", "/tasks", X="x" * 1000)[:-4])

    async def slow_body(self) -> float:
        """Be one with a body that does not end."""
        head = request("POST", "/tasks", b"", 5000)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.service.port)
        started = time.monotonic()
        writer.write(head)
        cut = asyncio.create_task(reader.read())
        while not cut.done():
            self.assertLess(time.monotonic() - started, 30, "it was not cut")
            writer.write(b"x")
            await asyncio.wait([cut], timeout=0.2)
        self.assertIn(b" 408 ", (await cut).splitlines()[0])
        writer.close()
        return time.monotonic() - started

    async def slow_reader(self) -> float:
        """Be one who asks for 10 MB and reads nothing."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", self.service.port))
        started = time.monotonic()
        await loop.sock_sendall(sock, request("GET", "/tasks"))
        with contextlib.closing(sock):
            while not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                await asyncio.sleep(0.05)
                self.assertLess(time.monotonic() - started, 30, "it was not cut")
        return time.monotonic() - started


class DescriptorsTest(PeersCase):
    """File descriptors run out, again and again; a second after there are some, all is well."""

    def run_out(self, engine: str) -> None:
        """Let them run out on an engine."""
        self.serve(engine)
        asyncio.run(self.rounds(engine))
        self.assertEqual(self.service.stop(), 0)

    async def rounds(self, engine: str) -> None:
        """Use them up, release them, and ask."""
        client = KeptConnection(self.service.port)
        await self.write(client)
        _, most = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)
        room = descriptors(self.pid) + 10
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (room, most))
        slowest, statuses = 0.0, set()
        for _ in range(ROUNDS):
            held = [await asyncio.open_connection("127.0.0.1", self.service.port) for _ in range(30)]
            await until(lambda: descriptors(self.pid) >= room, "none is left", 10)
            statuses |= {(await client.ask("POST", "/tasks", b'{"title": "b"}')).status for _ in range(3)}
            for _, writer in held:
                writer.close()
            started = time.monotonic()
            late = KeptConnection(self.service.port)
            await self.write(late)
            slowest = max(slowest, time.monotonic() - started)
            late.close()
        client.close()
        await asyncio.sleep(0)  # so that it is closed
        print(f"\n{engine}: {ROUNDS} times without a descriptor; writes meanwhile: {statuses}; "
              f"all well again after {slowest:.2f} s")
        self.assertLess(slowest, at_most(1))
        self.assertLessEqual(statuses, {201, 503, 507})

    async def write(self, client: KeptConnection) -> None:
        """Create a task, read it and delete it."""
        answer = await client.ask("POST", "/tasks", b'{"title": "a"}')
        self.assertEqual(answer.status, 201)
        path = answer.headers["location"]
        self.assertEqual((await client.ask("GET", path)).body, b'{"title": "a"}')
        self.assertEqual((await client.ask("DELETE", path)).status, 204)

    def test_on_memory(self) -> None:
        self.run_out("memory")

    def test_on_fs(self) -> None:
        self.run_out("fs")

    def test_on_sqlite(self) -> None:
        self.run_out("sqlite")


class ConnectionsTest(PeersCase):
    """As many connections as the limit lets in, all busy, and more that wait for their turn.

    What waits for long is a 503, and its client comes again: connections beyond the limit are kept for probes. There a
    client that takes longer than 25 ms to send its request gives way to others, as clients do on a busy machine.
    """

    def test_more_clients_than_connections(self) -> None:
        self.serve(max_connections=20)
        asyncio.run(self.crowd())

    async def crowd(self) -> None:
        """Have many more clients than connections, each with one request a connection."""
        async def one(number: int) -> int:
            while True:
                client = KeptConnection(self.service.port)
                try:
                    answer = await client.ask("GET", "/tasks", Connection="close")
                except Unanswered:
                    if timing.IDLE:
                        raise
                    continue
                if answer.status != 503:
                    return answer.status
                await asyncio.sleep(0.1)

        lost: Callable[[Any], bool] = lambda result: isinstance(result, (NotSent, Unanswered))
        results = await asyncio.gather(*(one(n) for n in range(400)), return_exceptions=True)
        self.assertEqual([result for result in results if lost(result)], [])
        self.assertEqual(set(results), {200})


del PeersCase

if __name__ == "__main__":
    unittest.main()
