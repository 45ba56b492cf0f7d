"""An answer that was cut never passes for a whole one: how connections end, to the last packet."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import tornado.test
from tornado import httputil

from taskservice.http1.server import HTTP1Server, Limits
from tests.helpers.http1 import PATIENCE, Client, ServerTestCase, on_uvloop_too

GET = b"GET %b HTTP/1.%d\r\nHost: h\r\n\r\n"
LARGE = 20_000_000
"""Bytes: more than the kernel takes for a reader that takes nothing."""

FOLDER = Path(tornado.test.__file__).parent


class CutsCase(ServerTestCase):
    """A server whose clients look at how their connections end."""

    async def ask(self, path: bytes, version: int) -> Client:  # type: ignore[override]  # one request
        """Send a request on a connection of its own."""
        client = await self.connect()
        await client.send(GET % (path, version))
        return client

    async def assert_reset(self, client: Client) -> None:
        """The connection ends in a way that no client takes for the end of an answer."""
        with self.assertRaises(ConnectionResetError):
            await client.rest()

    def slow(self, path: bytes, version: int) -> socket.socket:
        """Ask as somebody who reads nothing yet."""
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", self.port))
        sock.sendall(GET % (path, version))
        return sock

    def read(self, sock: socket.socket) -> int:
        """Read to the end; return how much it was."""
        read = 0
        while data := sock.recv(1 << 20):
            read += len(data)
        return read


@on_uvloop_too
class CutTest(CutsCase):
    """What is broken off ends in a reset, over HTTP/1.0 and 1.1."""

    limits = Limits(reader_timeout=0.4)

    async def test_at_the_end_of_a_drain(self) -> None:
        for version in (0, 1):
            with self.subTest(version):
                client = await self.ask(b"/stream/2/3/wait", version)
                await client.within(client.reader.readuntil(b"xxx"))
                self.assertFalse(await self.server.drain(0.05))
                await self.server.close_all_connections()
                await self.assert_reset(client)
                self.serve_again()

    async def test_at_the_end_of_a_drain_with_bytes_on_their_way(self) -> None:
        for version in (0, 1):
            with self.subTest(version):
                sock = self.slow(b"/stream/1/%d" % LARGE, version)
                await self.until(lambda: bool(self.app.asked))
                self.app.asked.clear()
                self.assertFalse(await self.server.drain(0.05))
                await self.server.close_all_connections()
                with self.assertRaises(ConnectionResetError):
                    await asyncio.to_thread(self.read, sock)
                self.serve_again()

    def serve_again(self) -> None:
        """Have the drained server accept connections again."""
        self.server.draining = False
        self.server.add_socket(socket.create_server(("127.0.0.1", self.port)))

    async def test_one_without_an_answer_just_ends(self) -> None:
        client = await self.ask(b"/wait", 1)
        await self.until(lambda: bool(self.app.asked))
        await self.server.close_all_connections()
        self.assertEqual(await client.rest(), b"")

    async def test_a_reader_that_takes_nothing(self) -> None:
        for version in (0, 1):
            for path in (b"/stream/1000/100000", b"/stream/1/%d" % LARGE):
                with self.subTest(version=version, path=path):
                    sock = self.slow(path, version)
                    await self.until(lambda: bool(self.server.connections))
                    await self.until(lambda: not self.server.connections)
                    with self.assertRaises(ConnectionResetError):
                        await asyncio.to_thread(self.read, sock)

    async def test_a_delegate_that_fails_after_the_head(self) -> None:
        for version in (0, 1):
            with self.subTest(version):
                self.server.delegate = breaking = Breaking()
                client = await self.connect()
                await client.send(GET % (b"/", version) + GET % (b"/next", version))
                await self.assert_reset(client)
                self.assertEqual((len(self.records), breaking.asked), (1, 1))
                self.records.clear()


@on_uvloop_too
class WholeTest(CutsCase):
    """What is whole ends with an end, however slowly it is read."""

    async def test_for_a_slow_reader(self) -> None:
        for path in (b"/stream/100/100000", b"/stream/1/10000000"):
            with self.subTest(path):
                sock = self.slow(path, 0)
                await self.until(lambda: bool(self.app.asked))
                self.app.asked.clear()
                self.assertGreater(await asyncio.to_thread(self.read, sock), 10_000_000)

    async def test_for_one_that_has_ended_its_input(self) -> None:
        for version in (0, 1):
            for path in (b"/stream/2/3", b"/stream/2/3/wait", b"/stream/1/10000000"):
                with self.subTest(version=version, path=path):
                    self.app.asked.clear()
                    self.app.may_answer.clear()
                    sock = self.slow(path, version)
                    sock.shutdown(socket.SHUT_WR)
                    await self.until(lambda: bool(self.app.asked))
                    self.app.may_answer.set()
                    self.assertGreater(await asyncio.to_thread(self.read, sock), 100)

    async def test_for_one_that_sends_on(self) -> None:
        sock = self.slow(b"/stream/10/1000000", 0)
        sock.sendall(b"x" * 1000)
        self.assertGreater(await asyncio.to_thread(self.read, sock), 10_000_000)

    async def test_at_the_end_of_a_drain(self) -> None:
        client = await self.ask(b"/stream/2/3/wait", 0)
        await client.within(client.reader.readuntil(b"xxx"))
        draining = asyncio.create_task(self.server.drain(PATIENCE))
        self.app.may_answer.set()
        self.assertEqual(await client.rest(), b"xxx")
        self.assertTrue(await draining)


@on_uvloop_too
class TLSTest(CutsCase):
    """Over TLS as well."""

    def make_server(self) -> HTTP1Server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(FOLDER / "test.crt", FOLDER / "test.key")
        return HTTP1Server(self.app, self.limits, ssl_context=context)

    async def ask(self, path: bytes, version: int) -> Client:  # type: ignore[override]
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, ssl=context))
        self.clients.append(client)
        await client.send(GET % (path, version))
        return client

    async def test_at_the_end_of_a_drain(self) -> None:
        client = await self.ask(b"/stream/2/3/wait", 0)
        await client.within(client.reader.readuntil(b"xxxxxx"))
        self.assertFalse(await self.server.drain(0.05))
        await self.server.close_all_connections()
        await self.assert_reset(client)

    async def test_when_the_client_ends_its_input(self) -> None:
        client = await self.ask(b"/stream/2/3/wait", 0)
        await client.within(client.reader.readuntil(b"xxxxxx"))
        with socket.socket(fileno=os.dup(client.writer.get_extra_info("socket").fileno())) as sock:
            sock.shutdown(socket.SHUT_WR)
        await self.assert_reset(client)

    async def test_when_the_client_says_goodbye_and_reads_on(self) -> None:
        """The server must not say goodbye, too: that would be the end of the answer."""
        self.assertEqual(await asyncio.to_thread(self.say_goodbye), "reset")

    def say_goodbye(self) -> str:
        """Send TLS's own end in the middle of an answer; return what comes then."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing)

        def until_done(step: Callable[[], object]) -> None:
            while True:
                try:
                    step()
                    sock.sendall(outgoing.read())
                    return
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(1 << 16) or self.fail("an end"))

        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as sock:
            until_done(tls.do_handshake)
            until_done(lambda: tls.write(GET % (b"/stream/2/3/wait", 0)))
            data = bytearray()
            while not data.endswith(b"xxxxxx"):
                until_done(lambda: data.extend(tls.read(1000)))
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.unwrap()
            sock.sendall(outgoing.read())
            try:
                return "goodbye" if sock.recv(1000) else "an end"
            except ConnectionResetError:
                return "reset"

    async def test_what_is_whole_ends_with_an_end(self) -> None:
        client = await self.ask(b"/stream/100/10000", 0)
        self.assertEqual(len((await client.rest()).partition(b"\r\n\r\n")[2]), 1_000_000)


class Breaking(httputil.HTTPServerConnectionDelegate, httputil.HTTPMessageDelegate):
    """Answers in part, and breaks."""

    connection: httputil.HTTPConnection
    asked = 0

    def start_request(
        self, server_conn: object, request_conn: httputil.HTTPConnection
    ) -> httputil.HTTPMessageDelegate:
        self.asked += 1
        self.connection = request_conn
        return self

    def finish(self) -> None:
        start_line = httputil.ResponseStartLine("", 200, "OK")
        self.connection.write_headers(start_line, httputil.HTTPHeaders(), b"a part")
        raise RuntimeError("planted")

    def on_close(self, server_conn: object) -> None:
        pass


del CutsCase
