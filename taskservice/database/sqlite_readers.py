"""Reads that may take long: in worker threads, each with a connection of its own.

A read is one statement that gives one value or row, however many tasks it reads: each step of a
statement gives up the GIL and has to get it back, which beside a busy event loop takes longer
than reading a page does.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from queue import LifoQueue
from threading import Event
from typing import Any, Sequence

import apsw

from taskservice.database.sqlite_errors import Translated

STEPS = 100_000
"""How many steps of SQLite's machine, some milliseconds' work, go between looks at the event."""


class SQLiteReaders:
    """Some connections, and as many threads."""

    def __init__(self, connections: Sequence[apsw.Connection]) -> None:
        self._connections = connections
        # The last one used comes first: its cache is warm.
        self._idle: LifoQueue[apsw.Connection] = LifoQueue()
        for connection in connections:
            self._idle.put(connection)
        self._threads = ThreadPoolExecutor(len(connections), thread_name_prefix="sqlite-reader")
        self._running: set[Event] = set()

    async def read(self, statement: str, arguments: Sequence[Any]) -> Any:
        """Return what a statement answers, in the form of apsw's `Cursor.get`.

        It is interrupted when the caller is cancelled, and then by `stop`: StoreUnavailableError.
        """
        interrupted = Event()
        self._running.add(interrupted)
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._run, statement, arguments, interrupted)
        except asyncio.CancelledError:
            interrupted.set()
            raise
        finally:
            self._running.discard(interrupted)

    def _run(self, statement: str, arguments: Sequence[Any], interrupted: Event) -> Any:
        connection = self._idle.get()  # there are as many as threads: never waits
        try:
            with Translated(connection):
                connection.set_progress_handler(interrupted.is_set, STEPS)
                return connection.execute(statement, arguments).get
        finally:
            self._idle.put(connection)

    async def stop(self) -> None:
        """Interrupt what is running, and close the connections."""
        for interrupted in self._running:
            interrupted.set()
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._connections:
            connection.close()
