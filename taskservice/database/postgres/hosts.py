"""The hosts of a DSN, of which one takes writes: which of them is connected to, and which have fallen silent."""

import asyncio
import weakref
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

HEAD_START = 0.25
"""Seconds until the next host is tried as well; and, while a host is silent, until a failed one is tried again."""


class Hosts:
    """The host of each connection, and when each host last answered."""

    def __init__(self) -> None:
        self._host_of: weakref.WeakKeyDictionary[Connection, str] = weakref.WeakKeyDictionary()
        self._ended: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._answered: dict[str, float] = {}

    def add(self, connection: Connection, host: str) -> None:
        """Note where a connection goes to."""
        self._host_of[connection] = host

    def of(self, connection: Connection) -> str:
        """Return the host of a connection."""
        return self._host_of[connection]

    def note_answer(self, connection: Connection) -> None:
        """Note that a statement on this connection has just been answered."""
        self._answered[self._host_of[connection]] = asyncio.get_running_loop().time()

    def end(self, host: str, silent_since: float) -> None:
        """Close all connections to a host that takes no new ones, unless it has answered since then, in loop time.

        A network that is cut ends no connection: each statement on one would wait in vain, also once another host has
        been promoted. A server that is only too busy for new connections still answers on those it has.
        """
        if self._answered.get(host, -1.0) > silent_since:
            return
        for connection in [each for each, its in self._host_of.items() if its == host and not each.is_closed()]:
            self._ended.add(connection)
            connection.terminate()

    def has_ended(self, connection: Connection) -> bool:
        """Return whether `end` closed this connection."""
        return connection in self._ended


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
