"""The short way of an answer is Tornado's: the same bytes, log lines and hooks for the same calls of a handler."""

import asyncio
import re
import unittest
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unittest import mock

import tornado.web
from hypothesis import given, strategies

from taskservice.config import Config
from taskservice.http1.connection import Connection
from taskservice.http1.server import HTTP1Server
from taskservice.tornado import app, fast
from taskservice.tornado.handlers.base import BaseRequestHandler
from taskservice.utils import taskcontext
from tests.helpers.app import journal
from tests.helpers.strategies import property_settings
from tests.helpers.transport import Transport

DIFFERS = re.compile(r' (time_ms|store_ms)=\S+| trace="(\\.|[^"\\])*"')
"""What lines of the log differ in: times, and the files and lines of a traceback."""

Call = Callable[["Scripted"], Any]


async def _wait(handler: "Scripted") -> None:
    await asyncio.sleep(0)


async def _flush(handler: "Scripted") -> None:
    await handler.flush()


def _raise(error: BaseException) -> Call:
    def call(handler: "Scripted") -> None:
        raise error
    return call


CALLS: Mapping[str, Call] = {
    "wait": _wait,
    "flush": _flush,
    "write bytes": lambda handler: handler.write(b"bytes"),
    "write nothing": lambda handler: handler.write(b""),
    "write text": lambda handler: handler.write("t\xe4xt"),
    "write JSON": lambda handler: handler.write({"a": 1}),
    "write a list": lambda handler: handler.write([1]),  # type: ignore[arg-type]  # an error
    "finish": lambda handler: handler.finish(),
    "finish with text": lambda handler: handler.finish("end"),
    "201": lambda handler: handler.set_status(201),
    "204": lambda handler: handler.set_status(204),
    "304": lambda handler: handler.set_status(304),
    "a reason": lambda handler: handler.set_status(299, "Of Its Own"),
    "no status": lambda handler: handler.set_status(99_999),
    "tag": lambda handler: handler.set_header("ETag", '"1"'),
    "length": lambda handler: handler.set_header("Content-Length", 5),
    "type": lambda handler: handler.set_header("content-type", "text/plain"),
    "language": lambda handler: handler.set_header("Content-Language", "en"),
    "encoding": lambda handler: handler.set_header("Content-Encoding", "br"),
    "bytes of a field": lambda handler: handler.set_header("X-Bytes", b"b"),
    "line end in a field": lambda handler: handler.set_header("X-Lines", "a\r\nSet-Cookie: b"),
    "add a field": lambda handler: handler.add_header("X-More", "1"),
    "clear a field": lambda handler: handler.clear_header("Vary"),
    "clear": lambda handler: handler.clear(),
    "cookie": lambda handler: handler.set_cookie("name", "value"),
    "redirect": lambda handler: handler.redirect("/elsewhere"),
    "send an error": lambda handler: handler.send_error(418),
    "HTTPError": _raise(tornado.web.HTTPError(409)),
    "Finish": _raise(tornado.web.Finish()),
    "Finish with a body": _raise(tornado.web.Finish(b"the end")),
    "error": _raise(KeyError("a")),
    "somebody's cancellation": _raise(asyncio.CancelledError()),
    "own cancellation": lambda handler: handler.task.cancel(),  # type: ignore[union-attr]
}


class Scripted(BaseRequestHandler):
    """Makes the calls of a script, and notes which hooks were called."""

    route = "/scripted"
    script: Sequence[str] = ()
    tag: str | None = None
    called: list[object] = []

    def prepare(self) -> None:
        super().prepare()
        self.called.append("prepare")

    async def get(self) -> None:
        """Make the calls."""
        for name in self.script:
            if (result := CALLS[name](self)) is not None and asyncio.iscoroutine(result):
                await result

    head = post = delete = get

    def compute_etag(self) -> str | None:  # type: ignore[override]
        self.called.append("compute_etag")
        return self.tag

    def log_exception(self, *error: Any) -> None:
        super().log_exception(*error)
        self.called.append(f"log_exception {error[0].__name__}")

    def on_finish(self) -> None:
        self.called.append(f"on_finish {self.get_status()} {self.written} {self._finished}")


class Overriding(Scripted):
    """Overrides what the lean handler overrides, too."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("X-Default", "own")

    def set_header(self, name: str, value: Any) -> None:
        self.called.append(f"set_header {name}")
        super().set_header(name, value)

    def clear(self) -> None:
        super().clear()
        self.called.append("clear")

    def write(self, chunk: Any) -> None:
        super().write(chunk)
        super().write(b"!")

    def flush(self, include_footers: bool = False) -> "asyncio.Future[None]":
        self.called.append(f"flush {include_footers}")
        return super().flush(include_footers)

    def finish(self, chunk: Any = None) -> "asyncio.Future[None]":
        self.called.append(f"finish {chunk}")
        return super().finish(chunk)


class Client(Transport):
    """Keeps what it is sent."""

    sent = b""

    def write(self, data: bytes) -> None:
        """Take it at once."""
        self.sent += data


class Plain(dict[type[BaseRequestHandler], type[BaseRequestHandler]]):
    """Each handler as it is, for Tornado's way."""

    def __missing__(self, handler: type[BaseRequestHandler]) -> type[BaseRequestHandler]:
        return handler


async def answers(handler: type[Scripted], request: bytes) -> Sequence[object]:
    """Return what a client gets for two of a request on one connection, the log, and the hooks that were called."""
    taskcontext.install(asyncio.get_running_loop())
    handler.called = Scripted.called = []
    routes: Any = [("/scripted", handler)]
    with mock.patch.object(app, "ROUTES", routes), journal() as logged:
        _, application = app.make_taskservice_app(Config())
        connection, client = Connection(HTTP1Server(application, pass_too_large=True)), Client()
        connection.connection_made(client)  # type: ignore[arg-type]
        asyncio.get_running_loop().call_soon(connection.data_received, request * 2)
        for _ in range(30):
            await asyncio.sleep(0)
        while fast._running:
            await asyncio.sleep(0)
        connection.connection_lost(None)
        lines = [(record.name, record.levelname, DIFFERS.sub("", record.getMessage())) for record in logged.records]
    ends = [done for done in client.done if not done.endswith("_reading")]
    return client.sent, ends, client.options, lines, handler.called


class SameAsTornadoTest(unittest.TestCase):

    maxDiff = None

    @property_settings()
    @given(
        strategies.sampled_from((Scripted, Overriding)), strategies.sampled_from(("GET", "HEAD", "POST", "DELETE")),
        strategies.sampled_from(("", "If-None-Match: \"1\"\r\n", "Origin: http://a.example\r\n")),
        strategies.sampled_from((None, '"1"')),
        strategies.lists(strategies.sampled_from(sorted(CALLS)), max_size=5))
    def test_the_same_calls_have_the_same_effects(
        self, handler: type[Scripted], method: str, fields: str, tag: str | None, script: Sequence[str]
    ) -> None:
        request = f"{method} /scripted HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: id\r\n{fields}\r\n".encode()
        Scripted.script, Scripted.tag = script, tag
        with mock.patch("time.time", lambda: 1_700_000_000.0):
            with mock.patch.object(fast, "LEAN", Plain()):
                expected = asyncio.run(answers(handler, request))
            self.assertEqual(asyncio.run(answers(handler, request)), expected)


if __name__ == "__main__":
    unittest.main()
