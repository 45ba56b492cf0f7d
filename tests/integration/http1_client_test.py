"""The HTTP/1.1 server and its clients: those that wait for a word, and those that leave."""

import asyncio
import gc

from tests.helpers.http1 import PATIENCE, ServerTestCase, echoed, on_uvloop_too
from tests.helpers.raw import answers

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


@on_uvloop_too
class ContinueTest(ServerTestCase):
    """Expect: 100-continue (RFC 9110 §10.1.1)."""

    HEAD = b"POST %b HTTP/1.%d\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"

    async def test_the_body_is_asked_for_once_where_it_is_wanted(self) -> None:
        client = await self.connect()
        await client.send(self.HEAD % (b"/", 1, 3))
        self.assertEqual((await client.answer()).status, 100)
        await client.send(b"a")
        await asyncio.sleep(0.01)
        await client.send(b"bc")
        self.assertEqual(echoed(await client.answer())["body"], "abc")

    async def test_it_is_not_where_it_is_there_or_the_client_would_not_know(self) -> None:
        for minor, body in ((1, b"abc"), (0, b"")):
            client = await self.connect()
            await client.send(self.HEAD % (b"/", minor, 3) + body)
            await asyncio.sleep(0.01)
            await client.send(b"" if body else b"abc")
            self.assertEqual((await client.answer()).status, 200)

    async def test_an_answer_before_the_body_is_the_last(self) -> None:
        for path, size, status in ((b"/upload?refuse=1", 3, 403), (b"/", 65537, 413)):
            with self.subTest(path):
                client = await self.connect()
                await client.send(self.HEAD % (path, 1, size))
                answer = await client.answer()
                self.assertEqual((answer.status, answer.headers["Connection"]), (status, "close"))
                self.assertEqual(await client.rest(), b"")


@on_uvloop_too
class DisconnectTest(ServerTestCase):
    """A client that leaves."""

    async def test_the_handler_hears_of_it_and_its_writes_are_quiet(self) -> None:
        client = await self.connect()
        await client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
        await self.until(lambda: bool(self.app.asked))
        await client.close()
        await asyncio.wait_for(self.app.gone.wait(), PATIENCE)
        self.app.may_answer.set()
        await asyncio.sleep(0.02)
        self.assertEqual(self.records, [])

    async def test_a_stream_ends_with_its_reader(self) -> None:
        client = await self.connect()
        await client.send(b"GET /stream/1000000/1000 HTTP/1.1\r\nHost: h\r\n\r\n")
        await client.within(client.reader.readexactly(10000))
        client.writer.transport.abort()
        await asyncio.wait_for(self.app.write_failed.wait(), PATIENCE)
        self.assertTrue(self.app.gone.is_set())

    async def test_a_handler_that_does_not_wait_for_its_writes_need_not_hear_that_they_failed(self) -> None:
        client = await self.connect()
        await client.send(b"GET /stream/30/100000/blind HTTP/1.1\r\nHost: h\r\n\r\n")
        await self.until(lambda: self.app.flushed == 3_000_000)
        client.writer.transport.abort()
        await self.until(lambda: not self.server.connections)
        gc.collect()  # a future whose exception nobody retrieved says so at its end: see `strays`

    async def test_one_that_leaves_in_mid_body_is_no_request(self) -> None:
        client = await self.connect()
        await client.send(b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc")
        await self.until(lambda: bool(self.app.asked))
        client.writer.transport.abort()
        self.app.may_answer.set()
        await asyncio.wait_for(self.app.gone.wait(), PATIENCE)

    async def test_one_that_only_sends_no_more_is_answered(self) -> None:
        client = await self.connect()
        await client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
        client.writer.write_eof()
        await asyncio.wait_for(self.app.gone.wait(), PATIENCE)
        self.app.may_answer.set()
        [answer] = answers(await client.rest(), ["GET"])
        self.assertEqual((answer.status, answer.headers["Connection"]), (200, "close"))

    async def test_so_is_all_that_it_has_sent(self) -> None:
        client = await self.connect()
        await client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n" + GET + GET)
        client.writer.write_eof()
        await self.until(lambda: bool(self.app.asked))
        self.app.may_answer.set()
        data = await client.rest()
        self.assertEqual([answer.status for answer in answers(data, ["GET"] * 3)], [200] * 3)

    async def test_a_request_that_ends_too_early_is_reported(self) -> None:
        for part in (GET[:-2], b"\r", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc",
                     b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc"):
            with self.subTest(part):
                client = await self.connect()
                await client.send(part)
                client.writer.write_eof()
                [answer] = answers(await client.rest(), ["GET"])
                self.assertEqual(answer.status, 400)
                self.assertEqual(self.app.asked, [])
