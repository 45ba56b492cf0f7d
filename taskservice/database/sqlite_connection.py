"""Connections to a SQLite file: how one is opened and migrated, and what its errors mean."""

import errno
import os
import time
from pathlib import Path

import apsw

from taskservice.database.sql import migrations
from taskservice.errors import StoreError, StoreFullError, StoreUnavailableError

CACHE_KIB = 4 * 1024
"""The page cache of a connection; it fills as pages are read, of which the system's cache has more.
"""

MAPPED_BYTES = 1 << 40
"""How much of the file is mapped, at the most; SQLite itself goes no further than 2 GiB."""

WAL_PAGES = 4000
"""When a commit also checkpoints (16 MB): the busiest pages are then copied once for many commits;
reading so much log back, after a crash, takes some 10 ms."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})


def open_connection(
    path: str, *, busy_timeout: float, read_only: bool = False, mapped: bool = False
) -> apsw.Connection:
    """Open the file, making it when it is not there; `busy_timeout` is in seconds.

    WAL with synchronous=FULL is durable (https://sqlite.org/pragma.html#pragma_synchronous).
    Sorting never makes a file, so that reads go on when the disk is full. One that is `mapped`
    reads the file through memory (https://sqlite.org/mmap.html): pages all over a large file then
    cost no system call each. The price is that a read error of the disk ends the process; what is
    acknowledged stays.
    """
    try:
        connection = apsw.Connection(path)
    except apsw.Error as error:
        raise StoreError(f"{path}: {error}") from error
    with Translated(connection):
        connection.set_busy_timeout(round(busy_timeout * 1000))
        connection.pragma("synchronous", "FULL")
        connection.pragma("cache_size", -CACHE_KIB)
        connection.pragma("mmap_size", MAPPED_BYTES if mapped else 0)
        connection.pragma("temp_store", "MEMORY")
        connection.pragma("query_only", int(read_only))
        connection.wal_autocheckpoint(WAL_PAGES)
        connection.pragma("journal_size_limit", 4 * WAL_PAGES * 4096)
    return connection


def open_store(path: str, *, busy_timeout: float) -> apsw.Connection:
    """Make the file, its folder and its tables as far as they are missing; return the writer's.

    Several processes may do so at once. Raises StoreVersionError, and StoreError for a file that
    is not a SQLite database.
    """
    try:
        _make_folder(Path(path).parent)
    except OSError as error:
        raise StoreError(f"{path}: {error}") from error
    connection = open_connection(path, busy_timeout=busy_timeout)
    try:
        with Translated(connection):
            _migrate(connection, busy_timeout)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_folder(folder: Path) -> None:
    """Make a folder that lasts: a new entry is there after a crash once its parent is synced."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _migrate(connection: apsw.Connection, busy_timeout: float) -> None:
    """Bring the tables up to date, in one transaction that begins with finding out what to do."""
    outdated = migrations("sqlite", connection.pragma("user_version"))
    _switch_to_wal(connection, busy_timeout)
    if not outdated:
        return
    connection.execute("BEGIN IMMEDIATE")
    for number, script in migrations("sqlite", connection.pragma("user_version")):
        connection.execute(script)
        connection.pragma("user_version", number)
    connection.execute("COMMIT")


def _switch_to_wal(connection: apsw.Connection, busy_timeout: float) -> None:
    """Set the mode, which the file keeps.

    This is where SQLite answers "busy" without waiting, when two processes do it at once: a wait
    could be a deadlock (https://sqlite.org/c3ref/busy_handler.html).
    """
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            mode = connection.pragma("journal_mode", "WAL")
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            break
    if mode != "wal":
        raise StoreError(f"{connection.filename}: this file system cannot do SQLite's WAL mode")


class Translated:
    """A context in which the errors of a connection become those of the domain."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, apsw.Error):
            raise _store_error(error, self._connection) from error


def _store_error(error: apsw.Error, connection: apsw.Connection) -> StoreError:
    message = f"{connection.filename}: {error}"
    match error:
        case apsw.FullError():
            return StoreFullError(message)
        case apsw.IOError() if connection.system_errno in _NO_ROOM:
            return StoreFullError(message)
        case apsw.BusyError() | apsw.LockedError() | apsw.ProtocolError() | apsw.InterruptError():
            return StoreUnavailableError(message)
        case apsw.CantOpenError() if connection.system_errno in _NO_DESCRIPTOR:
            return StoreUnavailableError(message)
        case _:
            return StoreError(message)
