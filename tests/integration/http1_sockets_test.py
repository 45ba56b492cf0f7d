"""The HTTP/1.1 server and its sockets: listening, accepting, TLS, and going away."""

import asyncio
import json
import resource
import socket
import ssl
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import tornado.httpclient
import tornado.netutil
import tornado.test
import tornado.testing
import tornado.web
import tornado.websocket

from taskservice.http1.answer import refuse_plainly
from taskservice.http1.server import HTTP1Server, Limits, Refusal
from taskservice.http1.state import HEAD
from tests.helpers.http1 import PATIENCE, ServerTestCase, echoed, on_uvloop_too
from tests.helpers.raw import answers
from tests.helpers.http1_app import EchoHandler
from tests.helpers.timing import at_most, in_time

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"


@on_uvloop_too
class ManyAtOnceTest(ServerTestCase):
    """Very many connections whose time is over at once."""

    limits = Limits(header_timeout=3600)

    def make_server(self) -> HTTP1Server:
        self.refused_in: list[int] = []
        self.turns = 0

        def refuse(refusal: Refusal) -> tuple[Mapping[str, str], bytes]:
            self.refused_in.append(self.turns)
            time.sleep(0.002)
            return refuse_plainly(refusal)

        return HTTP1Server(self.app, self.limits, refuse=refuse)

    def count_turns(self) -> None:
        """Count the turns of the loop."""
        self.turns += 1
        self.counting = asyncio.get_running_loop().call_soon(self.count_turns)

    async def test_others_have_turns_between_them(self) -> None:
        clients = [await self.connect() for _ in range(50)]
        for client in clients:
            await client.send(GET[:5])
        await self.until(lambda: all(connection.state is HEAD for connection in self.server.connections))
        self.count_turns()
        for connection in self.server.connections:
            connection.deadline = 0.0
        for client in clients:
            self.assertEqual((await client.answer()).status, 408)
        self.counting.cancel()
        self.assertLessEqual(max(Counter(self.refused_in).values()), 6)


@on_uvloop_too
class ListenTest(ServerTestCase):
    """Sockets."""

    async def test_several_sockets_of_both_families(self) -> None:
        for host in ("127.0.0.1", "::1"):
            try:
                sockets = tornado.netutil.bind_sockets(0, host)
            except OSError:
                continue  # no IPv6 here
            self.server.add_socket(sockets[0])
            reader, writer = await asyncio.open_connection(host, sockets[0].getsockname()[1])
            writer.write(LAST)
            [answer] = answers(await reader.read(), ["GET"])
            self.assertEqual(echoed(answer)["ip"], host)
            writer.close()
            await writer.wait_closed()

    async def test_a_unix_socket(self) -> None:
        ours, theirs = socket.socketpair()
        await self.server._open(self.server._make_connection(False), theirs)
        ours.sendall(LAST)
        reader, writer = await asyncio.open_connection(sock=ours)
        [answer] = answers(await reader.read(), ["GET"])
        self.assertEqual(echoed(answer)["ip"], "0.0.0.0")
        writer.close()
        await writer.wait_closed()

    async def test_a_stopped_server_accepts_nobody_and_serves_on(self) -> None:
        client = await self.connect()
        await client.send(GET)
        await client.answer()
        self.server.stop()
        with self.assertRaises(OSError):
            await self.connect()
        await client.send(LAST)
        self.assertEqual((await client.answer()).status, 200)


class TornadoTestingTest(tornado.testing.AsyncHTTPTestCase):
    """Tornado's own test case drives this server as it does Tornado's."""

    def get_app(self) -> tornado.web.Application:
        return tornado.web.Application([("/.*", EchoHandler)], log_function=lambda handler: None)

    def get_http_server(self) -> HTTP1Server:  # type: ignore[override]  # not Tornado's, but alike
        return HTTP1Server(self._app)

    def test_fetch(self) -> None:
        self._app.asked = []  # type: ignore[attr-defined]  # what EchoHandler notes
        answer = self.fetch("/x", method="POST", body=b"abc")
        self.assertEqual((answer.code, b'"abc"' in answer.body), (200, True))


class Socket(tornado.websocket.WebSocketHandler):
    """A WebSocket that must not be opened."""

    opened = False

    def open(self, *args: str, **kwargs: str) -> None:
        """Note that it was."""
        Socket.opened = True


class WebSocketTest(tornado.testing.AsyncHTTPTestCase):
    """An application with WebSockets, which this server does not serve."""

    def get_app(self) -> tornado.web.Application:
        return tornado.web.Application(
            [("/socket", Socket), ("/.*", EchoHandler)], log_function=lambda handler: None)

    def get_http_server(self) -> HTTP1Server:  # type: ignore[override]  # not Tornado's, but alike
        return HTTP1Server(self._app)

    @tornado.testing.gen_test
    async def test_an_offer_is_refused(self) -> None:
        with self.assertNoLogs(), self.assertRaises(tornado.httpclient.HTTPClientError) as caught:
            await tornado.websocket.websocket_connect(f"ws://127.0.0.1:{self.get_http_port()}/socket")
        answer = caught.exception.response
        assert answer is not None
        self.assertEqual((caught.exception.code, answer.body), (400, b'Can "Upgrade" only to "WebSocket".'))
        self.assertFalse(Socket.opened)

    def test_an_offer_to_another_handler_is_passed_over(self) -> None:
        self._app.asked = []  # type: ignore[attr-defined]  # what EchoHandler notes
        answer = self.fetch("/x", headers={"Upgrade": "websocket", "Connection": "keep-alive, Upgrade"})
        self.assertEqual(answer.code, 200)
        self.assertNotIn("Upgrade", json.loads(answer.body)["headers"])


class TLSCase(ServerTestCase):
    """TLS, with the certificate that Tornado brings for its own tests."""

    FOLDER = Path(tornado.test.__file__).parent

    def make_server(self) -> HTTP1Server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.FOLDER / "test.crt", self.FOLDER / "test.key")
        limits = Limits(header_timeout=0.3)
        return HTTP1Server(self.app, limits, ssl_context=context)

    async def connect_tls(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection whose certificate nobody looks at."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=context)


@on_uvloop_too
class TLSTest(TLSCase):
    """Requests and answers over TLS."""

    async def test_requests_are_served(self) -> None:
        reader, writer = await self.connect_tls()
        writer.write(GET + b"GET /stream/50/100000 HTTP/1.1\r\nHost: h\r\n\r\n" + LAST)
        first, second, _ = answers(await reader.read(), ["GET"] * 3)
        self.assertEqual((echoed(first)["protocol"], len(second.body)), ("https", 5_000_000))
        writer.close()

    async def test_the_answer_to_a_body_that_is_too_large_arrives(self) -> None:
        reader, writer = await self.connect_tls()
        head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n"
        writer.write(head + b"x" * 200_000)
        self.assertIn(b"HTTP/1.1 413 ", await reader.readuntil(b"\r\n\r\n"))
        writer.transport.abort()

    async def test_a_handler_hears_that_its_client_left(self) -> None:
        _, writer = await self.connect_tls()
        writer.write(WAIT)
        await self.until(lambda: bool(self.app.asked))
        writer.close()
        await asyncio.wait_for(self.app.gone.wait(), PATIENCE)

    async def test_what_is_no_handshake_leaves_in_time(self) -> None:
        for said in (b"", GET):
            client = await self.connect()
            await client.send(said)
            self.assertNotIn(b"HTTP", await client.rest())
        self.assertEqual(self.records, [])


@on_uvloop_too
class HandshakesTest(TLSCase):
    """Those that are shaking hands count as well."""

    def make_server(self) -> HTTP1Server:
        server = super().make_server()
        server.limits = Limits(header_timeout=60, connections=3)
        return server

    async def test_as_many_as_there_may_be_keep_the_next_waiting(self) -> None:
        hanging = [await self.connect() for _ in range(3)]
        await self.until(lambda: len(self.server._listener.opening) == 3)
        waiting = asyncio.create_task(self.connect_tls())
        await asyncio.wait([waiting], timeout=0.5)
        self.assertFalse(waiting.done())
        await hanging[0].close()
        _, writer = await asyncio.wait_for(waiting, 10)
        writer.transport.abort()


@on_uvloop_too
class DrainTest(ServerTestCase):
    """Going away."""

    async def test_idle_connections_go_soon_and_others_after_their_answer(self) -> None:
        idle, busy, streaming = [await self.connect() for _ in range(3)]
        await idle.send(GET)
        await idle.answer()
        await busy.send(WAIT)
        await streaming.send(b"GET /stream/2/3/wait HTTP/1.1\r\nHost: h\r\n\r\n")
        await self.until(lambda: len(self.app.asked) == 3 and self.app.flushed == 6)
        draining = asyncio.create_task(self.server.drain(30))
        self.assertEqual(await idle.rest(), b"")
        self.assertFalse(draining.done())
        self.app.may_answer.set()
        answer = await busy.answer()
        self.assertEqual((answer.status, answer.headers["Connection"]), (200, "close"))
        self.assertEqual((await streaming.answer()).body, b"xxxxxx")
        self.assertTrue(await draining)
        self.assertEqual(await busy.rest() + await streaming.rest(), b"")

    async def test_the_next_request_of_a_busy_connection_is_not_lost(self) -> None:
        client = await self.connect()
        await client.send(GET)
        await client.answer()
        draining = asyncio.create_task(self.server.drain(30))
        await asyncio.sleep(0.1)
        await client.send(GET)
        self.assertEqual((await client.answer()).headers["Connection"], "close")
        self.assertTrue(await draining)

    async def test_connections_that_wait_to_be_accepted_are_answered(self) -> None:
        """The loop was busy when they came; their requests are there, too."""
        waiting = [self.enterContext(socket.create_connection(("127.0.0.1", self.port))) for _ in range(100)]
        for sock in waiting:
            sock.sendall(GET)
        self.assertTrue(await self.server.drain(PATIENCE))
        for sock in waiting:
            answer = sock.makefile("rb").read()
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)
            self.assertIn(b"\r\nConnection: close\r\n", answer)

    async def test_it_ends_in_time(self) -> None:
        client = await self.connect()
        await client.send(WAIT)
        await self.until(lambda: bool(self.app.asked))
        self.assertFalse(await self.server.drain(0.1))
        await self.server.close_all_connections()
        self.assertEqual(self.server.connections, set())

    async def test_a_server_that_nobody_uses_is_gone_at_once(self) -> None:
        self.assertTrue(await self.server.drain(1))


@on_uvloop_too
class ConnectionsTest(ServerTestCase):
    """How many there may be."""

    limits = Limits(connections=3)

    async def test_more_wait_until_one_leaves(self) -> None:
        clients = [await self.connect() for _ in range(4)]
        for client in clients:
            await client.send(GET)
        for client in clients[:3]:
            await client.answer()
        waiting = asyncio.create_task(clients[3].answer())
        await asyncio.sleep(0.05)
        self.assertFalse(waiting.done())
        await clients[0].close()
        self.assertEqual((await waiting).status, 200)

    async def test_it_recovers_when_file_descriptors_run_out(self) -> None:
        client = await self.connect()
        await client.send(GET)
        await client.answer()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = socket.socket()
        probe = taken.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (probe + 1, hard))
        try:
            taken.setblocking(False)
            taken.connect_ex(("127.0.0.1", self.port))  # it waits to be accepted, and cannot be
            used = time.process_time()
            await self.until(lambda: len(self.records) == 3)
            self.assertLess(time.process_time() - used, at_most(0.25))
            await client.send(GET)
            self.assertEqual((await client.answer()).status, 200)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with taken:
            reader, writer = await asyncio.open_connection(sock=taken)
            with in_time(self, 1):
                writer.write(b"GET / HTTP/1.0\r\n\r\n")
                self.assertIn(b"200 OK", await reader.read())
            writer.close()
            await writer.wait_closed()
