"""A client whose request is refused while it is still sending reads the answer, however slow it is."""

import asyncio
import ssl
import time
from pathlib import Path

import tornado.test
import tornado.web

from taskservice.http1.server import HTTP1Server, Limits
from tests.helpers.http1 import Client, ServerTestCase, on_uvloop_too
from tests.helpers.raw import Answer

POST = b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"
CHUNKED = b"POST %b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
SLOW = 2.5
"""Seconds that an upload takes, at least: more than many servers wait, and than this one did."""

FOLDER = Path(tornado.test.__file__).parent


class LingerCase(ServerTestCase):
    """A server that closes when nothing has come for a while."""

    limits = Limits(linger=1.5, body_bytes=1000)

    async def upload(self, head: bytes, piece: bytes) -> Answer:
        """Send piece after piece for so long, and another request; only then read the answer."""
        client = await self.connect()
        await client.send(head)
        ends = time.monotonic() + SLOW
        while time.monotonic() < ends:
            await client.send(piece)
            await asyncio.sleep(0.1)
        await client.send(GET)
        answer = await client.answer()
        await client.close()
        return answer


@on_uvloop_too
class LingerTest(LingerCase):
    """It waits for a client that goes on sending."""

    async def test_a_slow_upload_reads_its_answer(self) -> None:
        chunk = b"4\r\nabcd\r\n"
        uploads = {
            "too large": (POST % b"/", b"x" * 1000, 413),
            "too large, in chunks": (CHUNKED % b"/", chunk * 1000, 413),
            "too large for the handler": (POST % b"/upload?limit=10", b"x" * 100, 413),
            "malformed": (CHUNKED % b"/", b"what is no chunk\r\n", 400),
            "a malformed head": (b"POST / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", b"x" * 1000, 400),
            "not wanted by the handler": (POST % b"/upload?limit=9999999&refuse=1", b"x" * 100, 403)}
        self.app.may_answer.set()
        answers = await asyncio.gather(*(
            self.upload(head, piece) for head, piece, _ in uploads.values()))
        for (name, (_, _, status)), answer in zip(uploads.items(), answers):
            with self.subTest(name):
                self.assertEqual((answer.status, answer.headers["Connection"]), (status, "close"))
        self.assertNotIn("/smuggled", self.app.asked)

    async def test_it_closes_when_nothing_comes(self) -> None:
        client = await self.connect()
        await client.send(POST % b"/")
        self.assertEqual((await client.answer()).status, 413)
        self.assertEqual(await client.rest(), b"")
        await self.until(lambda: not self.server.connections)


@on_uvloop_too
class UnreadTest(LingerCase):
    """What nobody reads any more does not cost the client its answer."""

    limits = Limits(answer_timeout=0.3, body_bytes=1000)
    JUNK = b"x" * 20_000_000

    async def test_a_refusal_while_nothing_is_read(self) -> None:
        client = await self.connect()
        await client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
        await self.until(lambda: bool(self.app.asked))
        await client.send(self.JUNK)
        answer = await client.answer()
        self.assertEqual((answer.status, answer.headers["Connection"]), (503, "close"))

    async def test_what_comes_after_the_last_request(self) -> None:
        client = await self.connect()
        await client.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + GET + self.JUNK)
        answer = await client.answer()
        self.assertEqual((answer.status, answer.headers["Connection"]), (200, "close"))
        self.assertEqual(self.app.asked, ["/"])


@on_uvloop_too
class LeavingTest(LingerCase):
    """It does not wait for a client that has gone."""

    limits = Limits(linger=60, body_bytes=1000)

    async def test_it_closes_when_the_client_does(self) -> None:
        client = await self.connect()
        await client.send(POST % b"/")
        await client.answer()
        await client.close()
        await self.until(lambda: not self.server.connections)


class BoundsCase(LingerCase):
    """It does not wait for ever."""

    async def send_on(self, client: Client, piece: bytes) -> float:
        """Send until the server closes; return after how many seconds that was."""
        started = time.monotonic()
        with self.assertRaises(ConnectionError):
            while True:
                await client.send(piece)
                await asyncio.sleep(0.05)
                self.assertLess(time.monotonic() - started, 20)
        return time.monotonic() - started


@on_uvloop_too
class TimeBoundTest(BoundsCase):
    """However steadily the client sends."""

    limits = Limits(linger=2.0, linger_timeout=3.0, body_bytes=1000)

    async def test_it_ends_in_time_although_input_keeps_coming(self) -> None:
        client = await self.connect()
        await client.send(POST % b"/")
        self.assertGreaterEqual(await self.send_on(client, b"x"), 2.9)


@on_uvloop_too
class BytesBoundTest(BoundsCase):
    """However fast it sends."""

    limits = Limits(linger=60, linger_timeout=60, linger_bytes=1_000_000, body_bytes=1000)

    async def test_it_ends_when_too_much_has_come(self) -> None:
        client = await self.connect()
        await client.send(POST % b"/")
        client.writer.write(b"x" * 2_000_000)
        await self.send_on(client, b"x")


@on_uvloop_too
class DrainBoundTest(BoundsCase):
    """When the server goes away."""

    limits = Limits(linger=1.0, linger_timeout=60, body_bytes=1000)

    async def test_it_ends_soon(self) -> None:
        client = await self.connect()
        await client.send(POST % b"/")
        await client.answer()
        sending = asyncio.create_task(self.send_on(client, b"x"))
        self.assertTrue(await self.server.drain(20))
        await sending


class NotForTheLarge(tornado.web.RequestHandler):
    """Refuses what is too large itself."""

    def post(self) -> None:
        """Answer as the service does."""
        too_large = getattr(self.request.connection, "too_large")
        self.set_status(413 if too_large else 200)


@on_uvloop_too
class PassedTest(LingerCase):
    """The application answers what is too large."""

    def make_server(self) -> HTTP1Server:
        application = tornado.web.Application(
            [("/", NotForTheLarge)], log_function=lambda handler: None)
        return HTTP1Server(application, self.limits, pass_too_large=True)

    async def test_a_slow_upload_reads_its_answer(self) -> None:
        for answer in await asyncio.gather(
                self.upload(POST % b"/", b"x" * 1000),
                self.upload(CHUNKED % b"/", b"4\r\nabcd\r\n" * 1000)):
            self.assertEqual((answer.status, answer.headers["Connection"]), (413, "close"))


@on_uvloop_too
class TLSTest(PassedTest):
    """Over TLS, where the end of the answer cannot be shown while input is read."""

    def make_server(self) -> HTTP1Server:
        server = super().make_server()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(FOLDER / "test.crt", FOLDER / "test.key")
        return HTTP1Server(
            server.delegate, self.limits, pass_too_large=True, ssl_context=context)

    async def connect(self, limit: int = 1 << 16) -> Client:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, ssl=context))
        self.clients.append(client)
        return client


del BoundsCase, LingerCase
