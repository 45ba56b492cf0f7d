"""The SQLite engine: the embedded durable store, for one machine and any number of processes."""

import asyncio
import json
import os
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

import apsw

from taskservice.database.folders import is_usable
from taskservice.database.measurement import Measurement
from taskservice.database.os_errors import check_writable, translated_os
from taskservice.database.sql.pages import (
    CUT, SQLITE, PageRow, max_body, page_statements, task_page)
from taskservice.database.sql.writes import Create, Delete, Update
from taskservice.database.sqlite import search_index
from taskservice.database.sqlite.checkpoints import Checkpoints
from taskservice.database.sqlite.connection import (
    CACHE_KIB, READER_CACHE_KIB, open_connection, open_store)
from taskservice.database.sqlite.errors import Translated
from taskservice.database.sqlite.readers import SQLiteReaders
from taskservice.database.sqlite.writer import SQLiteWriter
from taskservice.database.contract import AbstractTodoListDB
from taskservice.database.revisions import Clock, system_clock
from taskservice.datamodel import (
    PORTION_BYTES, Change, ChangePage, Created, IdempotencyKey, Portion, StoredTask, TaskEntry,
    TaskPage, TaskQuery)
from taskservice.errors import (
    ChangesExpiredError, StoreError, StoreReadOnlyError, StoreUnavailableError, TaskNotFoundError)
from taskservice.precondition import UNCONDITIONAL, Precondition

BUSY_TIMEOUT = 5.0
READERS = 4
"""How many long reads run at once."""

MAX_INTEGER = 2 ** 63 - 1
"""SQLite's largest integer; apsw refuses to bind a larger one."""

_REVISION = "SELECT revision FROM store"
_TASK = "SELECT revision, CAST(body AS BLOB) FROM tasks WHERE id = $1"

# Many rows as one blob, see sqlite_readers. No JSON has these two characters outside an escape
# (RFC 8259 §7), and group_concat follows the order of a subquery that has a LIMIT.
_RECORD, _UNIT = b"\x1e", b"\x1f"
_PAGE = (
    "SELECT store.revision, rows, CASE WHEN large AND number > {limit} THEN "
    "(SELECT CAST(body AS BLOB) FROM tasks WHERE id = "
    "(SELECT id FROM ({page}) LIMIT 1 OFFSET {limit} - 1)) END "
    "FROM store, (SELECT CAST(group_concat(id || char(31) || revision || char(31) || "
    "CASE WHEN octet_length(body) <= {max_body} THEN body ELSE '' END, char(30)) AS BLOB) AS rows, "
    "max(octet_length(body)) > {max_body} AS large, count(*) AS number FROM ({page}))")

# The first $1 of some rows, as many as fit, and how many rows there are: sizes first, texts then, as
# the texts of all of them may be more than there is memory.
_FITTING = (
    "(SELECT CAST(group_concat(id || char(31) || revision || char(31) || "
    "ifnull((SELECT body FROM tasks WHERE rowid = row), ''), char(30)) "
    f"FILTER (WHERE n = 1 OR total <= {PORTION_BYTES} AND n <= $1) AS BLOB) AS rows, "
    "count(*) AS number FROM (SELECT id, revision, row, row_number() OVER w AS n, "
    "sum(size) OVER w AS total FROM ({rows}) WINDOW w AS (ROWS UNBOUNDED PRECEDING) LIMIT -1))")
CHANGES_SQL = "SELECT store.revision, forgotten, rows, number FROM store, " + _FITTING.format(rows=(
    "SELECT id, revision, rowid AS row, octet_length(body) AS size FROM tasks WHERE revision > $2 "
    "UNION ALL SELECT id, revision, NULL, 0 FROM tombstones WHERE revision > $2 "
    "ORDER BY revision LIMIT $1 + 1"))
TASKS_SQL = "SELECT rows, number FROM " + _FITTING.format(rows=(
    "SELECT tasks.id, revision, tasks.rowid AS row, octet_length(body) AS size "
    "FROM json_each($2) AS asked CROSS JOIN tasks ON tasks.id = asked.value "
    "ORDER BY asked.key LIMIT $1"))


@dataclass(frozen=True, slots=True)
class _OpenStore:
    point: apsw.Cursor
    translated: Translated
    readers: SQLiteReaders
    writer: SQLiteWriter
    file: os.stat_result


class SQLiteTodoListDB(AbstractTodoListDB):
    """Tasks in a SQLite database.

    Writes go to one thread, which commits all queued ones together; long reads to a few others.
    A single task is read on the event loop's thread: it is a handful of pages, and in WAL mode no
    writer or checkpoint makes a reader wait (https://sqlite.org/wal.html#concurrency). The few
    moments that do, such as another process that recovers the log after a crash, answer "busy" at
    once to a connection without a timeout, and then a thread waits instead of the loop.
    """

    name = "sqlite"
    readers = READERS

    def __init__(
        self, path: str | os.PathLike[str], *, clock: Clock = system_clock,
        busy_timeout: float = BUSY_TIMEOUT, search_index: bool = False
    ) -> None:
        """Take the file's path, and how many seconds to wait for another process that writes.

        `search_index` says whether to keep an index for searches, or to drop an existing one.
        """
        self._path = os.path.abspath(path)  # names that SQLite treats specially are files, too
        self._clock = clock
        self._busy_timeout = busy_timeout
        self._search_index = search_index
        self._store: _OpenStore | None = None

    async def examine(self, connect: bool) -> str:
        """Describe the file and its folder."""
        path = Path(self._path)
        with translated_os(self._path):
            if path.exists():
                with path.open("rb") as file:
                    if file.read(16) not in (b"", b"SQLite format 3\0"):
                        raise StoreError(f"{path} is no SQLite database")
        folder = "" if is_usable(path.parent) else " with its folder"
        return f"SQLite in {path}" + ("" if path.exists() else f", which would be made{folder}")

    async def start(self) -> None:
        if self._store is None:
            writer, point, *others = await asyncio.to_thread(self._connect)
            readers = SQLiteReaders(others)
            Checkpoints(writer, self._busy_timeout, readers.paused)
            self._store = _OpenStore(
                point.cursor(), Translated(point), readers,
                SQLiteWriter(writer, self._clock), os.stat(self._path))

    def _connect(self) -> Sequence[apsw.Connection]:
        """Return the writer's connection, the event loop's, and the readers'."""
        timeout = self._busy_timeout
        with ExitStack() as opened:
            connections = [open_store(self._path, busy_timeout=timeout)]
            opened.callback(connections[0].close)
            with Translated(connections[0]):
                search_index.switch(connections[0], self._search_index)
            for wait, cache in ((0.0, CACHE_KIB), *[(timeout, READER_CACHE_KIB)] * READERS):
                connections.append(open_connection(
                    self._path, busy_timeout=wait, read_only=True, cache_kib=cache))
                opened.callback(connections[-1].close)
            opened.pop_all()
        return connections

    async def stop(self) -> None:
        """Commit the queued writes; the last process to close copies the log into the file."""
        if (store := self._store) is not None:
            self._store = None
            await store.readers.stop()
            store.point.connection.close()
            await store.writer.stop()

    def _opened(self) -> _OpenStore:
        if self._store is None:
            raise StoreUnavailableError(f"{self._path}: the store is not open")
        return self._store

    async def check_ready(self) -> None:
        """Raise StoreError unless the path still leads to the opened file, and that may be written to."""
        store = self._opened()
        await self.revision()
        with translated_os(self._path):
            check_writable(self._path, store.file)
        if store.point.connection.readonly("main"):
            raise StoreReadOnlyError(
                f"{self._path} takes no writes: it could be opened for reading only")

    def log_bytes(self) -> int | None:
        """Return the size of the `-wal` file, 0 while there is none."""
        try:
            return os.stat(f"{self._path}-wal").st_size
        except OSError:
            return 0

    def measurements(self) -> Iterable[Measurement]:
        return () if self._store is None else self._store.writer.measurements()

    async def revision(self) -> int:
        revision: int = await self._point_read(_REVISION, ())
        return revision

    async def create_tasks(
        self, tasks: Sequence[tuple[str | None, TaskEntry]], key: IdempotencyKey | None = None
    ) -> Created:
        write = await Create.prepare(tasks, key)
        return await self._opened().writer.write(write)

    async def read_task(self, task_id: str) -> StoredTask:
        row = await self._point_read(_TASK, (task_id,))
        if row is None:
            raise TaskNotFoundError(task_id)
        return StoredTask(task_id, *row)

    async def update_task(
        self, task_id: str, entry: TaskEntry, precondition: Precondition = UNCONDITIONAL
    ) -> StoredTask:
        update = Update(task_id, entry, precondition)
        revision = await self._opened().writer.write(update)
        return StoredTask(task_id, revision, update.body)

    async def delete_task(
        self, task_id: str, precondition: Precondition = UNCONDITIONAL
    ) -> int:
        return await self._opened().writer.write(Delete(task_id, precondition))

    async def read_page(self, query: TaskQuery) -> TaskPage:
        indexed = self._search_index and query.words and await self._opened().readers.read(
            search_index.EXISTS, ())
        for page, arguments in page_statements(
                query, SQLITE, search_index.candidates if indexed else None):
            revision, joined, last = await self._opened().readers.read(
                page_sql(page, query), arguments)
            rows = _rows(joined)
            if not any(task_id == CUT for task_id, _, _ in rows):
                break
        if last is not None:
            rows[query.limit - 1] = (*rows[query.limit - 1][:2], last)
        return task_page(revision, rows, query)

    async def read_tasks(self, ids: Sequence[str]) -> Portion:
        joined, number = await self._opened().readers.read(TASKS_SQL, (len(ids), json.dumps(ids)))
        tasks = tuple(
            StoredTask(task_id, revision, body)
            for task_id, revision, body in _rows(joined) if body is not None)
        complete = len(tasks) == number
        return Portion(tasks, len(ids) if complete else ids.index(tasks[-1].id) + 1)

    async def read_changes(self, since: int | None, limit: int) -> ChangePage:
        start = min(max(since or 0, 0), MAX_INTEGER)
        revision, forgotten, joined, number = await self._opened().readers.read(
            CHANGES_SQL, (limit, start))
        if since is not None and not forgotten <= start <= revision:
            raise ChangesExpiredError(f"the changes after {since} are not kept")
        changes = tuple(
            Change(task_id, written, None if body is None else StoredTask(task_id, written, body))
            for task_id, written, body in _rows(joined))
        more = len(changes) < number
        return ChangePage(changes[-1].revision if more else revision, changes, more)

    async def _point_read(self, statement: str, arguments: Sequence[Any]) -> Any:
        store = self._opened()
        with store.translated:
            try:
                return store.point.execute(statement, arguments).get
            except (apsw.BusyError, apsw.LockedError):
                pass
        return await store.readers.read(statement, arguments)


def page_sql(page: str, query: TaskQuery) -> str:
    """Return the statement for revision, rows, and the last task's JSON where the rows may lack it."""
    return _PAGE.format(page=page, limit=query.limit, max_body=max_body(query))


def _rows(joined: bytes | None) -> list[PageRow]:
    """Split joined rows; no JSON is empty."""
    if joined is None:
        return []
    fields = (record.split(_UNIT, 2) for record in joined.split(_RECORD))
    return [(task_id.decode(), int(revision), body or None) for task_id, revision, body in fields]
