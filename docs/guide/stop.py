"""A stop that answers what it has begun, and takes nothing new."""

import asyncio

from serving import fetch
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler


class SlowHandler(RequestHandler):
    in_flight = 0
    begun = asyncio.Event()

    def prepare(self) -> None:
        SlowHandler.in_flight += 1
        self.begun.set()

    async def get(self) -> None:
        await asyncio.sleep(0.3)
        self.write("done")

    def on_finish(self) -> None:
        SlowHandler.in_flight -= 1


async def stop(server: HTTPServer, patience: float) -> None:
    """Close the port, wait for what is in flight, then close the connections that idle."""
    server.stop()
    deadline = asyncio.get_running_loop().time() + patience
    while SlowHandler.in_flight and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.02)
    await server.close_all_connections()


async def main() -> None:
    listening, port = bind_unused_port()
    server = HTTPServer(Application([("/", SlowHandler)]))
    server.add_socket(listening)
    # A service waits for a signal here: loop.add_signal_handler(signal.SIGTERM, event.set)
    answer = asyncio.create_task(fetch(port, "/"))
    await SlowHandler.begun.wait()
    stopping = asyncio.create_task(stop(server, patience=30))
    await asyncio.sleep(0)
    try:
        await fetch(port, "/")
    except ConnectionRefusedError:
        print("a new request is refused")
    print("the one in flight is", (await answer).body.decode())
    await stopping


asyncio.run(main())
