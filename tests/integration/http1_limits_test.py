"""What clients and handlers may take of the HTTP/1.1 server: sizes, times, memory."""

import asyncio
import socket
import time
from dataclasses import replace
from typing import Any

from taskservice.http1.server import HTTP1Server, LargeBody, Limits
from tests.helpers.http1 import PATIENCE, Client, ServerTestCase, echoed, on_uvloop_too
from tests.helpers.raw import answers
from tests.helpers.timing import at_most

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
LAG = at_most(0.4)
"""Seconds of the processor: far more than it takes, and far less than what is sent here would take
in one go."""
LATE = at_most(5)
"""Seconds by which a limit may strike late, and no more."""
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


@on_uvloop_too
class TurnsTest(ServerTestCase):
    """What is hard to take, and comes at once, leaves others their turn."""

    limits = Limits(body_bytes=16 * 2 ** 20)

    async def most_lag(self, data: bytes) -> float:
        """Send it all as fast as it is taken; return for how long at most nobody else had a turn.

        That is the time that the loop's thread has used itself: others may use the processor, too.
        """
        def talk() -> bytes:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as sock:
                sock.sendall(data)
                return sock.recv(15)

        most, last = 0.0, time.thread_time()
        talking = asyncio.create_task(asyncio.to_thread(talk))
        while not talking.done():
            await asyncio.sleep(0.001)
            now = time.thread_time()
            most, last = max(most, now - last), now
        self.assertEqual(await talking, b"HTTP/1.1 200 OK")
        return most

    async def test_empty_lines(self) -> None:
        self.assertLess(await self.most_lag(b"\r\n" * 2_000_000 + GET), LAG)

    async def test_a_chunk_of_empty_lines(self) -> None:
        body = b"\r\n\r\n" * 2_000_000
        self.assertLess(await self.most_lag(CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)), LAG)

    async def test_chunks_of_a_byte(self) -> None:
        body = b"1\r\nx\r\n" * 2_000_000
        self.assertLess(await self.most_lag(CHUNKED + body + b"0\r\n\r\n"), LAG)


@on_uvloop_too
class SizeTest(ServerTestCase):
    """Sizes, at the byte."""

    limits = Limits(header_bytes=1000, body_bytes=1000)

    def make_server(self) -> HTTP1Server:
        return HTTP1Server(
            self.app, self.limits,
            allow_large_body=lambda line, headers, address: (
                LargeBody(5000, address) if headers.get("X-Large") else None))

    def padded(self, size: int) -> bytes:
        """Return a request whose head has `size` bytes."""
        head = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX: "
        return head + b"x" * (size - len(head) - 4) + b"\r\n\r\n"

    async def test_a_head(self) -> None:
        for request, status in (
                (self.padded(1000), 200), (self.padded(1001), 431), (self.padded(100_000), 431),
                (self.padded(100_000)[:-4], 431), (b"GET /" + b"x" * 1000, 431)):
            [answer] = answers(await self.talk(request), ["GET"])
            self.assertEqual(answer.status, status)

    async def test_a_body(self) -> None:
        for size, fields, status in (
                (1000, b"", 200), (1001, b"", 413), (10 ** 12, b"", 413),
                (5000, b"X-Large: 1\r\n", 200), (5001, b"X-Large: 1\r\n", 413)):
            with self.subTest(size=size):
                head = POST.replace(b"\r\n\r\n", b"\r\n" + fields + b"\r\n") % (b"/", size)
                client = await self.connect()
                await client.send(head + b"x" * min(size, 100_000))
                answer = await client.answer()
                self.assertEqual(answer.status, status)
                if status == 413:
                    self.assertEqual(await client.rest(), b"")

    async def test_a_chunked_body(self) -> None:
        for size, status in ((1000, 200), (1001, 413)):
            for chunk in (1, 300, size):
                with self.subTest(size=size, chunk=chunk):
                    sizes = [chunk] * (size // chunk) + [size % chunk] * (size % chunk > 0)
                    body = b"".join(b"%x\r\n%b\r\n" % (n, b"x" * n) for n in sizes)
                    client = await self.connect()
                    await client.send(CHUNKED + body + b"0\r\n\r\n")
                    self.assertEqual((await client.answer()).status, status)

    async def test_what_comes_with_chunks(self) -> None:
        for junk in (b"1;" + b"x" * 300_000, b"0\r\n" + b"X: y\r\n" * 100_000):
            client = await self.connect()
            await client.send(CHUNKED)
            for at in range(0, len(junk), 8192):
                client.writer.write(junk[at:at + 8192])
                await asyncio.sleep(0)
            self.assertEqual((await client.answer()).status, 400)

    async def test_the_answer_is_not_lost_by_a_client_that_sends_on(self) -> None:
        client = await self.connect()
        client.writer.write(POST % (b"/", 50_000_000) + b"x" * 5_000_000)
        self.assertEqual((await client.answer()).status, 413)
        self.assertEqual(await client.rest(), b"")

    async def test_a_handler_may_raise_and_lower_it(self) -> None:
        self.app.may_answer.set()
        for limit in (2000, 500):
            for late in (b"", b"&late=1"):
                with self.subTest(limit=limit, late=late):
                    path = b"/upload?limit=%d%b" % (limit, late)
                    self.app.gone.clear()
                    client = await self.connect()
                    await client.send(POST % (path, limit) + b"x" * limit)
                    self.assertEqual((await client.answer()).body, b"%d" % limit)
                    await client.send(POST % (path, limit + 1) + b"x" * limit)
                    self.assertEqual((await client.answer()).status, 413)
                    await asyncio.wait_for(self.app.gone.wait(), PATIENCE)

    async def test_a_handler_may_raise_and_lower_it_for_chunks(self) -> None:
        self.app.may_answer.set()
        for limit in (2000, 500):
            with self.subTest(limit):
                head = CHUNKED.replace(b" / ", b" /upload?limit=%d " % limit)
                client = await self.connect()
                await client.send(head + b"64\r\n%b\r\n" % (b"x" * 100) * (limit // 100) + b"0\r\n\r\n")
                self.assertEqual((await client.answer()).body, b"%d" % limit)
                await client.send(head + b"64\r\n%b\r\n" % (b"x" * 100) * (limit // 100) + b"1\r\nx\r\n")
                self.assertEqual((await client.answer()).status, 413)

    async def test_that_of_a_handler_is_for_its_request_alone(self) -> None:
        self.app.may_answer.set()
        client = await self.connect()
        await client.send(POST % (b"/upload?limit=2000", 2000) + b"x" * 2000)
        self.assertEqual((await client.answer()).body, b"2000")
        await client.send(POST % (b"/upload", 1001))
        self.assertEqual((await client.answer()).status, 413)


@on_uvloop_too
class TimeTest(ServerTestCase):
    """Times, with limits short enough to wait for."""

    limits = Limits(
        body_timeout=0.25, body_grace=0.3, min_body_rate=100, answer_timeout=0.3, reader_timeout=0.4,
        body_bytes=1000)

    def make_server(self) -> HTTP1Server:
        return HTTP1Server(
            self.app, self.limits, allow_large_body=lambda line, headers, address: LargeBody(10_000, address))

    async def timed(self, client: Client, least: float, began: float) -> bytes:
        """Return what comes until the connection closes: not before `least` s, nor far later.

        `began` is the time before what the server counts from: on a busy machine this is behind the server.
        """
        data = await client.rest()
        took = time.perf_counter() - began
        self.assertGreaterEqual(took, least - 0.01)
        self.assertLess(took, least + LATE)
        return data

    async def test_an_idle_connection_is_closed(self) -> None:
        self.server.limits = replace(self.limits, idle_timeout=0.2)
        for before in (b"", GET, b"\r\n"):
            began = time.perf_counter()
            client = await self.connect()
            if before:
                await client.send(before)
            if before == GET:
                await client.answer()
            self.assertEqual(await self.timed(client, 0.2, began), b"")

    async def test_a_slow_head(self) -> None:
        self.server.limits = replace(self.limits, header_timeout=0.4)
        client = await self.connect()
        await asyncio.sleep(0.2)  # its time begins with its first byte
        began = time.perf_counter()
        writing = asyncio.create_task(self.drip(client, GET[:-2] + b"X: " + b"x" * 60))
        [answer] = answers(await self.timed(client, 0.4, began), ["GET"])
        self.assertEqual(answer.status, 408)
        self.assertFalse(writing.done(), "it was cut when nothing came any more")
        writing.cancel()

    async def drip(self, client: Client, data: bytes) -> None:
        """Send bytes one by one, slowly."""
        for byte in data:
            await client.send(bytes([byte]))
            await asyncio.sleep(0.05)

    async def test_a_body_of_which_nothing_comes(self) -> None:
        for head in (POST % (b"/", 100), CHUNKED + b"20\r\n"):
            began = time.perf_counter()
            client = await self.connect()
            await client.send(head + b"x" * 10)
            [answer] = answers(await self.timed(client, 0.25, began), ["POST"])
            self.assertEqual((answer.status, answer.body), (408, b"The body took too long to come\n"))

    async def test_a_slow_body(self) -> None:
        for head in (POST % (b"/", 100), CHUNKED + b"20\r\n"):
            began = time.perf_counter()
            client = await self.connect()
            await client.send(head)
            writing = asyncio.create_task(self.drip(client, b"x" * 90))
            [answer] = answers(await self.timed(client, 0.3, began), ["POST"])
            self.assertEqual(answer.status, 408)
            self.assertIn(b" less than 100 bytes a second on average (min-body-rate)", answer.body)
            self.assertEqual(self.app.asked, [])
            self.assertFalse(writing.done(), "it was cut when nothing came any more")
            writing.cancel()

    async def test_a_slow_body_that_a_handler_takes_as_it_comes(self) -> None:
        """The time of the client stands still, and does not begin anew, with each piece."""
        self.app.may_answer.set()
        began = time.perf_counter()
        client = await self.connect()
        await client.send(POST % (b"/upload", 100))
        writing = asyncio.create_task(self.drip(client, b"x" * 40))
        [answer] = answers(await self.timed(client, 0.25, began), ["POST"])
        self.assertEqual(answer.status, 408)
        self.assertFalse(writing.done())
        writing.cancel()

    async def test_a_handler_may_give_a_body_more_or_less_time(self) -> None:
        self.app.may_answer.set()
        for late in (b"", b"&late=1"):
            client = await self.connect()
            await client.send(POST % (b"/upload?timeout=9" + late, 12))
            await self.drip(client, b"x" * 12)
            self.assertEqual((await client.answer()).body, b"12")
        self.server.limits = replace(self.limits, body_timeout=8, body_grace=8, answer_timeout=8)
        for late in (b"", b"&late=1"):
            began = time.perf_counter()
            client = await self.connect()
            await client.send(POST % (b"/upload?timeout=0.3" + late, 3000))
            for _ in range(2):
                await client.send(b"x" * 1000)  # no more of it comes for the large
            [answer] = answers(await self.timed(client, 0.25, began), ["POST"])
            self.assertEqual(answer.status, 408)

    async def test_a_body_may_take_its_time_while_it_comes_fast_enough(self) -> None:
        self.server.limits = replace(self.limits, body_timeout=2.0, body_grace=1.0)
        client = await self.connect()
        await client.send(POST % (b"/", 6000))
        for _ in range(6):
            await asyncio.sleep(0.4)
            await client.send(b"x" * 1000)
        self.assertEqual(len(echoed(await client.answer())["body"]), 6000)

    async def test_a_slow_handler(self) -> None:
        began = time.perf_counter()
        client = await self.connect()
        await client.send(WAIT)
        [answer] = answers(await self.timed(client, 0.3, began), ["GET"])
        self.assertEqual(answer.status, 503)
        self.assertTrue(self.app.gone.is_set())
        self.app.may_answer.set()
        await asyncio.sleep(0.02)
        self.assertEqual(self.records, [])

    async def test_a_handler_that_is_slow_to_take_the_body(self) -> None:
        began = time.perf_counter()
        client = await self.connect()
        await client.send(POST % (b"/upload", 3) + b"abc")
        [answer] = answers(await self.timed(client, 0.3, began), ["POST"])
        self.assertEqual(answer.status, 503)

    async def test_an_answer_that_has_begun_takes_the_time_that_it_takes(self) -> None:
        client = await self.connect()
        await client.send(b"GET /stream/1/3/wait HTTP/1.1\r\nHost: h\r\n\r\n")
        await asyncio.sleep(0.7)
        self.app.may_answer.set()
        self.assertEqual((await client.answer()).body, b"xxx")

    async def test_a_slow_reader(self) -> None:
        sock = socket.create_connection(("127.0.0.1", self.port))
        with sock:
            sock.sendall(b"GET /stream/1000/100000 HTTP/1.1\r\nHost: h\r\n\r\n")
            await asyncio.wait_for(self.app.write_failed.wait(), PATIENCE)
            self.assertLess(self.app.flushed, 20_000_000)
            self.assertTrue(self.app.gone.is_set())

    async def test_a_slow_reader_of_an_answer_in_one_piece(self) -> None:
        for last in (b"", b"Connection: close\r\n"):
            sock = socket.create_connection(("127.0.0.1", self.port))
            with sock:
                sock.sendall(b"GET /stream/1/50000000 HTTP/1.1\r\nHost: h\r\n" + last + b"\r\n")
                await self.until(lambda: bool(self.server.connections))
                await self.until(lambda: not self.server.connections)


@on_uvloop_too
class SlowReaderTest(ServerTestCase):
    """Who takes little at a time is not one who takes nothing."""

    limits = Limits(reader_timeout=1.5)

    async def test_a_reader_that_makes_progress_is_not_cut(self) -> None:
        client = await self.connect()
        await client.send(b"GET /stream/300/100000 HTTP/1.0\r\n\r\n")
        started, read = time.monotonic(), 0
        while piece := await client.within(client.reader.read(1_000_000)):
            read += len(piece)
            await asyncio.sleep(0.01)
            if read > 10_000_000 and time.monotonic() < started + 2 * self.limits.reader_timeout:
                await asyncio.sleep(0.2)
        self.assertGreater(read, 30_000_000)
        self.assertGreater(time.monotonic() - started, 2 * self.limits.reader_timeout)


@on_uvloop_too
class BackpressureTest(ServerTestCase):
    """A client that does not read, or sends ahead, does not grow memory."""

    async def test_a_handler_waits_for_its_reader(self) -> None:
        client = await self.connect()
        await client.send(b"GET /stream/1000/100000 HTTP/1.1\r\nHost: h\r\n\r\n")
        await self.steady(lambda: self.app.flushed)
        self.assertLess(self.app.flushed, 20_000_000)
        self.assertEqual(len((await client.answer()).body), 100_000_000)

    async def test_requests_wait_for_the_reader_of_their_answers(self) -> None:
        for handler in (b"", b"/blind"):
            with self.subTest(handler):
                self.app.asked.clear()
                client = await self.connect()
                request = b"GET /stream/1/100000%b HTTP/1.1\r\nHost: h\r\n\r\n" % handler
                client.writer.write(request * 1000)
                await self.steady(lambda: len(self.app.asked))
                self.assertLess(len(self.app.asked), 200)
                for _ in range(1000):
                    self.assertEqual(len((await client.answer()).body), 100_000)

    async def test_input_waits_for_the_answer_to_what_came_before(self) -> None:
        client = await self.connect()
        client.writer.write(WAIT + GET * 500_000)
        await self.until(lambda: bool(self.app.asked))
        await self.steady(lambda: client.writer.transport.get_write_buffer_size())
        [connection] = self.server.connections
        self.assertLessEqual(len(connection._buffer), 512 * 1024)
        self.assertGreater(client.writer.transport.get_write_buffer_size(), 0)

    async def test_a_body_waits_for_the_handler(self) -> None:
        client = await self.connect()
        await client.send(POST % (b"/upload?limit=50000000", 50_000_000))
        client.writer.write(b"x" * 50_000_000)
        await self.until(lambda: bool(self.app.asked))
        await self.steady(lambda: client.writer.transport.get_write_buffer_size())
        self.assertEqual(self.app.asked, ["/upload"])
        self.app.may_answer.set()
        self.assertEqual((await client.answer()).body, b"50000000")

    async def steady(self, value: Any) -> None:
        """Wait until a value stays the same."""
        before = None
        while before != (before := value()) or not before:
            await asyncio.sleep(0.1)
