"""An answer that ends with the connection, to the moment when its end is one."""

import asyncio
import unittest
from collections.abc import Mapping

from tornado import httputil

from taskservice.http1.connection import TURN, Connection
from taskservice.http1.server import HTTP1Server, Limits, Refusal
from tests.helpers.transport import FLUSH, RESET, Transport


class Part(httputil.HTTPServerConnectionDelegate, httputil.HTTPMessageDelegate):
    """Sends a part of an answer without a length, and keeps its connection."""

    connection: httputil.HTTPConnection

    def start_request(
        self, server_conn: object, request_conn: httputil.HTTPConnection
    ) -> httputil.HTTPMessageDelegate:
        self.connection = request_conn
        return self

    def headers_received(self, start_line: object, headers: object) -> None:
        """Wait for the end of the request."""

    def finish(self) -> None:
        """Begin the answer."""
        start_line = httputil.ResponseStartLine("", 200, "OK")
        self.connection.write_headers(start_line, httputil.HTTPHeaders(), b"part")

    def on_close(self, server_conn: object) -> None:
        pass


class EndTest(unittest.TestCase):
    """Over HTTP/1.0 what ends the connection, the process included, must not end the answer."""

    def setUp(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        asyncio.set_event_loop(self.loop)
        self.addCleanup(asyncio.set_event_loop, None)
        self.part, self.transport = Part(), Transport()
        self.connection = Connection(HTTP1Server(self.part))
        self.transport.protocol = self.connection
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]  # all that is used

    def ask(self, version: str) -> None:
        """Send a request, and let the answer begin."""
        self.connection.data_received(f"GET / HTTP/{version}\r\nHost: h\r\n\r\n".encode())

    def turn(self) -> None:
        """Let the loop do what is due."""
        self.loop.run_until_complete(asyncio.sleep(0))

    def drained(self) -> None:
        """Have the kernel take all that waits."""
        self.transport.buffered = 0
        self.connection.resume_writing()
        self.turn()

    def test_until_its_end_it_would_be_a_reset(self) -> None:
        self.ask("1.0")
        self.turn()
        self.assertEqual(self.transport.options, [RESET])

    def test_and_until_the_kernel_has_all_of_it(self) -> None:
        self.ask("1.0")
        self.part.connection.finish()
        self.turn()
        self.assertEqual((self.transport.options, self.transport.done), ([RESET], []))
        self.drained()
        self.assertEqual(self.transport.options, [RESET, FLUSH])
        self.assertIn("write_eof", self.transport.done)

    def test_a_client_that_leaves_meanwhile_ends_it(self) -> None:
        self.ask("1.0")
        self.part.connection.finish()
        self.connection.connection_lost(None)
        self.turn()
        self.assertEqual((self.transport.options, self.transport.done), ([RESET], []))

    def test_what_is_written_to_nobody_goes_nowhere(self) -> None:
        self.ask("1.1")
        self.connection.connection_lost(None)
        before = self.transport.buffered
        self.assertIsNotNone(self.part.connection.write(b"more").exception())
        self.part.connection.finish()
        self.assertEqual(self.transport.buffered, before)

    def test_what_ends_by_itself_needs_no_reset(self) -> None:
        self.ask("1.1")
        self.part.connection.finish()
        self.turn()
        self.assertEqual((self.transport.options, self.transport.done), ([], []))


class TurnTest(unittest.IsolatedAsyncioTestCase):
    """After a large piece of input others have their turn before more of it is read."""

    async def reads(self, size: int) -> tuple[list[str], list[str]]:
        """Send so much of a body; return what becomes of reading at once, and in the next turn of the loop."""
        connection, transport = Connection(HTTP1Server(Part(), Limits(body_bytes=2 * TURN))), Transport()
        connection.connection_made(transport)  # type: ignore[arg-type]  # all that is used
        connection.data_received(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (TURN + 1))
        connection.data_received(bytes(size))
        at_once = transport.done.copy()
        await asyncio.sleep(0)
        connection.abort("")
        connection.connection_lost(None)
        return at_once, transport.done[:2]

    async def test_reading_goes_on_in_the_next_turn(self) -> None:
        self.assertEqual(await self.reads(TURN), (["pause_reading"], ["pause_reading", "resume_reading"]))

    async def test_who_sends_less_goes_on(self) -> None:
        self.assertEqual((await self.reads(TURN - 1))[0], [])


class RefusalTest(unittest.TestCase):
    """A refused request is named, whichever way its head came."""

    def test_the_line_of_a_malformed_head(self) -> None:
        head = b"GET /named?a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
        for pieces in ([head], [b"\r\n\r\n" + head], [head[:30], head[30:]], [head + b"GET /next"]):
            with self.subTest(pieces):
                self.assertEqual(self.refused(pieces), [("GET", "/named?a")])

    def refused(self, pieces: list[bytes]) -> list[tuple[str | None, str | None]]:
        """Send a request, and return method and target of what is refused."""
        found = []

        def refuse(refusal: Refusal) -> tuple[Mapping[str, str], bytes]:
            found.append((refusal.method, refusal.uri))
            return {}, b""

        async def talk() -> None:
            connection, transport = Connection(HTTP1Server(Part(), refuse=refuse)), Transport()
            connection.connection_made(transport)  # type: ignore[arg-type]  # all that is used
            for piece in pieces:
                connection.data_received(piece)

        asyncio.run(talk())
        return found


if __name__ == "__main__":
    unittest.main()
