"""The engine for many service processes on many machines: PostgreSQL, by asyncpg."""

import math
from typing import Any, Mapping, Self, Sequence

from taskservice.database import migration
from taskservice.database.batch import Create, Delete, Update
from taskservice.database.migration import REFOLDED, Progress, migrations, refolded
from taskservice.database.postgres_connections import Connection, Connections, Timing, Watch
from taskservice.database.postgres_errors import starting
from taskservice.database.postgres_writer import Writer
from taskservice.database.pages import POSTGRES, page_statements
from taskservice.database.todolist_db import AbstractTodoListDB, Clock, system_clock
from taskservice.datamodel import (
    Change, ChangePage, Created, IdempotencyKey, StoredTask, TaskEntry, TaskPage, TaskQuery)
from taskservice.errors import (
    ChangesExpiredError, ConfigError, StoreReadOnlyError, TaskNotFoundError)
from taskservice.precondition import UNCONDITIONAL, Precondition

OPTIONS = ("dsn", "pool-size", "acquire-timeout", "statement-timeout", "pgbouncer")

_MIGRATION_LOCK = 0x7461736B73  # "tasks": any number that others on the database do not use

_READY = """
SELECT pg_is_in_recovery() AS standby,
       current_setting('default_transaction_read_only')::boolean AS read_only FROM store"""

_CHANGES = """
SELECT store.revision AS store, store.forgotten, changes.* FROM store LEFT JOIN (
  (SELECT id, revision, body FROM tasks WHERE revision > $1 ORDER BY revision LIMIT {limit})
  UNION ALL
  (SELECT id, revision, NULL FROM tombstones WHERE revision > $1 ORDER BY revision LIMIT {limit})
  ORDER BY revision LIMIT {limit}) AS changes ON true"""


# An outer join keeps the order of its inner side here: with no condition on it, PostgreSQL has
# no other way than to go through the page for the one row of the store.
_PAGE = ("SELECT store.revision AS store, page.id, page.revision, page.body "
         "FROM store LEFT JOIN ({page}) AS page ON true")


class PostgresTodoListDB(AbstractTodoListDB):
    """Tasks in a PostgreSQL database, which other processes may use at the same time.

    Durations are in seconds. While the server is away, methods raise StoreUnavailableError within
    3 s; when it is back they work again. `pool_size` connections read, one more writes.
    """

    name = "postgres"

    def __init__(
        self, dsn: str, *, clock: Clock = system_clock, pool_size: int = 10,
        acquire_timeout: float = 2.0, statement_timeout: float = 5.0, pgbouncer: bool = False,
        timing: Timing = Timing(),
    ) -> None:
        self._connections = Connections(
            dsn, size=pool_size, acquire_timeout=acquire_timeout,
            statement_timeout=statement_timeout, pgbouncer=pgbouncer, timing=timing)
        self._writer = Writer(self._connections, clock)

    @classmethod
    def from_config(cls, options: Any) -> Self:
        """Take a DSN, or a mapping with `dsn` and other OPTIONS; raises ConfigError."""
        if isinstance(options, str):
            options = {"dsn": options}
        if not isinstance(options, Mapping) or not isinstance(options.get("dsn"), str):
            raise ConfigError(
                "task-db.postgres: expected postgresql://user@host/database, or a mapping with dsn")
        for name in options:
            if name not in OPTIONS:
                raise ConfigError(
                    f"task-db.postgres.{name}: unknown, expected one of {', '.join(OPTIONS)}")
        return cls(**{name.replace("-", "_"): value for name, value in options.items()})

    async def start(self) -> None:
        """Make or migrate the tables; StoreUnavailableError, StoreVersionError, ConfigError."""
        with starting(self._connections.where):
            connection = await self._connections.connect()
            try:
                with Watch(self._connections, connection, math.inf):  # an index takes its time
                    await _check_encoding(connection)
                    await _migrate(connection, self._connections.where)
            finally:
                connection.terminate()
        self._connections.open()

    async def stop(self) -> None:
        """Commit what is queued, within the statement timeout, and close the connections."""
        self._connections.close()
        await self._writer.stop()

    async def check_ready(self) -> None:
        """Raise StoreReadOnlyError for a standby, and where transactions are read-only by default."""
        [row] = await self._connections.fetch(_READY)
        if row["standby"] or row["read_only"]:
            reason = "it is a standby" if row["standby"] else "default_transaction_read_only is on"
            raise StoreReadOnlyError(
                f"PostgreSQL at {self._connections.where} takes no writes: {reason}")

    async def revision(self) -> int:
        """Return the revision of the last write of any process."""
        [row] = await self._connections.fetch("SELECT revision FROM store")
        return int(row[0])

    async def create_tasks(
        self, tasks: Sequence[tuple[str | None, TaskEntry]], key: IdempotencyKey | None = None
    ) -> Created:
        """Create all the tasks or none."""
        created: Created = await self._writer.write(await Create.prepare(tasks, key))
        return created

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
        revision: int = await self._writer.write(Delete(task_id, precondition))
        return revision

    async def read_page(self, query: TaskQuery) -> TaskPage:
        """Return a page."""
        if any("\0" in word for word in query.words):  # PostgreSQL has no such text to compare
            return TaskPage(await self.revision(), (), False)
        for page, arguments in page_statements(query, POSTGRES):
            rows = await self._connections.fetch(_PAGE.format(page=page), *arguments)
            if len(rows) > query.limit:
                break
        tasks = tuple(
            _task(task_id, revision, body) for _, task_id, revision, body in rows
            if task_id is not None)
        return TaskPage(rows[0]["store"], tasks[:query.limit], len(tasks) > query.limit)

    async def read_changes(self, since: int | None, limit: int) -> ChangePage:
        """Return changes; deletions are kept for DELETION_LIFETIME."""
        after = -1 if since is None else min(max(since, -1), 2 ** 63 - 1)
        rows = await self._connections.fetch(_CHANGES.format(limit=limit + 1), after)
        store, forgotten = rows[0]["store"], rows[0]["forgotten"]
        if since is not None and not forgotten <= since <= store:
            raise ChangesExpiredError(
                f"changes since {since} are not kept, only since {forgotten} and up to {store}")
        changes = tuple(
            Change(row["id"], row["revision"], _changed(row)) for row in rows if row["id"])
        if len(changes) <= limit:
            return ChangePage(store, changes)
        return ChangePage(changes[limit - 1].revision, changes[:limit])


def _task(task_id: str, revision: int, body: str) -> StoredTask:
    return StoredTask(task_id, revision, body.encode())


def _changed(row: Any) -> StoredTask | None:
    if row["body"] is None:
        return None
    return _task(row["id"], row["revision"], row["body"])


async def _check_encoding(connection: Connection) -> None:
    encoding = await connection.fetchval("SELECT current_setting('server_encoding')")
    if encoding != "UTF8":
        raise ConfigError(
            f"task-db.postgres: the database has the encoding {encoding}, expected UTF8: make one "
            "with CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'")


async def _migrate(connection: Connection, where: str) -> None:
    """Bring the tables up to date, in one transaction; others who start meanwhile wait for it.

    The lock of the store's row keeps processes of earlier versions from writing until it is done.
    """
    await connection.execute(
        "BEGIN ISOLATION LEVEL READ COMMITTED;"
        "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
        f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
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
            await _refold(connection, where)
        await connection.execute(statements)
        await connection.execute(f"UPDATE store_version SET version = {number}")
    await connection.execute("COMMIT")


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
