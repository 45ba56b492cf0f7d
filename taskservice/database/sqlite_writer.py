"""The one writer of a SQLite store: a thread that commits all queued writes together.

Group commit: what is queued when a commit ends goes into the next one, so that a sync of the disk
serves many writers; a write that finds the queue empty is committed at once, and none waits for
company.
"""

import asyncio
import copy
import json
from functools import cache
from queue import SimpleQueue
from threading import Thread
from typing import Any, Sequence

import apsw

from taskservice.database.batch import Batch, KeptKey, Row, Write, apply_all, settle
from taskservice.database.sql import TASK_COLUMNS
from taskservice.database.sqlite_errors import Translated
from taskservice.database.todolist_db import Clock
from taskservice.datamodel import DELETION_LIFETIME
from taskservice.errors import StoreError

MAX_WRITES = 1000
"""How many writes one transaction takes; the queue is in order, so none starves."""

ROWS_A_STATEMENT = 50

PRUNE_EVERY = 60 * 1_000_000
PRUNE_ROWS = 500
"""Microseconds, and how much is deleted at a time: a few milliseconds' work."""

_Queued = tuple[Write, "asyncio.Future[Any]"]

_REVISIONS = (
    "SELECT (SELECT revision FROM store), (SELECT json_group_object(id, revision) FROM tasks "
    "WHERE id IN (SELECT value FROM json_each($1)))")
_KEYS = (
    "SELECT json_group_array(json_array(k.owner, k.key, hex(k.digest), k.result, k.expires)) "
    "FROM json_each($1) AS asked CROSS JOIN idempotency_keys AS k "
    "ON k.owner = asked.value ->> 0 AND k.key = asked.value ->> 1")
_KEEP_KEYS = (
    "INSERT OR REPLACE INTO idempotency_keys (owner, key, digest, result, expires) "
    "SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4 "
    "FROM json_each($1)")
_DELETE_TASKS = "DELETE FROM tasks WHERE id IN (SELECT value FROM json_each($1))"
_DELETE_TEXTS = "DELETE FROM texts WHERE id IN (SELECT value FROM json_each($1))"
_ADD_TOMBSTONES = (
    "INSERT OR REPLACE INTO deletions (id, revision) SELECT key, value FROM json_each($1)")
_DROP_TOMBSTONES = "DELETE FROM deletions WHERE id IN (SELECT value FROM json_each($1))"
_SET_REVISION = "UPDATE store SET revision = $1"

_OLD_TOMBSTONES = (
    "SELECT max(revision), count(*) FROM "
    "(SELECT revision FROM deletions WHERE revision < $1 ORDER BY revision LIMIT $2)")
_FORGET_TOMBSTONES = "DELETE FROM deletions WHERE revision <= $1"
_SET_FORGOTTEN = "UPDATE store SET forgotten = max(forgotten, $1)"
_DROP_KEYS = (
    "DELETE FROM idempotency_keys WHERE (owner, key) IN "
    "(SELECT owner, key FROM idempotency_keys WHERE expires <= $1 ORDER BY expires LIMIT $2)")


@cache
def _put_sql(rows: int) -> str:
    """Return the statement that inserts or replaces so many tasks."""
    update = ", ".join(f"{name} = excluded.{name}" for name in TASK_COLUMNS[1:])
    return (
        f"INSERT INTO tasks ({', '.join(TASK_COLUMNS)}) VALUES {_rows(rows, len(TASK_COLUMNS))} "
        f"ON CONFLICT (id) DO UPDATE SET {update}")


@cache
def _put_texts_sql(rows: int) -> str:
    """Return the statement that inserts or replaces the texts of so many tasks."""
    return (
        f"INSERT INTO texts (id, search_text) VALUES {_rows(rows, 2)} "
        "ON CONFLICT (id) DO UPDATE SET search_text = excluded.search_text "
        "WHERE search_text <> excluded.search_text")


def _rows(rows: int, columns: int) -> str:
    return ", ".join([f"({', '.join('?' * columns)})"] * rows)


class SQLiteWriter:
    """The thread and its connection, which it alone uses and closes at the end."""

    def __init__(self, connection: apsw.Connection, clock: Clock) -> None:
        self.connection = connection
        self._translated = Translated(connection)
        self._clock = clock
        self._pruned = 0
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Queued | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def write(self, write: Write) -> Any:
        """Return the outcome of a write once it is committed.

        A caller that is cancelled stops waiting; its write goes its way.
        """
        future = self._loop.create_future()
        self._queue.put((write, future))
        return await future

    async def stop(self) -> None:
        """Commit what is queued, end the thread, close the connection; no write may follow."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            queued, stopping = self._next()
            if queued:
                outcomes = self._outcomes([write for write, _ in queued])
                self._answer(queued, outcomes)
        with self._translated:
            self.connection.close()

    def _next(self) -> tuple[list[_Queued], bool]:
        """Wait for a write, and take all that are queued by then; tell whether it is the end."""
        queued = []
        item = self._queue.get()
        while item is not None:
            queued.append(item)
            if len(queued) == MAX_WRITES or self._queue.empty():
                return queued, False
            item = self._queue.get()
        return queued, True

    def _outcomes(self, writes: Sequence[Write]) -> list[Any]:
        """Return what each write gives or raises; the transaction's own failure is everyone's."""
        try:
            return self._transact(writes)
        except Exception as error:
            failure = error
            if not isinstance(error, StoreError):
                failure = StoreError(f"{self.connection.filename}: {error!r}")
                failure.__cause__ = error
            return [_copied(failure) for _ in writes]

    def _answer(self, queued: Sequence[_Queued], outcomes: Sequence[Any]) -> None:
        """Hand all outcomes to the loop at once: waking it takes a system call."""
        futures = [future for _, future in queued]
        try:
            self._loop.call_soon_threadsafe(_set_outcomes, futures, outcomes)
        except RuntimeError:  # the loop is closed, and nobody waits any more
            pass

    def _transact(self, writes: Sequence[Write]) -> list[Any]:
        """Do all writes in one transaction; what a write was refused for stands for its outcome."""
        try:
            with self._translated:
                self._roll_back()  # where that failed the last time
                self.connection.execute("BEGIN IMMEDIATE")
                batch, outcomes = apply_all(writes, self._read_batch(writes))
                self._store(batch)
                self._prune()
                self.connection.execute("COMMIT")
            return outcomes
        except BaseException:
            try:
                self._roll_back()
            except apsw.Error:
                pass  # what failed first says more
            raise

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def _read_batch(self, writes: Sequence[Write]) -> Batch:
        """Read what the writes need to know; inside the transaction, as others write too."""
        ids = [task_id for write in writes for task_id in write.ids]
        keys = [(write.key.owner, write.key.key) for write in writes if write.key is not None]
        revision, revisions = self.connection.execute(_REVISIONS, (json.dumps(ids),)).get
        kept = {}
        if keys:
            for owner, key, digest, result, expires in json.loads(
                    self.connection.execute(_KEYS, (json.dumps(keys),)).get):
                tasks = tuple((task_id, number) for task_id, number in json.loads(result))
                kept[owner, key] = KeptKey(bytes.fromhex(digest), tasks, expires)
        return Batch(self._clock, revision, json.loads(revisions), kept)

    def _store(self, batch: Batch) -> None:
        rows = list(batch.rows.values())
        for start in range(0, len(rows), ROWS_A_STATEMENT):
            self._put(rows[start:start + ROWS_A_STATEMENT])
        if batch.revived:
            self._execute_json(_DROP_TOMBSTONES, list(batch.revived))
        if batch.deleted:
            self._execute_json(_DELETE_TASKS, list(batch.deleted))
            self._execute_json(_DELETE_TEXTS, list(batch.deleted))
            self._execute_json(_ADD_TOMBSTONES, batch.deleted)
        if batch.new_keys:
            self._execute_json(_KEEP_KEYS, [
                (owner, key, kept.digest.hex(), json.dumps(kept.tasks), kept.expires)
                for (owner, key), kept in batch.new_keys.items()])
        if rows or batch.deleted:
            self.connection.execute(_SET_REVISION, (batch.revision,))

    def _put(self, rows: Sequence[Row]) -> None:
        values = [value for row in rows for value in row[:-1]]
        self.connection.execute(_put_sql(len(rows)), values)
        texts = [value for row in rows for value in (row[0], row[-1])]
        self.connection.execute(_put_texts_sql(len(rows)), texts)

    def _execute_json(self, statement: str, argument: Any) -> None:
        self.connection.execute(statement, (json.dumps(argument),))

    def _prune(self) -> None:
        """Now and then forget some old deletions and keys, with a write that is there anyway."""
        now = self._clock()
        if 0 <= now - self._pruned < PRUNE_EVERY:  # else the clock has gone back, or it is time
            return
        execute = self.connection.execute
        last, tombstones = execute(_OLD_TOMBSTONES, (now - DELETION_LIFETIME, PRUNE_ROWS)).get
        if tombstones:
            execute(_FORGET_TOMBSTONES, (last,))
            execute(_SET_FORGOTTEN, (last,))
        execute(_DROP_KEYS, (now, PRUNE_ROWS))
        if max(tombstones, self.connection.changes()) < PRUNE_ROWS:
            self._pruned = now  # else there is more: go on with the next transaction


def _copied(error: Exception) -> Exception:
    """Return an error of its own for each who waits: raising adds to its traceback."""
    copied = copy.copy(error)
    copied.__cause__ = error.__cause__
    return copied


def _set_outcomes(
    futures: Sequence["asyncio.Future[Any]"], outcomes: Sequence[Any]
) -> None:
    for future, outcome in zip(futures, outcomes, strict=True):
        settle(future, outcome)
