"""A network of the test: bytes, ends and cuts arrive some time after they were sent."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

SECONDS = 0.04
"""How long each way takes."""


@contextmanager
def slow_network(port: int, held: threading.Event | None = None) -> Iterator[int]:
    """Relay connections to a port of this machine; give the port to connect to instead.

    With `held`, an end that comes from there waits until something passes it the other way; one that waits sets it.
    """
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(lambda *peer: _relay(port, held, *peer), "127.0.0.1"))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.run_until_complete(_end())
        loop.close()


async def _relay(
    port: int, held: threading.Event | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await asyncio.sleep(SECONDS)
    try:
        there, back = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        writer.transport.abort()
        return
    crossed = asyncio.Event()

    async def to_there(_: bytes) -> None:
        crossed.set()

    async def from_there(data: bytes) -> None:
        if not data and held is not None:
            crossed.clear()
            held.set()
            await crossed.wait()

    try:
        await asyncio.gather(_pass_on(reader, back, to_there), _pass_on(there, writer, from_there))
    except asyncio.CancelledError:  # the test has ended; asyncio would report the task
        pass
    finally:
        for each in (writer, back):
            each.transport.abort()


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: Callable[[bytes], Awaitable[None]]
) -> None:
    """Pass on what comes, each piece after its time on the way; return when the end has arrived."""
    loop, ended = asyncio.get_running_loop(), False
    while not ended:
        try:
            ended = not (data := await reader.read(65_536))
        except ConnectionError:
            loop.call_later(SECONDS, writer.transport.abort)
            break
        await before(data)
        loop.call_later(SECONDS, _deliver, writer, data)
    await asyncio.sleep(2 * SECONDS)


def _deliver(writer: asyncio.StreamWriter, data: bytes) -> None:
    if writer.transport.is_closing():
        return
    if data:
        writer.write(data)
    else:
        with suppress(OSError):  # it was cut meanwhile
            writer.write_eof()


async def _end() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
