#!/usr/bin/env python3
"""What each part of taskservice/tornado/fast.py saves of a request: CPU time in the process, without sockets.

Each variant lacks one part, and does what Tornado does in its place. All are measured in turn, in rounds;
what is shown are medians over the rounds.

    benchmarks/fast.py [--rounds N]
"""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tornado.web  # noqa: E402  # after the path
import uvloop  # noqa: E402
from tornado.httputil import HTTPServerRequest  # noqa: E402

from taskservice.config import Config  # noqa: E402
from taskservice.http1.connection import Connection  # noqa: E402
from taskservice.http1.server import HTTP1Server  # noqa: E402
from taskservice.tornado import fast  # noqa: E402
from taskservice.tornado.app import TaskServiceApplication, make_taskservice_app  # noqa: E402
from taskservice.utils import taskcontext  # noqa: E402

REQUESTS = 1_000
HOST = b"Host: 127.0.0.1:8080\r\nUser-Agent: wrk\r\nAccept: */*\r\n"


class Transport(asyncio.Transport):
    """A client that takes everything at once."""

    last = b""
    written = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the peer's address."""
        return ("127.0.0.1", 1) if name == "peername" else None

    def write(self, data: Any) -> None:
        """Keep it, and count it."""
        self.last, self.written = bytes(data), self.written + 1

    def is_closing(self) -> bool:
        """Say that it is open."""
        return False

    def get_write_buffer_size(self) -> int:
        """Say that nothing waits."""
        return 0


def tornados_request(exchange: Any) -> HTTPServerRequest:
    """Return the request as Tornado's delegate makes it."""
    return HTTPServerRequest(
        connection=exchange, start_line=exchange.head.start_line, headers=exchange.head.headers)


def tornados_routing(self: Any, server_conn: object, request_conn: Any) -> Any:
    """Take a request to its handler by Tornado's rules."""
    return tornado.web.Application.start_request(self, server_conn, request_conn)


class PlainHandlers(dict[Any, Any]):
    """Each handler as it is."""

    def __missing__(self, handler: Any) -> Any:
        return handler


VARIANTS: Mapping[str, Callable[[], Any]] = {
    "all of it": nullcontext,
    "without Request": lambda: patch.object(fast, "Request", tornados_request),
    "without the lean handler": lambda: patch.object(fast, "LEAN", PlainHandlers()),
    "without any (Tornado's router, delegates, request)": lambda: patch.object(
        TaskServiceApplication, "start_request", tornados_routing),
}


@contextmanager
def connected(server: HTTP1Server) -> Iterator[tuple[Connection, Transport]]:
    """Give a connection to the server."""
    connection, transport = Connection(server), Transport()
    connection.connection_made(transport)
    yield connection, transport
    connection.connection_lost(None)


async def main(rounds: int) -> None:
    """Measure, and print a table."""
    logging.getLogger().setLevel(logging.CRITICAL)
    loop = asyncio.get_running_loop()
    taskcontext.install(loop)
    service, application = make_taskservice_app(Config())
    figures: dict[str, dict[str, list[float]]] = {name: {"get": [], "put": []} for name in VARIANTS}
    async with service:
        server = HTTP1Server(application, pass_too_large=True)
        with connected(server) as (connection, transport):

            async def ask(request: bytes) -> bytes:
                before = transport.written
                loop.call_soon(connection.data_received, request)  # as a loop does: in no task
                while transport.written == before:
                    await asyncio.sleep(0)
                return transport.last

            body = b'{"title": "Buy milk", "priority": "high"}'
            sent = HOST + b"Content-Length: %d\r\n\r\n" % len(body) + body
            await ask(b"PUT /tasks/milk HTTP/1.1\r\nIf-None-Match: *\r\n" + sent)
            requests = {"get": b"GET /tasks/milk HTTP/1.1\r\n" + HOST + b"\r\n",
                        "put": b"PUT /tasks/milk HTTP/1.1\r\n" + sent}
            for _ in range(rounds):
                for name, variant in VARIANTS.items():
                    with variant():
                        for what, request in requests.items():
                            assert b" 20" in (await ask(request))[:12]
                            began = time.process_time()
                            for _ in range(REQUESTS):
                                await ask(request)
                            figures[name][what].append((time.process_time() - began) / REQUESTS * 1e6)
    print(f"CPU time a request in microseconds, Python {sys.version.split()[0]}; medians of {rounds} rounds")
    for name, measured in figures.items():
        print(f"{name:52}" + "".join(f"{what} {median(values):6.1f}  " for what, values in measured.items()).rstrip())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What fast.py saves")
    parser.add_argument("--rounds", type=int, default=15)
    uvloop.run(main(parser.parse_args().rounds))
