"""Clients whose systems vanish: nothing of them answers any more, and no FIN or RST says so."""

import asyncio
import ctypes
import socket
import struct
import unittest
from dataclasses import replace

from taskservice.http1.server import HTTP1Server, Limits
from tests.helpers.http1 import PATIENCE, ServerTestCase, on_uvloop_too

STREAM = b"GET /stream/1/10/wait HTTP/1.1\r\nHost: h\r\n\r\n"
UNREAD = b"GET /stream/1000/100000 HTTP/1.1\r\nHost: h\r\n\r\n"
HOUR = 3600.0
SO_ATTACH_FILTER = 26  # which Python does not name


def vanish(sock: socket.socket) -> None:
    """Have the kernel drop all that comes for a socket, before it would acknowledge any of it."""
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0), 8)  # BPF: return 0
    sock.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(drop_all)))


@unittest.skipUnless(hasattr(socket, "TCP_USER_TIMEOUT"), "needs Linux")
@on_uvloop_too
class VanishedTest(ServerTestCase):
    """The other limits are too long to end any of these connections."""

    limits = Limits(vanished_timeout=2, reader_timeout=HOUR, header_timeout=HOUR, answer_timeout=HOUR)

    async def send(self, data: bytes) -> socket.socket:
        """Send from a socket that nobody reads."""
        sock = socket.create_connection(("127.0.0.1", self.port))
        self.addCleanup(sock.close)
        sock.sendall(data)
        return sock

    async def test_one_that_stays_is_kept(self) -> None:
        """While one that came later vanishes, and is noticed."""
        await self.send(STREAM)
        await self.until(lambda: self.app.flushed == 10)
        vanish(await self.send(b""))
        await self.until(lambda: len(self.server.connections) == 2)
        await self.until(lambda: len(self.server.connections) == 1)
        self.assertFalse(self.app.gone.is_set())

    async def test_the_client_of_a_stream(self) -> None:
        sock = await self.send(STREAM)
        await self.until(lambda: self.app.flushed == 10)
        vanish(sock)
        await self.until(lambda: not self.server.connections)
        self.assertTrue(self.app.gone.is_set())

    async def test_a_reader_that_had_stalled(self) -> None:
        sock = await self.send(UNREAD)
        await self.until(lambda: any(
            connection._transport.get_write_buffer_size() for connection in self.server.connections))
        vanish(sock)
        await self.until(lambda: not self.server.connections)
        await asyncio.wait_for(self.app.write_failed.wait(), PATIENCE)

    async def test_the_options_of_an_accepted_socket(self) -> None:
        """What is set on the listening socket holds for those that it accepts."""
        client = await self.connect()
        await self.until(lambda: bool(self.server.connections))
        [connection] = self.server.connections
        sock = connection._transport.get_extra_info("socket")
        found = [sock.getsockopt(socket.IPPROTO_TCP, option) for option in (
            socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)]
        self.assertEqual(found, [1, 1, 3, 2000])
        self.assertEqual(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)
        await client.close()

    async def test_limits_that_change_hold_for_connections_from_then_on(self) -> None:
        self.server.take_settings(HTTP1Server(self.app, replace(self.limits, vanished_timeout=90)))
        await self.connect()
        await self.until(lambda: bool(self.server.connections))
        [connection] = self.server.connections
        sock = connection._transport.get_extra_info("socket")
        self.assertEqual(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT), 90_000)
