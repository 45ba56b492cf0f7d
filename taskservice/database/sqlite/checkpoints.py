"""When the log of a SQLite store is copied into its file, which bounds the log.

A commit that finds a long log copies the pages that no reader needs, and waits for nobody. The log can start over only
at a moment when no reader uses it, and overlapping readers leave no such moment, however long the writer waits. So if
the log has become too long, new reads of this process wait until those under way have ended, and each does: the log
starts over (a RESTART checkpoint, see https://sqlite.org/c3ref/wal_checkpoint_v2.html), and reads go on.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

import apsw

WAL_PAGES = 4_000
"""From this many pages on (16 MB) a commit copies: the busiest pages are then copied once for many commits. Reading so
much log back, after a crash, takes some 10 ms."""

MAX_LOG_PAGES = 16 * WAL_PAGES
"""From this many pages on (256 MB) readers are held up until the log has started over."""

GRACE = 0.25
"""How many seconds a read may go on then before it is interrupted."""

PATIENCE = 1_000
"""How many milliseconds the writer waits for readers of other processes."""


class Checkpoints:
    """Checks the log after each commit of one connection, the writer's."""

    def __init__(
        self, connection: apsw.Connection, busy_timeout: float,
        readers_paused: Callable[[float], AbstractContextManager[None]]
    ) -> None:
        """`busy_timeout` is the connection's own, in seconds.

        `readers_paused` takes GRACE, and returns a context in which no reader of this process reads.
        """
        self._connection = connection
        self._busy_timeout = round(busy_timeout * 1000)
        self._readers_paused = readers_paused
        self._tried = 0
        connection.set_wal_hook(self._committed)

    def _committed(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        """Copy pages if the log has become long; as with SQLite's own hook, no error fails a commit."""
        if pages < self._tried:  # the log has started over
            self._tried = 0
        with suppress(apsw.Error):
            if pages >= MAX_LOG_PAGES and pages >= self._tried + WAL_PAGES:
                self._tried = pages
                with self._readers_paused(GRACE):
                    self._restart()
            elif pages >= WAL_PAGES:
                self._connection.wal_checkpoint("main")
        return apsw.SQLITE_OK

    def _restart(self) -> None:
        self._connection.set_busy_timeout(PATIENCE)
        try:
            self._connection.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_RESTART)
        finally:
            self._connection.set_busy_timeout(self._busy_timeout)
