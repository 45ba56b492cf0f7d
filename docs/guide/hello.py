"""The smallest service: a handler, a route to it, and a port."""

import asyncio

import tornado.web


class HelloHandler(tornado.web.RequestHandler):
    def get(self) -> None:
        self.write({"hello": "world"})  # a dict becomes JSON, and Content-Type says so


def make_app() -> tornado.web.Application:
    return tornado.web.Application([(r"/", HelloHandler)])


async def main() -> None:
    make_app().listen(8888, "localhost")
    await asyncio.Event().wait()  # for ever; stage 2 stops it well


if __name__ == "__main__":
    asyncio.run(main())
