"""The same bytes get the same answers, however they are cut into packets.

The connection is the real one, in a loop of its own; only the kernel's part is played here, so that a piece is what
this test says it is.
"""

import asyncio
import logging
import re
import time
import unittest
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from taskservice.http1.connection import Connection
from taskservice.http1.server import HTTP1Server, Limits
from tests.helpers.http1_app import App
from tests.helpers.strategies import cut_into, property_settings
from tests.helpers.timing import at_most

LIMITS = Limits(header_bytes=300, body_bytes=40)

STARTS = (
    b"GET /a HTTP/1.1\r\nHost: h\r\n", b"POST /b?c=d HTTP/1.1\r\nHost: h\r\n", b"HEAD / HTTP/1.1\r\nhost: h\r\n",
    b"GET /a HTTP/1.0\r\n", b"OPTIONS * HTTP/1.3\r\nHost: h\r\n", b"M-SEARCH http://h/a HTTP/1.1\r\nHost: i\r\n",
    "PUT /ä HTTP/1.1\r\nHost: h\r\n".encode())
FIELDS = (
    b"X: y\r\n", b"A:\r\n", b"X: \xe4 \t\r\n", b"Connection: close\r\n", b"Connection: keep-alive, x\r\n",
    b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\nConnection: upgrade\r\n", b"X: " + b"y" * 100 + b"\r\n",
    b"Content-Length: 0\r\n")
BODIES = (
    b"\r\n", b"Content-Length: 3\r\n\r\nabc", b"Content-Length: 40\r\n\r\n" + b"d" * 40,
    b"Content-Length: 41\r\n\r\n" + b"d" * 41, b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n20\r\n" + b"d" * 32 + b"\r\n8\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n29\r\n" + b"d" * 41 + b"\r\n0\r\n\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
BROKEN = (
    b"\r", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n", b"\r\n ", b" ", b"\t", b"\0", b"\x7f", b"\xff", b":", b"/", b"#",
    b"*", b"%", b"?", b"HTTP/1.1", b"HTTP/2.0", b"get ", b"GET", b"A" * 33, b"Host: i\r\n",
    b"Content-Length: 4\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: +1\r\n", b"x" * 250,
    b"X: " + b"y" * 300 + b"\r\n", b"\xc3\xa4", b"0" * 20, b";", b",", b"5\r\nabcde\r\n", b"0\r\n\r\n", b"g\r\n")


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Return a request as it should be, or almost."""
    fields = draw(st.lists(st.sampled_from(FIELDS), max_size=3))
    request = draw(st.sampled_from(STARTS)) + b"".join(fields) + draw(st.sampled_from(BODIES))
    for _ in range(draw(st.sampled_from((0, 0, 1, 1, 2)))):
        at = draw(st.integers(0, len(request)))
        request = request[:at] + draw(st.sampled_from(BROKEN)) + request[at + draw(st.integers(0, 2)):]
    return request


JUNK = st.sampled_from((b"\r\n", b"\r\n\r\n", b"\r", b"BROKEN\r\n"))
STREAMS = st.lists(requests() | JUNK, min_size=1, max_size=3).map(b"".join)


class Kernel(asyncio.Transport):
    """What is written to it, and whether it is closed."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.sent = b""
        self.closing = False
        self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.closing = True

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class CutsTest(unittest.TestCase):

    def setUp(self) -> None:
        logger = logging.getLogger("tornado")
        before, logger.disabled = logger.disabled, True
        self.addCleanup(setattr, logger, "disabled", before)
        self.runner = self.enterContext(asyncio.Runner())

    def answers(self, pieces: Iterable[bytes], limits: Limits = LIMITS) -> bytes:
        """Return what is answered to pieces and the end of them; without 100 Continue, and dates."""
        sent = self.runner.run(self.talk(pieces, limits))
        sent = sent.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")  # depends on whether a body is there, by its nature
        return re.sub(rb"\r\nDate: [^\r]*", b"", sent)

    async def talk(self, pieces: Iterable[bytes], limits: Limits) -> bytes:
        kernel, server = Kernel(), HTTP1Server(App(), limits)
        connection = Connection(server)
        connection.connection_made(kernel)
        for piece in pieces:
            connection.data_received(piece)
            await self.settle(kernel)
        connection.eof_received()
        await self.settle(kernel, 20)
        connection.connection_lost(None)
        await server.drain(1)
        return kernel.sent

    async def settle(self, kernel: Kernel, turns: int = 0) -> None:
        """Wait until the connection reads on, as the kernel would; `turns`: of the loop, at least."""
        while turns > 0 or (kernel.paused and not kernel.closing):
            await asyncio.sleep(0)
            turns -= 1

    @property_settings(400)
    @given(STREAMS, st.data())
    def test_the_answers_are_the_same(self, stream: bytes, data: st.DataObject) -> None:
        self.assertEqual(self.answers(cut_into(data, stream)), self.answers([stream]))

    def test_the_streams_are_answered_in_many_ways(self) -> None:
        """The property would hold of a server that refuses all."""
        seen: set[bytes] = set()

        @property_settings(400)
        @given(STREAMS)
        def look(stream: bytes) -> None:
            seen.update(re.findall(rb"HTTP/1.1 (\d+)", self.answers([stream])))
            seen.update(re.findall(rb"\r\n\r\n([A-Z][A-Za-z -]+)", self.answers([stream])))

        look()
        self.assertGreaterEqual(seen, {b"200", b"400", b"405", b"413", b"431", b"501"})
        self.assertGreater(len(seen), 14)

    def test_limits_hold_at_the_byte(self) -> None:
        head = b"GET / HTTP/1.1\r\nHost: h\r\nX: "
        for size, status in ((300, b"200"), (301, b"431"), (600, b"431")):
            request = head + b"x" * (size - len(head) - 4) + b"\r\n\r\n"
            for piece in (1, 7, 299, 300, 301, 1000):
                with self.subTest(size=size, piece=piece):
                    pieces = [request[at:at + piece] for at in range(0, size, piece)]
                    self.assertEqual(self.answers(pieces)[9:12], status)
                    self.assertEqual(self.answers([b"\r\n" * 500, *pieces])[9:12], status, "empty lines do not count")

    def test_many_small_pieces_cost_no_more_than_few_large_ones(self) -> None:
        """Of a head four times as long each byte costs the same: to copy or search what is there makes it 4 times."""
        limits = Limits(header_bytes=64 * 1024)
        few, many = (self.seconds(size, limits) for size in (10_000, 40_000))
        self.assertLess(many, at_most(10 * few))

    def seconds(self, size: int, limits: Limits) -> float:
        """Return the processor time that a head of this size takes which comes byte by byte."""
        head = b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * (size // 6) + b"\r\n"
        pieces = [head[at:at + 1] for at in range(len(head))]
        taken = []
        for _ in range(3):
            started = time.process_time()
            self.assertEqual(self.answers(pieces, limits)[9:12], b"200")
            taken.append(time.process_time() - started)
        return min(taken)


if __name__ == "__main__":
    unittest.main()
