"""A DSN with several hosts, of which one takes writes: which of them is connected to."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

HEAD_START = 0.25
"""Seconds until the next host is tried as well; and, while a host is silent, until a failed one is tried again."""


async def first_connection(
    hosts: Sequence[str], connect: Callable[[str], Coroutine[Any, Any, Connection]]
) -> Connection:
    """Connect to the first of these hosts, in order, that accepts; raise an error once all have failed.

    asyncpg asks one after the other, and would wait in vain for a first host whose machine is off or whose network is
    cut, though the next one has been promoted. Cancel it to give up on silent hosts.
    """
    waiting, failed = list(hosts), list[str]()
    errors: dict[str, BaseException] = {}
    trying: dict[asyncio.Task[Connection], str] = {}
    try:
        while waiting or trying:
            if waiting:
                host = waiting.pop(0)
                trying[asyncio.create_task(connect(host))] = host
            done, _ = await asyncio.wait(trying, timeout=HEAD_START, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in trying if task in done]:
                host = trying.pop(task)
                if (error := task.exception()) is None:
                    return task.result()
                failed.append(host)
                errors[host] = error
            if trying and not done and not waiting:
                waiting, failed = failed, []  # one of them may have been promoted meanwhile
    finally:
        await _end(trying)
    # A server's answer says more than the absence of another server.
    raise min(errors.values(), key=lambda error: isinstance(error, OSError))


async def _end(attempts: dict[asyncio.Task[Connection], str]) -> None:
    """Cancel the remaining attempts, and close connections that nobody will use."""
    for task in attempts:
        task.cancel()
    if attempts:
        await asyncio.wait(attempts)
    for task in attempts:
        if not task.cancelled() and task.exception() is None:
            task.result().terminate()
