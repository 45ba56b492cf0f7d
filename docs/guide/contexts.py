"""Whose request is it? Three ways to keep that beside the code, and where each goes wrong."""

import asyncio
import contextvars
from typing import Any

import aiotask_context
from serving import serving
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler

user: contextvars.ContextVar[str | None] = contextvars.ContextVar("user", default=None)


class TaskContextHandler(RequestHandler):
    """Keeps it in the context of the asyncio task, as aiotask-context does."""

    def get(self) -> None:
        if "X-User" in self.request.headers:
            aiotask_context.set("user", self.request.headers["X-User"])
        print("  user =", aiotask_context.get("user"))


class ContextVarHandler(RequestHandler):
    """Keeps it in a context variable."""

    waiting, gone = asyncio.Event(), asyncio.Event()

    async def get(self) -> None:
        user.set(self.request.headers.get("X-User"))
        print("  in the handler:", user.get())
        print("  in an executor:", await IOLoop.current().run_in_executor(None, user.get))
        print("  in to_thread:", await asyncio.to_thread(user.get))
        self.waiting.set()
        await self.gone.wait()

    def on_connection_close(self) -> None:
        print("  in on_connection_close:", user.get())
        self.gone.set()


async def ask(port: int, path: str, *fields: str) -> None:
    """Send requests on one connection, one after the other, then leave."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for field in fields:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{field}\r\n".encode())
        await (ContextVarHandler.waiting.wait() if path == "/variable" else reader.readuntil(b"\r\n\r\n"))
    writer.close()


async def main() -> None:
    application = Application(
        [("/task", TaskContextHandler), ("/variable", ContextVarHandler)], log_function=lambda handler: None)
    loop = asyncio.get_running_loop()
    async with serving(application) as port:
        print("aiotask-context's own task factory; Ann's request, then one of nobody:")
        loop.set_task_factory(aiotask_context.task_factory)
        await ask(port, "/task", "X-User: Ann\r\n", "")
        print("a factory whose tasks begin with a copy:")
        loop.set_task_factory(copying_factory)
        await ask(port, "/task", "X-User: Ann\r\n", "")
        loop.set_task_factory(None)
        print("a context variable; Ann leaves before the answer:")
        await ask(port, "/variable", "X-User: Ann\r\n")
        await ContextVarHandler.gone.wait()


def copying_factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task with a copy of its parent's values."""
    task: Any = asyncio.Task(coro, loop=loop, **options)
    task.context = dict(getattr(asyncio.current_task(loop), "context", {}))
    return task  # type: ignore[no-any-return]  # Any lends the task its `context`


asyncio.run(main())
