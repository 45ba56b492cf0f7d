"""What holds up the event loop: in which order two requests are answered, of which the second needs no time."""

import asyncio
import time

from serving import fetch, serving
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler


class BlockingHandler(RequestHandler):
    async def get(self) -> None:  # `async` makes nothing faster
        time.sleep(1)  # a database driver, a large file, a large JSON


class WaitingHandler(RequestHandler):
    async def get(self) -> None:
        await asyncio.sleep(1)


class ExecutorHandler(RequestHandler):
    async def get(self) -> None:
        await IOLoop.current().run_in_executor(None, time.sleep, 1)


class QuickHandler(RequestHandler):
    def get(self) -> None:
        pass


async def main() -> None:
    application = Application([
        ("/blocking", BlockingHandler), ("/waiting", WaitingHandler), ("/executor", ExecutorHandler),
        ("/quick", QuickHandler)], log_function=lambda handler: None)
    async with serving(application) as port:
        for path in ("/blocking", "/waiting", "/executor"):
            answered = []

            async def ask(asked: str) -> None:
                await fetch(port, asked)
                answered.append(asked)

            await asyncio.gather(ask(path), ask("/quick"))
            print(" before ".join(answered))


asyncio.run(main())
