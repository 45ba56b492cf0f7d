"""Which hook of a handler is called when, for three requests."""

import asyncio
from typing import Any

from serving import fetch, serving
from tornado.web import Application, RequestHandler


class LifeHandler(RequestHandler):
    waiting = asyncio.Event()
    gone = asyncio.Event()
    finished = asyncio.Event()

    def set_default_headers(self) -> None:
        print("  set_default_headers")

    def initialize(self, greeting: str) -> None:
        print(f"  initialize({greeting!r})")

    def prepare(self) -> None:
        print("  prepare")

    async def get(self, what: str) -> None:
        print(f"  get({what!r})")
        if what == "broken":
            raise ValueError("a bug")
        if what == "slow":
            self.waiting.set()
            await self.gone.wait()

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        print(f"  log_exception: {error!r}")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        print(f"  write_error({status_code})")
        self.finish({"code": status_code})

    def on_finish(self) -> None:
        print("  on_finish")
        self.finished.set()

    def on_connection_close(self) -> None:
        print("  on_connection_close")
        self.gone.set()


def log_request(handler: RequestHandler) -> None:
    print(f"  log_function: {handler.get_status()}")


async def main() -> None:
    application = Application(
        [(r"/(\w+)", LifeHandler, {"greeting": "hello"})], log_function=log_request)
    async with serving(application) as port:
        for path in ("/fine", "/broken"):
            print(f"GET {path}")
            await fetch(port, path)
        print("GET /slow, and the client leaves")
        _, client = await asyncio.open_connection("127.0.0.1", port)
        client.write(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await LifeHandler.waiting.wait()
        LifeHandler.finished.clear()
        client.close()
        await LifeHandler.finished.wait()


asyncio.run(main())
