"""Large bodies of very many clients: what they take together, of a real process, and what each client gets."""

import asyncio
import hashlib
import json
import socket
import struct
import threading
import time
import tracemalloc
import unittest
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

from taskservice.tornado.fast import HandlerDelegate
from taskservice.tornado.handlers.tasks import TodoListRequestHandler
from tests.contract import quick_folder
from tests.helpers.api import NDJSON, until
from tests.helpers.load import own_memory
from tests.helpers.processes import ServiceProcess
from tests.helpers.raw import Peer, peer, request
from tests.helpers.running import TOKENS, WRITER, ServedTestCase, bearer, running, samples, total

MIB = 2 ** 20
SIZE = 15 * MIB
BODY = b'{"title": "a"}\n' + b" " * (SIZE - 15)
OTHER = "secret-of-another-writer"
UPLOADS = 20


def now_and_peak(text: bytes) -> tuple[float, float]:
    """Return what large bodies take, and what they took at most, as /metrics says."""
    found = samples(text.decode())
    return (
        total(found["taskservice_body_memory_bytes"]), total(found["taskservice_body_memory_peak_bytes"]))


class PeakTest(unittest.TestCase):
    """20 uploads of 15 MiB at once, by two tokens, with the limits of the default config."""

    def setUp(self) -> None:
        folder = Path(self.enterContext(quick_folder()))
        self.service = self.enterContext(running(folder, {"memory": None}, auth={"tokens": self.tokens()}))
        self.enterContext(peer(self.service.port))  # it has served somebody

    def tokens(self) -> Sequence[Mapping[str, str]]:
        """Return two tokens that may write."""
        sha256 = hashlib.sha256(OTHER.encode()).hexdigest()
        return [*TOKENS, {"name": "other", "scope": "write", "sha256": sha256}]

    def begin(self, number: int) -> Peer:
        """Send all of an upload but its last byte."""
        client = Peer(self.service.port)
        self.addCleanup(client.close)
        secret = (WRITER, OTHER)[number % 2]
        client.send(request("POST", "/tasks", BODY, Content_Type=NDJSON, **bearer(secret))[:-1])
        return client

    def test_they_take_no_more_than_their_budget(self) -> None:
        before = own_memory(self.service.process.pid)
        with Watch(self.service) as watch, ThreadPoolExecutor(UPLOADS) as pool:
            clients = list(pool.map(self.begin, range(UPLOADS)))
            outcomes = list(pool.map(self.finish, clients))
        # Without a budget they take 300 MiB. Beside it there is what 20 connections have read just now, and the bulk
        # that is made of a body, at whose side others come on a busy machine.
        self.assertLess(watch.peak - before, 128 * MIB)
        self.assertGreaterEqual(outcomes.count(200), 2, "each token had room for two")
        self.assertEqual(outcomes.count(200) + outcomes.count(503), UPLOADS)
        self.assertGreaterEqual(outcomes.count(503), UPLOADS - 4)
        with peer(self.service.port) as client:
            now, peak = now_and_peak(client.ask("GET", "/metrics", **bearer(WRITER))[2])
        self.assertEqual(now, 0)
        self.assertLessEqual(peak, 64 * MIB)
        self.assertGreater(peak, 20 * MIB)

    def finish(self, client: Peer) -> int:
        """Send the last byte, and return the status."""
        client.send(b"\n")
        status, headers, body = client.answer()
        if status == 503:
            self.assertEqual(headers["retry-after"], "1")
            self.assertIn("(max-body-memory)", json.loads(body)["message"])
        return status


class Watch:
    """Looks at a process's own memory while the block runs."""

    def __init__(self, service: ServiceProcess) -> None:
        self.peak = 0
        self._pid = service.process.pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._over.is_set():
            self.peak = max(self.peak, own_memory(self._pid))
            time.sleep(0.002)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def reset(writer: asyncio.StreamWriter) -> None:
    """Leave by a reset."""
    writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class BudgetCase(ServedTestCase):

    http = {"max_body": 1_000, "max_ndjson_body": 10_000, "max_body_memory": 20_000}
    LINES = b'{"title": "a"}\n' + b" " * 9_984 + b"\n"

    def run_in_loop(self, talk: Any) -> None:
        """Run a client beside the service."""
        self.io_loop.run_sync(talk, timeout=30)

    async def connect(self, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send bytes on a connection of their own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.get_http_port())
        writer.write(data)
        return reader, writer

    def taken(self) -> float:
        """Return what bodies take now."""
        return now_and_peak(self._app.dependencies.metrics.render())[0]

    def upload(self, size: int, **fields: str) -> bytes:
        """Return an upload of this many bytes, beside its head."""
        head = request("POST", "/tasks", b"", len(self.LINES), Content_Type=NDJSON, **fields)
        return head + self.LINES[:size]

    async def see_taken(self, size: int) -> None:
        """Wait until bodies take so much."""
        await until(lambda: self.taken() == size, f"{size} bytes")


class BudgetTest(BudgetCase):
    """Who gets what of it, and when it is given back."""

    def test_it_is_given_back_by_one_that_leaves_and_one_that_is_cut(self) -> None:
        async def talk() -> None:
            _, leaving = await self.connect(self.upload(5_000))
            await self.see_taken(5_000)
            _, ending = await self.connect(self.upload(4_000))
            await self.see_taken(9_000)
            reset(leaving)
            await self.see_taken(4_000)
            ending.write_eof()
            await self.see_taken(0)
            ending.close()

        self.run_in_loop(talk)

    def test_it_is_held_as_long_as_a_handler_has_the_body(self) -> None:
        async def talk() -> None:
            begun, gate = asyncio.Event(), asyncio.Event()

            async def post(handler: TodoListRequestHandler) -> None:
                begun.set()
                await gate.wait()

            with mock.patch.object(TodoListRequestHandler, "post", post):
                _, writer = await self.connect(self.upload(10_000))
                await begun.wait()
                self.assertEqual(self.taken(), 10_000)
                refused, other = await self.connect(self.upload(1_001))
                self.assertIn(b"503", await refused.readline())
                other.close()
                reset(writer)
                await self.see_taken(10_000)
                gate.set()
                await self.see_taken(0)

        self.run_in_loop(talk)

    def test_what_is_small_draws_nothing_and_is_served_while_all_is_taken(self) -> None:
        async def talk() -> None:
            _, writer = await self.connect(self.upload(9_999))
            await self.see_taken(9_999)
            for size, status in ((1_000, b"200"), (1_001, b"503")):
                reader, other = await self.connect(
                    request("POST", "/tasks", self.LINES[:15].ljust(size), Content_Type=NDJSON))
                line = await reader.readline()
                self.assertIn(status, line, size)
                other.close()
            reset(writer)
            await self.see_taken(0)

        self.run_in_loop(talk)


class BehindProxyTest(BudgetCase):
    """The test is a proxy that is trusted, and there are no tokens: each client has a share of its own."""

    http = {**BudgetCase.http, "trusted_proxies": ("127.0.0.1", "10.0.0.0/8")}

    async def status(self, chain: str) -> bytes:
        """Return the status line of an upload that comes whole, of a client behind this chain."""
        reader, writer = await self.connect(self.upload(10_000, X_Forwarded_For=chain))
        line = await reader.readline()
        writer.close()
        return line

    def test_each_client_has_its_share_whatever_it_says_of_others(self) -> None:
        async def talk() -> None:
            _, writer = await self.connect(self.upload(9_999, X_Forwarded_For="203.0.113.7"))
            await self.see_taken(9_999)
            for chain in ("203.0.113.7", "1.1.1.1, 203.0.113.7", "1.1.1.1, 203.0.113.7, 10.0.0.2"):
                self.assertIn(b"503", await self.status(chain), chain)
            for chain in ("203.0.113.8", "203.0.113.7, 203.0.113.8"):
                self.assertIn(b"200", await self.status(chain), chain)
                await self.see_taken(9_999)
            reset(writer)
            await self.see_taken(0)

        self.run_in_loop(talk)

    def test_the_addresses_of_a_network_of_ipv6_share(self) -> None:
        """One host has all 2^64 of them."""
        async def talk() -> None:
            _, writer = await self.connect(self.upload(9_999, X_Forwarded_For="2001:db8:0:1::1"))
            await self.see_taken(9_999)
            self.assertIn(b"503", await self.status("2001:db8:0:1:ffff::2"))
            self.assertIn(b"200", await self.status("2001:db8:0:2::1"))
            reset(writer)
            await self.see_taken(0)

        self.run_in_loop(talk)


class NoProxyTest(BudgetCase):
    """Nobody is trusted: what a client says of its address gets it no other share."""

    def test_an_address_that_a_client_made_up_is_no_other_owner(self) -> None:
        async def talk() -> None:
            _, writer = await self.connect(self.upload(9_999, X_Forwarded_For="203.0.113.7"))
            await self.see_taken(9_999)
            reader, other = await self.connect(self.upload(10_000, X_Forwarded_For="203.0.113.8"))
            self.assertIn(b"503", await reader.readline())
            other.close()
            reset(writer)
            await self.see_taken(0)

        self.run_in_loop(talk)


class PiecesTest(unittest.TestCase):

    def test_a_body_that_comes_in_pieces_is_in_memory_once(self) -> None:
        nothing: Any = None
        delegate = HandlerDelegate(nothing, nothing, nothing, {}, ())
        tracemalloc.start()
        try:
            for _ in range(160):
                delegate.data_received(bytes(100_000))
            body = delegate._whole_body()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        self.assertEqual(len(body), 16_000_000)
        self.assertLess(peak, 1.25 * 16_000_000)


class LimitsTest(ServedTestCase):

    http = {"max_body_memory": 50_000_000, "min_body_rate": 7.5}

    def test_the_server_has_those_of_the_config(self) -> None:
        server: Any = self.http_server
        self.assertEqual((server.limits.body_memory, server.limits.min_body_rate), (50_000_000, 7.5))


if __name__ == "__main__":
    unittest.main()
