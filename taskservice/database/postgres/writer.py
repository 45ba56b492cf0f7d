"""The writer: one transaction at a time, for all writes that were queued when it began."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from taskservice.database.expiry import latest_expiry
from taskservice.database.measurement import Measurement
from taskservice.database.postgres.connections import SOON, Connections, Watch
from taskservice.database.postgres.errors import LOST, translated
from taskservice.database.postgres.hosts import Connection
from taskservice.database.sql.batch import Batch, portions
from taskservice.database.sql.columns import TASK_COLUMNS, Row
from taskservice.database.sql.group_commit import MAX_TASKS, Group, WriteQueue, failures, settle
from taskservice.database.sql.kept_keys import KeptKey
from taskservice.database.sql.writes import Result, Write, apply_all
from taskservice.database.revisions import Clock
from taskservice.datamodel import DELETION_LIFETIME, FACETS, IDEMPOTENCY_KEY_LIFETIME, Created
from taskservice.errors import StoreBusyError, StoreUnavailableError

PRUNE_INTERVAL = 10 * 1_000_000
"""How often expired entries are deleted, in microseconds."""

PRUNE_ROWS = 1000
"""How many of each kind are deleted at a time."""

ROWS_A_STATEMENT = 1000
"""Maximum number of rows that an INSERT writes."""

ROWS_A_COPY = 5000
"""Maximum number of rows that a COPY writes: each has the statement timeout to itself."""

# First of all the lock: the next statement sees what everyone who had it before has committed
# (READ COMMITTED takes a snapshot for each statement), and revisions appear in commit order.
# Override a database-wide synchronous_commit=off: acknowledged writes must be durable.
# Keep a default of read-only: a provider sets it, e.g., before the disk is full.
# Warnings must come: the one that says that a commit is local is an error here.
# Without enable_seqscan = off a plan for an empty table would stay, and read all of it while it fills.
_BEGIN = """BEGIN ISOLATION LEVEL READ COMMITTED; {limits} SET LOCAL enable_seqscan = off;
SET LOCAL client_min_messages = warning;
SELECT CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END
  FROM store FOR UPDATE"""

_REVISION = "SELECT 'store', NULL, NULL, revision, NULL, NULL FROM store"
"""What creates need that name neither an id nor a key."""

_READ = """
SELECT 'store' AS kind, NULL AS name, NULL AS key, revision AS number,
       NULL::bytea AS digest, NULL AS outcome FROM store
UNION ALL
SELECT 'task', id, NULL, revision, NULL, NULL FROM tasks WHERE id = ANY($1::text[])
UNION ALL
SELECT 'key', owner, key, expires, digest, outcome
  FROM unnest($2::text[], $3::text[]) AS asked (owner, key)
  JOIN idempotency_keys USING (owner, key)"""

_TYPES = (
    "bigint", "text",
    *({str: "text", bool: "boolean", int: "integer", float: "float8"}[facet.kind] for facet in FACETS))
"""The types of TASK_COLUMNS after the id."""


def _put(first: int) -> str:
    """Return the parts of _WRITE that put rows, whose arguments begin with this one."""
    return f"""
searched AS (
  INSERT INTO texts (id, search_text) SELECT * FROM unnest(${first}::text[], ${first + 1}::text[])
  ON CONFLICT (id) DO UPDATE SET search_text = excluded.search_text
  WHERE texts.search_text <> excluded.search_text)
INSERT INTO tasks ({", ".join(TASK_COLUMNS)})
SELECT * FROM unnest(${first}::text[], {", ".join(
    f"${number}::{kind}[]" for number, kind in enumerate(_TYPES, first + 2))})
ON CONFLICT (id) DO UPDATE
SET {", ".join(f"{column} = excluded.{column}" for column in TASK_COLUMNS[1:])}"""


_PUT = f"WITH moved AS (UPDATE store SET revision = $1),{_put(2)}"
"""For a batch with no other changes: the server would start each part of _WRITE for nothing."""

# The parts see one snapshot and not each other, and no id is in two of them.
_WRITE = f"""
WITH moved AS (UPDATE store SET revision = $1),
deleted AS (DELETE FROM tasks WHERE id = ANY($2::text[])),
unsearched AS (DELETE FROM texts WHERE id = ANY($2::text[])),
buried AS (
  INSERT INTO tombstones (id, revision, expires)
  SELECT * FROM unnest($2::text[], $3::bigint[], $4::bigint[])
  ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, expires = excluded.expires),
kept AS (
  INSERT INTO idempotency_keys (owner, key, digest, outcome, expires)
  SELECT * FROM unnest($5::text[], $6::text[], $7::bytea[], $8::text[], $9::bigint[])
  ON CONFLICT (owner, key) DO UPDATE
  SET digest = excluded.digest, outcome = excluded.outcome, expires = excluded.expires),
risen AS (DELETE FROM tombstones WHERE id = ANY($10::text[])),{_put(11)}"""

_PRUNE = f"""
WITH gone AS (
  DELETE FROM tombstones WHERE id IN (
    (SELECT id FROM tombstones WHERE expires <= $1 LIMIT {PRUNE_ROWS}) UNION ALL
    (SELECT id FROM tombstones WHERE expires > $2 LIMIT {PRUNE_ROWS}))
  RETURNING revision),
expired AS (
  DELETE FROM idempotency_keys WHERE (owner, key) IN (
    (SELECT owner, key FROM idempotency_keys WHERE expires <= $1 LIMIT {PRUNE_ROWS}) UNION ALL
    (SELECT owner, key FROM idempotency_keys WHERE expires > $3 LIMIT {PRUNE_ROWS}))
  RETURNING 1),
noted AS (
  UPDATE store SET forgotten = greatest(forgotten, (SELECT max(revision) FROM gone))
   WHERE EXISTS (SELECT FROM gone))
SELECT greatest((SELECT count(*) FROM gone), (SELECT count(*) FROM expired))"""


class Writer:
    """Commits writes in groups: those that come before a transaction has the lock go into it.

    A transaction takes four round trips, however many writes are in it.
    """

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock
        self._begin = _BEGIN.format(limits=connections.limits)
        self._queue = WriteQueue()
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._warnings: list[str] = []
        self._used = 0.0
        self._pruned = 0

    async def write(self, write: Write[Result]) -> Result:
        """Return the result of a write, after its commit; cancelling the caller does not undo it."""
        self._connections.check_open()
        outcome = self._queue.add(write)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return await outcome

    def measurements(self) -> Iterable[Measurement]:
        """Return the measurements of the queue."""
        return self._queue.measurements()

    async def stop(self) -> None:
        """Commit the queued writes, within the statement timeout; any left then fail."""
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=self._connections.statement_timeout)
            for task in late:
                task.cancel()
            await asyncio.wait([self._task])
        self._disconnect()

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            group: Group = ()
            started = loop.time()
            try:
                with translated(self._connections.where):
                    connection = await self._begin_transaction()
                    group = self._queue.next_group()
                    outcomes = await self._commit(connection, [queued.write for queued in group])
            except asyncio.CancelledError:
                return self._fail([*group, *self._queue.take_all()], StoreUnavailableError(
                    "the postgres store was closed before the write was done"))
            except Exception as exception:
                self._fail(group or self._queue.next_group(), exception)
                if loop.time() - started > SOON:  # a hang: they have waited as long, for the same server
                    self._fail(self._queue.take_all(), exception)
            else:
                settle(group, outcomes)

    def _fail(self, group: Group, error: Exception) -> None:
        settle(group, failures(error, len(group), self._connections.where))

    async def _commit(self, connection: Connection, writes: Sequence[Write[Any]]) -> Sequence[Any]:
        """Return the result of each write, which may be an exception, once the transaction is over.

        The fate of a transaction whose COMMIT got no answer is unknown: it is an error, and never repeated.
        """
        try:
            with Watch(self._connections, connection):
                batch = self._batch(await connection.fetch(*_question(writes)))
            batch, outcomes = await _decide(writes, batch)
            if not batch.is_empty:
                await self._write(connection, batch)
            # What an earlier create committed is acknowledged again: its COMMIT may still wait for a standby.
            replayed = any(isinstance(outcome, Created) and outcome.replayed for outcome in outcomes)
            if batch.is_empty and not replayed:
                with Watch(self._connections, connection):
                    await connection.execute("ROLLBACK")
            else:
                await self._end(connection)
        except BaseException:
            self._disconnect()
            raise
        self._used = asyncio.get_running_loop().time()
        return outcomes

    async def _end(self, connection: Connection) -> None:
        """Commit; raise an error if the commit is local, and not on a synchronous standby.

        The server waits for the standby until somebody ends the wait, as by pg_cancel_backend: then it reports COMMIT,
        with a warning, for data that a failover would lose.
        """
        self._warnings.clear()
        try:
            with Watch(self._connections, connection):
                await connection.execute("COMMIT")
        except StoreBusyError as error:
            raise StoreBusyError(f"{error}: its COMMIT waits, perhaps for a synchronous standby") from error
        if self._warnings:
            raise StoreUnavailableError(
                f"PostgreSQL at {self._connections.where} committed without its synchronous standby: "
                f"{self._warnings[0]}")

    def _note(self, _: Any, message: asyncpg.PostgresLogMessage) -> None:
        """Keep a warning of the server."""
        if message.sqlstate.startswith("01"):
            self._warnings.append(str(message.message))

    async def _begin_transaction(self) -> Connection:
        """Begin on the present connection, or else on a new one: nothing was sent before."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        if self._connection is not None and (
                started - self._used > self._connections.timing.max_idle):
            self._disconnect()
        if self._connection is not None:
            try:
                return await self._begin_on(self._connection)
            except LOST:
                if loop.time() - started > SOON:
                    raise
        self._connection = await self._connections.connect()
        self._connection.add_log_listener(self._note)
        return await self._begin_on(self._connection)

    async def _begin_on(self, connection: Connection) -> Connection:
        try:
            with Watch(self._connections, connection):
                await connection.execute(self._begin)
        except BaseException:
            self._disconnect()
            raise
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def _batch(self, rows: Sequence[asyncpg.Record]) -> Batch:
        batch = Batch(self._clock, 0, {}, {})
        for kind, name, key, number, digest, outcome in rows:
            if kind == "store":
                batch.revision = number
            elif kind == "task":
                batch.revisions[name] = number
            else:
                batch.keys[name, key] = KeptKey(digest, outcome, number)
        return batch

    async def _write(self, connection: Connection, batch: Batch) -> None:
        rows: Iterable[Row] = batch.rows.values()
        if batch.only_new and len(batch.rows) > MAX_TASKS:
            await self._copy(connection, rows)
            rows = ()
        changes = _changes(batch)
        inserted = portions(rows, ROWS_A_STATEMENT)
        await self._insert(connection, batch.revision, changes, next(inserted, []))
        for portion in inserted:
            await self._insert(connection, batch.revision, (), portion)
        await self._prune(connection)

    async def _copy(self, connection: Connection, rows: Iterable[Row]) -> None:
        """Write new tasks by the fastest statement; conflicts were checked before."""
        for portion in portions(rows, ROWS_A_COPY):
            for table, columns, records in (
                    ("tasks", TASK_COLUMNS, map(Row.columns, portion)),
                    ("texts", ("id", "search_text"), map(Row.text, portion))):
                with Watch(self._connections, connection):
                    await connection.copy_records_to_table(table, columns=columns, records=records)

    async def _insert(
        self, connection: Connection, revision: int, changes: Sequence[list[Any]],
        rows: Sequence[Row]
    ) -> None:
        """Write the other changes of a batch, and some of its rows."""
        texts = [row.text()[1] for row in rows]
        ids, *values = _columns([row.columns() for row in rows], len(TASK_COLUMNS))
        with Watch(self._connections, connection):
            await connection.fetch(_WRITE if changes else _PUT, revision, *changes, ids, texts, *values)

    async def _prune(self, connection: Connection) -> None:
        now = self._clock()
        if 0 <= now - self._pruned < PRUNE_INTERVAL:  # else the clock has gone back, or it is time
            return
        with Watch(self._connections, connection):
            [[most]] = await connection.fetch(
                _PRUNE, now, latest_expiry(now, DELETION_LIFETIME),
                latest_expiry(now, IDEMPOTENCY_KEY_LIFETIME))
        if most < PRUNE_ROWS:
            self._pruned = now  # else there is more: go on with the next transaction


async def _decide(writes: Sequence[Write[Any]], batch: Batch) -> tuple[Batch, Sequence[Any]]:
    """Apply the writes; in a thread if they are so many that the loop would stand still."""
    if len(writes) == 1 and writes[0].size > MAX_TASKS:
        return await asyncio.to_thread(apply_all, writes, batch)
    return apply_all(writes, batch)


def _question(writes: Sequence[Write[Any]]) -> tuple[Any, ...]:
    """Return the statement that reads the rows which these writes need, and its arguments."""
    ids = {task_id for write in writes for task_id in write.ids}
    places = [place for write in writes if write.key is not None for place in write.key.places]
    if not (ids or places):
        return (_REVISION,)
    return _READ, list(ids), [owner for owner, _ in places], [key for _, key in places]


def _changes(batch: Batch) -> Sequence[list[Any]]:
    """Return the arguments of _WRITE for the changes of a batch besides its rows; none if there are none."""
    if not (batch.deleted or batch.new_keys or batch.revived):
        return ()
    expires = batch.clock() + DELETION_LIFETIME
    deleted = [(task_id, revision, expires) for task_id, revision in batch.deleted.items()]
    keys = [
        (owner, key, kept.digest, kept.outcome, kept.expires)
        for (owner, key), kept in batch.new_keys.items()]
    return (
        *_columns(deleted, 3), *_columns(keys, 5), list(batch.revived.difference(batch.deleted)))


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """Turn rows into columns, as unnest() takes them."""
    return [[row[index] for row in rows] for index in range(width)]
