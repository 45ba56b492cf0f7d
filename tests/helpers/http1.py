"""What the tests of the HTTP/1.1 server share: a loop, a server, and a client of raw bytes."""

import asyncio
import functools
import inspect
import json
import logging
import sys
import unittest
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import tornado.netutil
import uvloop

from taskservice.http1.server import HTTP1Server, Limits
from tests.helpers.http1_app import App
from tests.helpers.raw import Answer, answers, read_in_loop, reading, received
from tests.helpers.time_limit import time_limit
from tests.helpers.timing import at_most

Case = TypeVar("Case", bound="ServerTestCase")

PATIENCE = at_most(10)
"""Seconds after which a test that waits has failed."""


class Client:
    """A connection to the server under test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, method: str = "GET") -> Answer:
        """Read one answer."""
        return await read_in_loop(reading(method), lambda wanted: self.within(received(self.reader, wanted)))

    async def rest(self) -> bytes:
        """Read until the server closes."""
        return await self.within(self.reader.read())

    async def within(self, wait: Coroutine[Any, Any, bytes]) -> bytes:
        """Wait, but not for ever."""
        return await asyncio.wait_for(wait, PATIENCE)

    async def close(self) -> None:
        """Leave."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass


class ServerTestCase(unittest.TestCase):
    """A case whose `async` tests run in a loop, with `self.server` serving `self.app`."""

    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    limits = Limits()

    def __init_subclass__(cls) -> None:
        for name, member in list(vars(cls).items()):
            if name.startswith("test_") and inspect.iscoroutinefunction(member):
                setattr(cls, name, _in_loop(member))

    def setUp(self) -> None:
        self.records: list[logging.LogRecord] = []
        handler = logging.Handler()
        handler.emit = self.records.append  # type: ignore  # keep, print nothing
        logger = logging.getLogger("tornado")
        before, logger.propagate = logger.propagate, False
        self.addCleanup(setattr, logger, "propagate", before)
        self.addCleanup(logger.removeHandler, handler)
        logger.addHandler(handler)

    def make_server(self) -> HTTP1Server:
        """Return the server, which does not listen yet."""
        return HTTP1Server(self.app, self.limits)

    async def start(self) -> None:
        """Serve on a free port."""
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 60  # -X dev would warn of each
        self.strays: list[Mapping[str, Any]] = []
        loop.set_exception_handler(lambda loop, context: self.strays.append(context))
        self.app = App()
        self.clients: list[Client] = []
        self.server = self.make_server()
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        self.port = sockets[0].getsockname()[1]
        self.server.add_sockets(sockets)

    async def stop(self) -> None:
        """Let all go."""
        self.app.may_answer.set()
        self.server.stop()
        await self.server.close_all_connections()
        for client in self.clients:
            await client.close()
        self.assertEqual(self.strays, [], "what nobody caught")

    async def connect(self, limit: int = 1 << 16) -> Client:
        """Return a new connection."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, limit=limit))
        self.clients.append(client)
        return client

    async def talk(self, *pieces: bytes) -> bytes:
        """Send bytes on a connection of their own, and return all that comes until it closes."""
        client = await self.connect()
        for piece in pieces:
            await client.send(piece)
            await asyncio.sleep(0.01)
        data = await client.rest()
        await client.close()
        return data

    async def ask(self, data: bytes) -> list[Answer]:
        """Send requests, the last of which closes, and return the answers."""
        methods = [line.split(b" ")[0].decode() for line in data.split(b"\r\n")
                   if line.endswith((b" HTTP/1.1", b" HTTP/1.0"))]
        return answers(await self.talk(data), methods)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; fails when it does not come."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.005)


def _in_loop(test: Callable[[Any], Coroutine[Any, Any, None]]) -> Callable[[Any], None]:
    async def run(case: ServerTestCase) -> None:
        await case.start()
        try:
            await asyncio.wait_for(test(case), 3 * PATIENCE)
        finally:
            await asyncio.wait_for(case.stop(), PATIENCE)

    @functools.wraps(test)
    def in_loop(case: ServerTestCase) -> None:
        with time_limit(5 * PATIENCE), asyncio.Runner(loop_factory=type(case).new_loop) as runner:
            runner.run(run(case))

    return in_loop


def on_uvloop_too(case: type[Case]) -> type[Case]:
    """Run a case on uvloop as well: as `NAMEOnUvloop`."""
    name = f"{case.__name__}OnUvloop"
    members = {"new_loop": uvloop.new_event_loop, "__module__": case.__module__}
    setattr(sys.modules[case.__module__], name, type(name, (case,), members))
    return case


def echoed(answer: Answer) -> dict[str, Any]:
    """Return what EchoHandler says."""
    said: dict[str, Any] = json.loads(answer.body)
    return said
