"""The writer: one transaction at a time, for everything that was queued when it began."""

import asyncio
import json
from collections import deque
from itertools import islice
from typing import Any, Sequence

import asyncpg

from taskservice.database.batch import Batch, KeptKey, Row, Write, apply_all, settle
from taskservice.database.postgres_connections import (
    SOON, Connection, Connections, Watch)
from taskservice.database.postgres_errors import LOST, translated
from taskservice.database.sql import TASK_COLUMNS
from taskservice.database.todolist_db import Clock
from taskservice.datamodel import DELETION_LIFETIME
from taskservice.errors import StoreError, StoreUnavailableError, TodoListError

PRUNE_INTERVAL = 10 * 1_000_000
"""How often what is past its lifetime is looked for, in microseconds."""

PRUNE_ROWS = 1000
"""How many of each kind are removed at a time."""

BATCH_TASKS = 1000
"""How many tasks a transaction takes from the queue, and a statement writes, at most."""

# First of all the lock: the next statement sees what everyone who had it before has committed
# (READ COMMITTED takes a snapshot for each statement), and revisions appear in commit order.
# Who turned synchronous_commit off did so for others: what we acknowledge has to be there.
# A default of read-only is left as it is: a provider sets it, e.g., before the disk is full.
_BEGIN = """BEGIN ISOLATION LEVEL READ COMMITTED; {limits}
SELECT set_config('synchronous_commit', 'on', true)
 WHERE current_setting('synchronous_commit') = 'off';
SELECT FROM store FOR UPDATE"""

_READ = """
SELECT 'store' AS kind, NULL AS name, NULL AS key, revision AS number,
       NULL::bytea AS digest, NULL AS made FROM store
UNION ALL
SELECT 'task', id, NULL, revision, NULL, NULL FROM tasks WHERE id = ANY($1::text[])
UNION ALL
SELECT 'key', owner, key, expires, digest, made
  FROM unnest($2::text[], $3::text[]) AS asked (owner, key)
  JOIN idempotency_keys USING (owner, key)"""

# The parts see one snapshot and not each other, and no id is in two of them.
_WRITE = f"""
WITH moved AS (UPDATE store SET revision = $1),
deleted AS (DELETE FROM tasks WHERE id = ANY($2::text[])),
unsearched AS (DELETE FROM texts WHERE id = ANY($2::text[])),
buried AS (
  INSERT INTO tombstones (id, revision) SELECT * FROM unnest($2::text[], $3::bigint[])
  ON CONFLICT (id) DO UPDATE SET revision = excluded.revision),
kept AS (
  INSERT INTO idempotency_keys (owner, key, digest, made, expires)
  SELECT * FROM unnest($4::text[], $5::text[], $6::bytea[], $7::text[], $8::bigint[])
  ON CONFLICT (owner, key) DO UPDATE
  SET digest = excluded.digest, made = excluded.made, expires = excluded.expires),
risen AS (DELETE FROM tombstones WHERE id = ANY($9::text[])),
searched AS (
  INSERT INTO texts (id, search_text) SELECT * FROM unnest($9::text[], $16::text[])
  ON CONFLICT (id) DO UPDATE SET search_text = excluded.search_text
  WHERE texts.search_text <> excluded.search_text)
INSERT INTO tasks ({", ".join(TASK_COLUMNS)})
SELECT * FROM unnest($9::text[], $10::bigint[], $11::text[], $12::text[],
                     $13::boolean[], $14::integer[], $15::float8[])
ON CONFLICT (id) DO UPDATE
SET {", ".join(f"{column} = excluded.{column}" for column in TASK_COLUMNS[1:])}"""

_PRUNE = f"""
WITH gone AS (
  DELETE FROM tombstones WHERE id IN (
    SELECT id FROM tombstones WHERE revision < $1 ORDER BY revision LIMIT {PRUNE_ROWS})
  RETURNING revision),
expired AS (
  DELETE FROM idempotency_keys WHERE (owner, key) IN (
    SELECT owner, key FROM idempotency_keys WHERE expires <= $2 ORDER BY expires
    LIMIT {PRUNE_ROWS})
  RETURNING 1),
noted AS (
  UPDATE store SET forgotten = (SELECT max(revision) FROM gone)
   WHERE EXISTS (SELECT FROM gone))
SELECT greatest((SELECT count(*) FROM gone), (SELECT count(*) FROM expired))"""


class Writer:
    """Commits writes in groups: what comes while a transaction runs goes into the next one.

    A transaction takes four round trips, however many writes are in it.
    """

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock
        self._begin = _BEGIN.format(limits=connections.limits)
        self._queue: deque[tuple[Write, asyncio.Future[Any]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._used = 0.0
        self._pruned = 0

    async def write(self, write: Write) -> Any:
        """Return the outcome of a write, after its commit; cancelling the caller is no undo."""
        self._connections.check_open()
        outcome = asyncio.get_running_loop().create_future()
        self._queue.append((write, outcome))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return await outcome

    async def stop(self) -> None:
        """Commit what is queued, within the statement timeout; what then waits, fails."""
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=self._connections.statement_timeout)
            for task in late:
                task.cancel()
            await asyncio.wait([self._task])
        self._disconnect()

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            group = self._next_group()
            started = loop.time()
            try:
                with translated(self._connections.where):
                    outcomes = await self._commit([write for write, _ in group])
            except asyncio.CancelledError:
                return self._fail([*group, *self._take_all()], StoreUnavailableError(
                    "the postgres store was closed before the write was done"))
            except Exception as exception:
                self._fail(group, exception)
                if loop.time() - started > SOON:  # a hang: they have waited as long, for the same
                    self._fail(self._take_all(), exception)
            else:
                for (_, future), outcome in zip(group, outcomes):
                    settle(future, outcome)

    def _next_group(self) -> list[tuple[Write, asyncio.Future[Any]]]:
        group = [self._queue.popleft()]
        size = group[0][0].size
        while self._queue and (size := size + self._queue[0][0].size) <= BATCH_TASKS:
            group.append(self._queue.popleft())
        return group

    def _take_all(self) -> list[tuple[Write, asyncio.Future[Any]]]:
        queued = list(self._queue)
        self._queue.clear()
        return queued

    def _fail(
        self, group: Sequence[tuple[Write, asyncio.Future[Any]]], error: Exception
    ) -> None:
        """Give each its own error: one raised in many places would gather all their tracebacks."""
        kind, cause = type(error), error.__cause__
        if not isinstance(error, TodoListError):
            kind, cause = StoreError, error
        for _, future in group:
            failure = kind(*error.args)
            failure.__cause__ = cause
            settle(future, failure)

    async def _commit(self, writes: Sequence[Write]) -> list[Any]:
        """Return the outcome of each write, which may be an exception.

        It is not known what became of a transaction whose COMMIT got no answer: it is an error,
        and never tried again.
        """
        connection = await self._begin_transaction()
        try:
            with Watch(self._connections, connection):
                batch = self._batch(await connection.fetch(_READ, *_questions(writes)))
            batch, outcomes = await _decide(writes, batch)
            if not batch.is_empty:
                await self._write(connection, batch)
            with Watch(self._connections, connection):
                await connection.execute("ROLLBACK" if batch.is_empty else "COMMIT")
        except BaseException:
            self._disconnect()
            raise
        self._used = asyncio.get_running_loop().time()
        return outcomes

    async def _begin_transaction(self) -> Connection:
        """Begin on the connection at hand, or else on a new one: nothing was sent before."""
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
        for kind, name, key, number, digest, made in rows:
            if kind == "store":
                batch.revision = number
            elif kind == "task":
                batch.revisions[name] = number
            else:
                tasks = tuple((task_id, revision) for task_id, revision in json.loads(made))
                batch.keys[name, key] = KeptKey(digest, tasks, number)
        return batch

    async def _write(self, connection: Connection, batch: Batch) -> None:
        deleted = _columns(list(batch.deleted.items()), 2)
        keys = _columns(_key_rows(batch), 5)
        rows = iter(batch.rows.values())
        chunk = list(islice(rows, BATCH_TASKS))
        while True:
            with Watch(self._connections, connection):
                await connection.fetch(
                    _WRITE, batch.revision, *deleted, *keys, *_columns(chunk, len(TASK_COLUMNS) + 1))
            deleted, keys = _columns([], 2), _columns([], 5)
            if not (chunk := list(islice(rows, BATCH_TASKS))):
                break
        await self._prune(connection)

    async def _prune(self, connection: Connection) -> None:
        now = self._clock()
        if 0 <= now - self._pruned < PRUNE_INTERVAL:  # else the clock has gone back, or it is time
            return
        with Watch(self._connections, connection):
            [[most]] = await connection.fetch(_PRUNE, now - DELETION_LIFETIME, now)
        if most < PRUNE_ROWS:
            self._pruned = now  # else there is more: go on with the next transaction


async def _decide(writes: Sequence[Write], batch: Batch) -> tuple[Batch, list[Any]]:
    """Apply the writes; where they are so many that the loop would stand still, in a thread."""
    if len(writes) == 1 and writes[0].size > BATCH_TASKS:
        return await asyncio.to_thread(apply_all, writes, batch)
    return apply_all(writes, batch)


def _questions(writes: Sequence[Write]) -> tuple[list[str], list[str], list[str]]:
    """Return the arguments of _READ."""
    ids = {task_id for write in writes for task_id in write.ids}
    keys = [write.key for write in writes if write.key is not None]
    return list(ids), [key.owner for key in keys], [key.key for key in keys]


def _key_rows(batch: Batch) -> list[Row]:
    return [
        (owner, key, kept.digest, json.dumps(kept.tasks), kept.expires)
        for (owner, key), kept in batch.new_keys.items()]


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """Turn rows into columns, as unnest() takes them."""
    return [[row[index] for row in rows] for index in range(width)]
