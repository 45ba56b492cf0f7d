"""The connections that are kept for probes while all others are taken."""

import asyncio
import os
import socket
import ssl
import time
import unittest
from pathlib import Path
from unittest import mock

import tornado.test
from tornado.httputil import RequestStartLine

from taskservice import code
from taskservice.http1 import listener
from taskservice.http1.connection import Connection
from taskservice.http1.server import HTTP1Server, Limits
from tests.helpers.http1 import Client, ServerTestCase, on_uvloop_too

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"
PROBE = b"GET /probe HTTP/1.1\r\nHost: h\r\n\r\n"
FOLDER = Path(tornado.test.__file__).parent


def is_probe(start_line: RequestStartLine) -> bool:
    return start_line.path in ("/probe", "/wait")


@on_uvloop_too
class ReserveTest(ServerTestCase):

    limits = Limits(connections=3, reserve=2)

    def make_server(self) -> HTTP1Server:
        return HTTP1Server(self.app, self.limits, is_probe=is_probe)

    async def fill(self) -> list[Client]:
        """Take all connections; the clients have begun to send a request."""
        clients = [await self.connect() for _ in range(3)]
        for client in clients:
            await client.send(GET[:5])
        await self.until(lambda: len(self.server.connections) == 3)
        return clients

    async def test_a_probe_is_answered_and_its_connection_closes(self) -> None:
        await self.fill()
        for _ in range(4):
            client = await self.connect()
            await client.send(PROBE)
            answer = await client.answer()
            self.assertEqual((answer.status, answer.headers["Connection"]), (200, "close"))
            self.assertEqual(await client.rest(), b"")

    async def test_other_requests_are_refused(self) -> None:
        await self.fill()
        for request in (GET, b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"):
            client = await self.connect()
            await client.send(request)
            answer = await client.answer()
            self.assertEqual((answer.status, answer.headers["Connection"]), (503, "close"))
            self.assertEqual(answer.body, b"All connections are taken (max-connections)\n")
            self.assertEqual(await client.rest(), b"")
        self.assertEqual(self.app.asked, [])

    async def test_those_that_ask_nothing_make_way(self) -> None:
        await self.fill()
        idle = [await self.connect() for _ in range(10)]
        client = await self.connect()
        await client.send(PROBE)
        self.assertEqual((await client.answer()).status, 200)
        self.assertLessEqual(len(self.server.connections), 5)
        self.assertEqual(await idle[0].rest(), b"")

    @unittest.skipIf(code() == "compiled", "nothing can take the place of a compiled method")
    async def test_those_that_make_way_as_they_come_are_gone(self) -> None:
        """On a slow loop the next ones come before what opened a connection has seen that it is open."""
        opened = self.server.opened

        def open_slowly(connection: Connection) -> None:
            opened(connection)
            time.sleep(listener.RESERVE_INTERVAL)

        await self.fill()
        with mock.patch.object(self.server, "opened", open_slowly):
            crowd = [await self.connect() for _ in range(20)]
            for client in crowd[:-2]:
                self.assertEqual(await client.rest(), b"")
        await self.until(lambda: len(self.server.connections) == 5)

    async def test_a_probe_that_is_being_answered_does_not(self) -> None:
        await self.fill()
        clients = [await self.connect() for _ in range(2)]
        for client in clients:
            await client.send(WAIT)
        await self.until(lambda: len(self.app.asked) == 2)
        late = await self.connect()
        await late.send(PROBE)
        await asyncio.sleep(0.2)
        self.assertEqual(self.app.asked, ["/wait"] * 2)
        self.app.may_answer.set()
        for client in (*clients, late):
            self.assertEqual((await client.answer()).status, 200)

    async def test_one_is_served_if_there_is_room_again(self) -> None:
        clients = await self.fill()
        late = await self.connect()
        await self.until(lambda: len(self.server.connections) == 4)
        await clients[0].close()
        await self.until(lambda: len(self.server.connections) == 3)
        await late.send(GET)
        self.assertEqual((await late.answer()).status, 200)

    async def test_the_others_find_room_as_before(self) -> None:
        clients = await self.fill()
        probing = await self.connect()
        await probing.send(PROBE)
        await probing.answer()
        for client in (*clients, probing):
            await client.close()
        await self.until(lambda: not self.server.connections)
        for client in await self.fill():
            await client.send(GET[5:])
            self.assertEqual((await client.answer()).headers.get("Connection"), None)

    async def test_what_waits_is_left_to_another_process_for_a_while(self) -> None:
        self.enterContext(mock.patch.object(listener, "RESERVE_INTERVAL", 3600.0))
        await self.fill()
        other = HTTP1Server(self.app, Limits())
        other.add_sockets(
            socket.socket(fileno=os.dup(sock.fileno())) for sock in self.server._listener._sockets)
        try:
            for client in [await self.connect() for _ in range(20)]:
                await client.send(GET)
                self.assertEqual((await client.answer()).status, 200)
            self.assertEqual(len(self.server.connections), 3)
        finally:
            other.stop()
            await other.close_all_connections()


@on_uvloop_too
class ReserveOverTLSTest(ServerTestCase):

    def make_server(self) -> HTTP1Server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(FOLDER / "test.crt", FOLDER / "test.key")
        limits = Limits(header_timeout=60, connections=2, reserve=2)
        return HTTP1Server(self.app, limits, is_probe=is_probe, ssl_context=context)

    async def ask(self, request: bytes) -> bytes:  # type: ignore[override]  # over TLS
        """Send a request on a connection of its own, and return the first line of the answer."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection("127.0.0.1", self.port, ssl=context), 10)
        writer.write(request)
        line = await asyncio.wait_for(reader.readline(), 10)
        writer.transport.abort()
        return line

    async def test_a_probe_is_answered_while_others_shake_no_hands(self) -> None:
        for _ in range(8):
            await self.connect()
        await self.until(lambda: len(self.server._listener.opening) >= 2)
        self.assertIn(b"200 OK", await self.ask(PROBE))
        self.assertIn(b"503 ", await self.ask(GET))
