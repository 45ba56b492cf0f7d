"""The engine for many service processes on many machines: PostgreSQL, by asyncpg."""

import math
from collections.abc import Iterable
from typing import Any, Sequence

from taskservice.database.measurement import Measurement
from taskservice.database.postgres import search_index as index
from taskservice.database.postgres.connections import Connections, Timing, Watch
from taskservice.database.postgres.errors import starting
from taskservice.database.postgres.examine import check_encoding, check_place, examine, read_only_error
from taskservice.database.postgres.hosts import Connection
from taskservice.database.postgres.writer import Writer
from taskservice.database.sql import migration
from taskservice.database.sql.migration import REFOLDED, Progress, migrations, refolded
from taskservice.database.sql.pages import (
    CUT, POSTGRES, Candidates, max_body, page_statements, task_page)
from taskservice.database.sql.writes import Create, Delete, Update
from taskservice.database.contract import AbstractTodoListDB
from taskservice.database.revisions import Clock, system_clock
from taskservice.datamodel import (
    PORTION_BYTES, Change, ChangePage, Created, IdempotencyKey, Portion, StoredTask, TaskEntry,
    TaskPage, TaskQuery)
from taskservice.errors import (
    ChangesExpiredError, TaskNotFoundError)
from taskservice.precondition import UNCONDITIONAL, Precondition

_MIGRATION_LOCK = 0x7461736B73  # "tasks": any number that other users of the database do not lock

_READY = """
SELECT pg_is_in_recovery() AS standby,
       current_setting('default_transaction_read_only')::boolean AS read_only FROM store"""

# The first of some rows in their order, `n`, as many as fit; `number` is how many there are. To know
# its size PostgreSQL does not read a text that is stored apart.
_FITTING = f"""
SELECT id, revision, body, n, number FROM (
  SELECT *, count(*) OVER () AS number, sum(coalesce(octet_length(body), 0)) OVER (
    ORDER BY n ROWS UNBOUNDED PRECEDING) AS total FROM ({{rows}}) AS rows) AS sized
WHERE n = 1 OR total <= {PORTION_BYTES}"""

_CHANGES = ("SELECT store.revision AS store, store.forgotten, changes.* FROM store LEFT JOIN ("
            + _FITTING.format(rows="""
  SELECT *, row_number() OVER (ORDER BY revision) AS n FROM (
    (SELECT id, revision, body FROM tasks WHERE revision > $1 ORDER BY revision LIMIT {limit} + 1)
    UNION ALL
    (SELECT id, revision, NULL FROM tombstones WHERE revision > $1
     ORDER BY revision LIMIT {limit} + 1)
    ORDER BY revision LIMIT {limit} + 1) AS latest""")
            + " AND n <= {limit}) AS changes ON true ORDER BY n")

_TASKS = _FITTING.format(rows="""
  SELECT id, revision, body, row_number() OVER (ORDER BY place) AS n
  FROM unnest($1::text[]) WITH ORDINALITY AS asked (wanted, place)
  JOIN tasks ON id = wanted""") + " ORDER BY n"

# An outer join keeps the order of its inner side here: with no condition on it, PostgreSQL has
# no other way than to go through the page for the one row of the store.
_PAGE = ("SELECT store.revision AS store, page.id, page.revision, page.body FROM store LEFT JOIN ("
         "SELECT id, revision, CASE WHEN octet_length(body) <= {max_body} "
         "OR row_number() OVER () = {limit} THEN body END AS body FROM ({page}) AS page"
         ") AS page ON true")


class PostgresTodoListDB(AbstractTodoListDB):
    """Tasks in a PostgreSQL database, which other processes may use at the same time.

    Durations are in seconds. While the server is away, methods raise StoreUnavailableError within 3 s; when it is back
    they work again. `pool_size` connections read, one more writes.
    """

    name = "postgres"

    def __init__(
        self, dsn: str, *, clock: Clock = system_clock, pool_size: int = 10,
        acquire_timeout: float = 2.0, statement_timeout: float = 5.0, pgbouncer: bool = False,
        search_index: bool = False, schema: str | None = None, timing: Timing = Timing(),
    ) -> None:
        self._connections = Connections(
            dsn, size=pool_size, acquire_timeout=acquire_timeout,
            statement_timeout=statement_timeout, pgbouncer=pgbouncer, timing=timing, schema=schema)
        self._writer = Writer(self._connections, clock)
        self.readers = pool_size - 1  # one is left for single tasks
        self._search_index = search_index
        self._candidates: Candidates | None = None

    async def examine(self, connect: bool) -> str:
        """Ask the server for its version, whether it takes writes, and the version of the tables."""
        store = f"PostgreSQL at {self._connections.where}"
        if not connect:
            return f"{store}, which was not asked (--connect)"
        with starting(self._connections.where):
            connection = await self._connections.connect()
            try:
                await connection.execute(f"BEGIN READ ONLY; {self._connections.limits}")
                return f"{store}, {await examine(connection, self._connections.where, self._connections.schema)}"
            finally:
                connection.terminate()

    async def start(self) -> None:
        """Make or migrate the tables; StoreUnavailableError, StoreVersionError, ConfigError."""
        with starting(self._connections.where):
            connection = await self._connections.connect()
            try:
                with Watch(self._connections, connection, math.inf):  # building an index takes long
                    await check_encoding(connection)
                    self._candidates = await _migrate(connection, self._connections, self._search_index)
            finally:
                connection.terminate()
        self._connections.open()

    async def stop(self) -> None:
        """Commit the queued writes, within the statement timeout, and close the connections."""
        self._connections.close()
        await self._writer.stop()
        await self._connections.ended()

    async def check_ready(self) -> None:
        """Raise StoreReadOnlyError for a standby, and if transactions are read-only by default."""
        [row] = await self._connections.fetch(_READY)
        if row["standby"] or row["read_only"]:
            raise read_only_error(self._connections.where, row["standby"])

    def measurements(self) -> Iterable[Measurement]:
        """Return the measurements of the writer, and of the reading connections."""
        return (*self._writer.measurements(), *self._connections.measurements())

    async def revision(self) -> int:
        """Return the revision of the last write of any process."""
        [row] = await self._connections.fetch("SELECT revision FROM store")
        return int(row[0])

    async def create_tasks(
        self, tasks: Sequence[tuple[str | None, TaskEntry]], key: IdempotencyKey | None = None
    ) -> Created:
        """Create all the tasks or none."""
        return await self._writer.write(await Create.prepare(tasks, key))

    async def read_task(self, task_id: str) -> StoredTask:
        """Return a task."""
        rows = await self._connections.fetch(
            "SELECT id, revision, body FROM tasks WHERE id = $1", task_id)
        if not rows:
            raise TaskNotFoundError(task_id)
        return _task(*rows[0])

    async def update_task(
        self, task_id: str, entry: TaskEntry, precondition: Precondition = UNCONDITIONAL
    ) -> StoredTask:
        """Replace a task."""
        update = Update(task_id, entry, precondition)
        revision = await self._writer.write(update)
        return StoredTask(task_id, revision, update.body)

    async def delete_task(
        self, task_id: str, precondition: Precondition = UNCONDITIONAL
    ) -> int:
        """Delete a task."""
        return await self._writer.write(Delete(task_id, precondition))

    async def read_page(self, query: TaskQuery) -> TaskPage:
        """Return a page."""
        if any("\0" in word for word in query.words):  # PostgreSQL has no such text to compare
            return TaskPage(await self.revision(), ())
        for page, arguments in page_statements(query, POSTGRES, self._candidates):
            rows = await self._connections.fetch(
                _PAGE.format(page=page, limit=query.limit, max_body=max_body(query)), *arguments)
            if not any(row["id"] == CUT for row in rows):
                break
        return task_page(rows[0]["store"], [
            (task_id, revision, None if body is None else body.encode())
            for _, task_id, revision, body in rows if task_id is not None], query)

    async def read_tasks(self, ids: Sequence[str]) -> Portion:
        """Return the first of these tasks."""
        rows = await self._connections.fetch(_TASKS, ids)
        tasks = tuple(_task(row["id"], row["revision"], row["body"]) for row in rows)
        complete = not rows or len(rows) == rows[0]["number"]
        return Portion(tasks, len(ids) if complete else ids.index(tasks[-1].id) + 1)

    async def read_changes(self, since: int | None, limit: int) -> ChangePage:
        """Return changes; deletions are kept for DELETION_LIFETIME."""
        after = -1 if since is None else min(max(since, -1), 2 ** 63 - 1)
        rows = await self._connections.fetch(_CHANGES.format(limit=limit), after)
        store, forgotten = rows[0]["store"], rows[0]["forgotten"]
        if since is not None and not forgotten <= since <= store:
            raise ChangesExpiredError(
                f"changes since {since} are not kept, only since {forgotten} and up to {store}")
        changes = tuple(
            Change(row["id"], row["revision"], _changed(row)) for row in rows if row["id"])
        more = len(changes) < (rows[0]["number"] or 0)
        return ChangePage(changes[-1].revision if more else store, changes, more)


def _task(task_id: str, revision: int, body: str) -> StoredTask:
    return StoredTask(task_id, revision, body.encode())


def _changed(row: Any) -> StoredTask | None:
    if row["body"] is None:
        return None
    return _task(row["id"], row["revision"], row["body"])


async def _migrate(connection: Connection, store: Connections, search_index: bool) -> Candidates | None:
    """Bring tables and search index up to date in one transaction; other processes that start wait for it.

    The lock of the store's row keeps processes of earlier versions from writing until it is done.
    """
    await connection.execute(
        "BEGIN ISOLATION LEVEL READ COMMITTED;"
        "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
        f"{store.scope} SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
    if await check_place(connection, store.where, store.schema):
        await connection.execute(f'CREATE SCHEMA "{store.schema}"')
    version = 0
    if await connection.fetchval("SELECT to_regclass('store_version')") is not None:
        version = await connection.fetchval("SELECT version FROM store_version")
    else:
        await connection.execute(
            "CREATE TABLE store_version (version integer NOT NULL);"
            "INSERT INTO store_version (version) VALUES (0)")
    outdated = migrations("postgres", version)
    if outdated and version:
        await connection.execute("SELECT FROM store FOR UPDATE")
    for number, statements in outdated:
        if number == REFOLDED:
            await _refold(connection, store.where)
        await connection.execute(statements)
        await connection.execute(f"UPDATE store_version SET version = {number}")
    candidates = await index.switch(connection, search_index, store.where)
    await connection.execute("COMMIT")
    return candidates


async def _refold(connection: Connection, where: str) -> None:
    progress = Progress(where)
    after = ""
    while rows := await connection.fetch(
            "SELECT id, body, search FROM tasks WHERE id > $1 ORDER BY id LIMIT $2",
            after, migration.PORTION):
        await connection.executemany(
            "UPDATE tasks SET search = $1 WHERE id = $2", refolded(map(tuple, rows)))
        after = rows[-1]["id"]
        progress.add(len(rows))
