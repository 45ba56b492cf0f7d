"""Reads that may take long: in worker threads, each with a connection of its own.

A read is one statement that returns one value or row, however many tasks it reads: each step of a statement releases
the GIL and has to get it back, which beside a busy event loop takes longer than reading a page does.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import LifoQueue
from threading import Condition, Event, Lock
from typing import Any, Sequence

import apsw

from taskservice.database.sqlite.errors import Translated
from taskservice.errors import StoreBusyError, StoreUnavailableError

STEPS = 100_000
"""How many steps of SQLite's virtual machine, a few milliseconds of work, pass between checks of the event."""

LAST_GRACE = 1.0
"""Seconds that an interrupted read has to end: it looks at one row more."""


class _Read:
    """One read: the connection it runs on, and whether its result is still wanted."""

    def __init__(self) -> None:
        self.in_the_way = False
        """Whether it has to end so that the log can start over."""
        self._cancelled = Event()
        self._running = Lock()
        self._connection: apsw.Connection | None = None

    def run(self, connection: apsw.Connection, statement: str, arguments: Sequence[Any]) -> Any:
        """Run a statement, and return its result; apsw.InterruptError once it is cancelled."""
        if self._cancelled.is_set():
            raise apsw.InterruptError("cancelled before it began")
        connection.set_progress_handler(self._cancelled.is_set, STEPS)
        self._connection = connection
        try:
            return connection.execute(statement, arguments).get
        finally:
            with self._running:
                self._connection = None

    def cancel(self) -> None:
        """End it, at the next row that it looks at.

        An interrupt is lost on a statement that is about to begin: the progress handler catches that. Alone the handler
        would not be enough, since so many steps may look at very long texts.
        """
        self._cancelled.set()
        with self._running:  # or the interrupt would end the next read on the connection
            if self._connection is not None:
                self._connection.interrupt()


class SQLiteReaders:
    """A pool of connections, each with a thread."""

    def __init__(self, connections: Sequence[apsw.Connection]) -> None:
        self._connections = connections
        # The last one used comes first: its cache is warm.
        self._idle: LifoQueue[apsw.Connection] = LifoQueue()
        for connection in connections:
            self._idle.put(connection)
        self._threads = ThreadPoolExecutor(len(connections), thread_name_prefix="sqlite-reader")
        self._reads: set[_Read] = set()
        # Under the condition: the reads that have begun, and whether others may.
        self._changed = Condition()
        self._begun: set[_Read] = set()
        self._paused = False

    async def read(self, statement: str, arguments: Sequence[Any]) -> Any:
        """Return the result of a statement, in the form of apsw's `Cursor.get`.

        It is interrupted when the caller is cancelled; also by `stop`, then StoreUnavailableError, and by `paused`,
        then StoreBusyError.
        """
        read = _Read()
        self._reads.add(read)
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._run, read, statement, arguments)
        except asyncio.CancelledError:
            read.cancel()
            raise
        finally:
            self._reads.discard(read)

    def _run(self, read: _Read, statement: str, arguments: Sequence[Any]) -> Any:
        connection = self._idle.get()  # never waits: there is one for each thread
        with self._changed:
            self._changed.wait_for(lambda: not self._paused)
            self._begun.add(read)
        try:
            with Translated(connection):
                return read.run(connection, statement, arguments)
        except StoreUnavailableError as error:
            if read.in_the_way:
                raise StoreBusyError(f"{error}, as the log had become too long") from error
            raise
        finally:
            with self._changed:
                self._begun.remove(read)
                self._changed.notify_all()
            self._idle.put(connection)

    @contextmanager
    def paused(self, grace: float) -> Iterator[None]:
        """Let no read run in the block; those that have begun are ended after `grace` seconds.

        It is for another thread, one at a time.
        """
        with self._changed:
            self._paused = True
            self._changed.wait_for(lambda: not self._begun, grace)
            for read in self._begun:
                read.in_the_way = True
                read.cancel()
            self._changed.wait_for(lambda: not self._begun, LAST_GRACE)
        try:
            yield
        finally:
            with self._changed:
                self._paused = False
                self._changed.notify_all()

    async def stop(self) -> None:
        """Interrupt the running reads, and close the connections."""
        for read in self._reads:
            read.cancel()
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._connections:
            connection.close()
