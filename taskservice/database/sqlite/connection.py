"""Connections to a SQLite file: how one is opened and migrated."""

import logging
import time
from pathlib import Path
from typing import Any

import apsw

from taskservice import LOGGER_NAME
from taskservice.database.folders import make_folder
from taskservice.database.os_errors import translated_os
from taskservice.database.sql import migration
from taskservice.database.sql.migration import REFOLDED, Progress, migrations, refolded
from taskservice.database.sqlite.checkpoints import WAL_PAGES
from taskservice.database.sqlite.errors import Translated, meaning_of
from taskservice.errors import StoreError
from taskservice.utils import logutils

CACHE_KIB = 4 * 1024
"""The page cache of a connection; it fills as pages are read, of which the system's cache has more.
"""

READER_CACHE_KIB = 1024
"""The same of a connection for lists: room to find its way in the indexes, and no more, since
the texts of large answers fill it. Scans of whole indexes and searches are no slower for it.
"""


def open_connection(
    path: str, *, busy_timeout: float, read_only: bool = False, cache_kib: int = CACHE_KIB
) -> apsw.Connection:
    """Open the file, creating it if it does not exist; `busy_timeout` is in seconds.

    WAL with synchronous=FULL is durable (https://sqlite.org/pragma.html#pragma_synchronous). Sorting never makes a
    file, so that reads go on when the disk is full. The file is not mapped (https://sqlite.org/mmap.html): mapping
    saves a system call a page, a tenth of a page of a list among a million tasks, but each reader would map all of it,
    and a read error would end the process.
    """
    try:
        connection = apsw.Connection(path)
    except apsw.Error as error:  # without a connection there is no error of the system to look up
        raise meaning_of(error, 0).says(path, error) from error
    with Translated(connection):
        connection.set_busy_timeout(round(busy_timeout * 1000))
        connection.pragma("synchronous", "FULL")
        connection.pragma("cache_size", -cache_kib)
        connection.pragma("mmap_size", 0)
        connection.pragma("temp_store", "MEMORY")
        connection.pragma("query_only", int(read_only))
        connection.wal_autocheckpoint(WAL_PAGES)
        connection.pragma("journal_size_limit", 4 * WAL_PAGES * 4096)
    return connection


def open_store(path: str, *, busy_timeout: float) -> apsw.Connection:
    """Create the file, its folder and its tables if they are missing; return the writer's connection.

    Several processes may do so at once. Raises StoreVersionError, and StoreError for a file that is not a SQLite
    database.
    """
    with translated_os(path):
        make_folder(Path(path).parent)
    connection = open_connection(path, busy_timeout=busy_timeout)
    try:
        with Translated(connection):
            _migrate(connection, busy_timeout)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: apsw.Connection, busy_timeout: float) -> None:
    """Bring the tables up to date, in one transaction that first checks what there is to do."""
    outdated = migrations("sqlite", connection.pragma("user_version"))
    _switch_to_wal(connection, busy_timeout)
    if not outdated:
        return
    connection.pragma("temp_store", "FILE")  # an index over millions of rows is sorted
    begin(connection)
    for number, script in migrations("sqlite", connection.pragma("user_version")):
        if number == REFOLDED:
            _refold(connection)
        connection.execute(script)
        connection.pragma("user_version", number)
    connection.execute("COMMIT")
    connection.pragma("temp_store", "MEMORY")


def begin(connection: apsw.Connection) -> None:
    """Begin a write transaction, however long it takes: another process may be migrating a large store."""
    waiting = False
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except apsw.BusyError:
            if not waiting:
                logutils.log(
                    logging.getLogger(LOGGER_NAME), logging.INFO, message="MIGRATION WAITS",
                    store=connection.filename)
            waiting = True
            time.sleep(0.01)


def _refold(connection: apsw.Connection) -> None:
    def portion(after: int) -> list[Any]:
        return connection.execute(
            "SELECT rowid, body, search FROM tasks WHERE rowid > ? ORDER BY rowid LIMIT ?",
            (after, migration.PORTION)).fetchall()

    progress = Progress(connection.filename)
    rows = portion(0)
    while rows:
        connection.executemany("UPDATE tasks SET search = ? WHERE rowid = ?", refolded(rows))
        progress.add(len(rows))
        rows = portion(rows[-1][0])


def _switch_to_wal(connection: apsw.Connection, busy_timeout: float) -> None:
    """Set the journal mode, which the file keeps.

    SQLite answers "busy" here without waiting when two processes do it at once: a wait could be a deadlock
    (https://sqlite.org/c3ref/busy_handler.html).
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
