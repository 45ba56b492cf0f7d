"""An application for the tests of the HTTP/1.1 server."""

import asyncio
from typing import Any, cast

import tornado.iostream
import tornado.web


class EchoHandler(tornado.web.RequestHandler):
    """Tells what it was asked."""

    SUPPORTED_METHODS = (*tornado.web.RequestHandler.SUPPORTED_METHODS, "QUERY")

    async def get(self) -> None:
        """Answer, once the test lets it where the path says so."""
        app: Any = self.application
        app.asked.append(self.request.path)
        if self.request.path.startswith("/wait"):
            await app.may_answer.wait()
        self.write({
            "method": self.request.method, "uri": self.request.uri, "host": self.request.host,
            "body": self.request.body.decode("latin-1"), "ip": self.request.remote_ip,
            "protocol": self.request.protocol, "headers": dict(self.request.headers)})

    head = post = put = delete = query = get

    def on_connection_close(self) -> None:
        """Note that the client left."""
        cast(Any, self.application).gone.set()


class StreamHandler(tornado.web.RequestHandler):
    """Answers in pieces: `/stream/COUNT/SIZE`, and then `/cut` or `/wait`, if it shall.

    `/blind` does not wait for its reader.
    """

    async def get(self, count: str, size: str, then: str) -> None:
        """Write, as fast as the client reads."""
        app: Any = self.application
        app.asked.append(self.request.path)
        try:
            for _ in range(int(count)):
                self.write(b"x" * int(size))
                flushing = self.flush()
                if then != "/blind":
                    await flushing
                app.flushed += int(size)
        except tornado.iostream.StreamClosedError:
            app.write_failed.set()
            return
        if then == "/wait":
            await app.may_answer.wait()
        elif then == "/cut":
            cast(Any, self.detach()).close()

    head = get

    def on_connection_close(self) -> None:
        """Note that the client left."""
        cast(Any, self.application).gone.set()


@tornado.web.stream_request_body
class UploadHandler(tornado.web.RequestHandler):
    """Takes a body as it comes; with `?limit=` no more of it, with `?refuse` none at all.

    `?timeout=` is how long it may take; with `?late` all this is said a little later.
    """

    size = 0

    async def prepare(self) -> None:
        """Say what is wanted."""
        if self.get_query_argument("late", None):
            await asyncio.sleep(0.01)
        if timeout := self.get_query_argument("timeout", None):
            cast(Any, self.request.connection).set_body_timeout(float(timeout))
        if limit := self.get_query_argument("limit", None):
            cast(Any, self.request.connection).set_max_body_size(int(limit))
        if self.get_query_argument("refuse", None):
            raise tornado.web.HTTPError(403)

    async def data_received(self, chunk: bytes) -> None:
        """Count, once the test lets it."""
        app: Any = self.application
        app.asked.append(self.request.path)
        await app.may_answer.wait()
        self.size += len(chunk)

    def post(self) -> None:
        """Tell how much came."""
        self.write(str(self.size))

    def on_connection_close(self) -> None:
        """Note that the client left."""
        super().on_connection_close()
        cast(Any, self.application).gone.set()


class LiarHandler(tornado.web.RequestHandler):
    """Says another length than it sends; and other things that must not go out."""

    async def get(self, what: str) -> None:
        """Do what the path says."""
        if what == "short":
            self.set_header("Content-Length", "10")
            self.finish(b"12345")
        elif what == "long":
            self.set_header("Content-Length", "3")
            self.finish(b"12345")
        elif what == "close":
            self.set_header("Connection", "close")
        elif what == "split":
            self._headers["X-Split"] = "a\r\nX-Forged: b"  # past the check in set_header
        elif what == "keep":
            self.set_header("Connection", "keep-alive")
        elif what == "gzip":
            self.set_header("Transfer-Encoding", "gzip")
            self.write("xxx")
            await self.flush()
        elif what == "reason":
            self.set_status(404, "x" * 151)
        elif what.isdigit():
            self.set_status(int(what))


class App(tornado.web.Application):
    """An application for tests, and what they want to know of it."""

    def __init__(self) -> None:
        super().__init__([
            (r"/upload", UploadHandler),
            (r"/stream/(\d+)/(\d+)(/\w+)?", StreamHandler),
            (r"/liar/(\w+)", LiarHandler),
            (r".*", EchoHandler),
        ], log_function=lambda handler: None)
        self.asked: list[str] = []
        self.flushed = 0
        self.gone = asyncio.Event()
        self.write_failed = asyncio.Event()
        self.may_answer = asyncio.Event()
