"""The SQLite engine: the embedded durable store, for one machine and any number of processes."""

import asyncio
import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Mapping, Self, Sequence

import apsw

from taskservice.database.batch import Create, Delete, Update
from taskservice.database.os_errors import check_writable, translated_os
from taskservice.database.pages import SQLITE, page_statements
from taskservice.database.sqlite_connection import open_connection, open_store
from taskservice.database.sqlite_errors import Translated
from taskservice.database.sqlite_readers import SQLiteReaders
from taskservice.database.sqlite_writer import SQLiteWriter
from taskservice.database.todolist_db import AbstractTodoListDB, Clock, system_clock
from taskservice.datamodel import (
    Change, ChangePage, Created, IdempotencyKey, StoredTask, TaskEntry, TaskPage, TaskQuery)
from taskservice.errors import (
    ChangesExpiredError, ConfigError, StoreReadOnlyError, StoreUnavailableError, TaskNotFoundError)
from taskservice.precondition import UNCONDITIONAL, Precondition

BUSY_TIMEOUT = 5.0
READERS = 4
"""How many long reads run at once."""

MAX_INTEGER = 2 ** 63 - 1
"""SQLite's greatest, and apsw refuses to bind one beyond."""

_REVISION = "SELECT revision FROM store"
_TASK = "SELECT revision, CAST(body AS BLOB) FROM tasks WHERE id = $1"

# Many rows as one blob, see sqlite_readers. No JSON has these two characters outside an escape
# (RFC 8259 §7), and group_concat follows the order of a subquery that has a LIMIT.
_RECORD, _UNIT = b"\x1e", b"\x1f"
PAGE_SQL = (
    "SELECT revision, (SELECT CAST(group_concat("
    "id || char(31) || revision || char(31) || body, char(30)) AS BLOB) FROM ({page})) FROM store")
CHANGES_SQL = (
    "SELECT revision, forgotten, (SELECT CAST(group_concat("
    "id || char(31) || revision || char(31) || body, char(30)) AS BLOB) FROM ("
    "SELECT id, revision, body FROM tasks WHERE revision > $1 "
    "UNION ALL SELECT id, revision, '' FROM deletions WHERE revision > $1 "
    "ORDER BY revision LIMIT $2)) FROM store")


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

    def __init__(
        self, path: str | os.PathLike[str], *, clock: Clock = system_clock,
        busy_timeout: float = BUSY_TIMEOUT
    ) -> None:
        """Take the file's path, and how many seconds to wait for another process that writes."""
        self._path = os.path.abspath(path)  # what SQLite has special names for is a file, too
        self._clock = clock
        self._busy_timeout = busy_timeout
        self._store: _OpenStore | None = None

    @classmethod
    def from_config(cls, options: Any) -> Self:
        """Take a path, or a mapping of `path` and `busy-timeout` (seconds)."""
        if isinstance(options, str):
            return cls(options)
        if not isinstance(options, Mapping) or "path" not in options:
            raise ConfigError("task-db.sqlite: expected the path of a file")
        return cls(options["path"], busy_timeout=options.get("busy-timeout", BUSY_TIMEOUT))

    async def start(self) -> None:
        if self._store is None:
            writer, point, *readers = await asyncio.to_thread(self._connect)
            self._store = _OpenStore(
                point.cursor(), Translated(point), SQLiteReaders(readers),
                SQLiteWriter(writer, self._clock), os.stat(self._path))

    def _connect(self) -> Sequence[apsw.Connection]:
        """Return the writer's connection, the event loop's, and the readers'."""
        timeout = self._busy_timeout
        with ExitStack() as opened:
            connections = [open_store(self._path, busy_timeout=timeout)]
            opened.callback(connections[0].close)
            for wait, mapped in ((0.0, False), *[(timeout, True)] * READERS):
                connections.append(open_connection(
                    self._path, busy_timeout=wait, read_only=True, mapped=mapped))
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
        """Raise StoreError unless the file is the one that was opened, and may be written to."""
        store = self._opened()
        await self.revision()
        with translated_os(self._path):
            check_writable(self._path, store.file)
        if store.point.connection.readonly("main"):
            raise StoreReadOnlyError(
                f"{self._path} takes no writes: it could be opened for reading only")

    async def revision(self) -> int:
        revision: int = await self._point_read(_REVISION, ())
        return revision

    async def create_tasks(
        self, tasks: Sequence[tuple[str | None, TaskEntry]], key: IdempotencyKey | None = None
    ) -> Created:
        write = await Create.prepare(tasks, key)
        created: Created = await self._opened().writer.write(write)
        return created

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
        revision: int = await self._opened().writer.write(Delete(task_id, precondition))
        return revision

    async def read_page(self, query: TaskQuery) -> TaskPage:
        for page, arguments in page_statements(query, SQLITE):
            revision, rows = await self._opened().readers.read(
                PAGE_SQL.format(page=page), arguments)
            tasks = _tasks(rows)
            if len(tasks) > query.limit:
                break
        return TaskPage(revision, tuple(tasks[:query.limit]), len(tasks) > query.limit)

    async def read_changes(self, since: int | None, limit: int) -> ChangePage:
        start = min(max(since or 0, 0), MAX_INTEGER)
        revision, forgotten, rows = await self._opened().readers.read(
            CHANGES_SQL, (start, limit + 1))
        if since is not None and not forgotten <= start <= revision:
            raise ChangesExpiredError(f"the changes after {since} are not kept")
        tasks = _tasks(rows)
        if len(tasks) > limit:
            tasks = tasks[:limit]
            revision = tasks[-1].revision
        return ChangePage(revision, tuple(
            Change(task.id, task.revision, task if task.body else None) for task in tasks))

    async def _point_read(self, statement: str, arguments: Sequence[Any]) -> Any:
        store = self._opened()
        with store.translated:
            try:
                return store.point.execute(statement, arguments).get
            except (apsw.BusyError, apsw.LockedError):
                pass
        return await store.readers.read(statement, arguments)


def _tasks(rows: bytes | None) -> list[StoredTask]:
    if rows is None:
        return []
    fields = (record.split(_UNIT, 2) for record in rows.split(_RECORD))
    return [StoredTask(task_id.decode(), int(number), body) for task_id, number, body in fields]
