"""The single writer of a SQLite store: a thread that commits all queued writes together."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from functools import cache
from queue import SimpleQueue
from threading import Thread
from typing import Any

import apsw

from taskservice.database.expiry import latest_expiry
from taskservice.database.measurement import Measurement
from taskservice.database.sql.batch import Batch, portions
from taskservice.database.sql.columns import TASK_COLUMNS, Row
from taskservice.database.sql.group_commit import Group, WriteQueue, failures, settle
from taskservice.database.sql.kept_keys import KeptKey
from taskservice.database.sql.writes import Result, Write, apply_all
from taskservice.database.sqlite.errors import Translated
from taskservice.database.revisions import Clock
from taskservice.datamodel import DELETION_LIFETIME, IDEMPOTENCY_KEY_LIFETIME

ROWS_A_STATEMENT = 200
"""How many rows a full portion's statement has: with more it is hardly faster."""

ROWS_OF_A_REST = 50
"""Maximum number of rows in the statements of other portions: each number of rows is another statement."""

PRUNE_EVERY = 60 * 1_000_000
PRUNE_ROWS = 500
"""How often expired entries are deleted, in microseconds, and how many at a time: a few milliseconds of work."""

_REVISIONS = (
    "SELECT (SELECT revision FROM store), (SELECT json_group_object(id, revision) FROM tasks "
    "WHERE id IN (SELECT value FROM json_each($1)))")
_KEYS = (
    "SELECT json_group_array(json_array(k.owner, k.key, hex(k.digest), k.outcome, k.expires)) "
    "FROM json_each($1) AS asked CROSS JOIN idempotency_keys AS k "
    "ON k.owner = asked.value ->> 0 AND k.key = asked.value ->> 1")
_KEEP_KEYS = (
    "INSERT OR REPLACE INTO idempotency_keys (owner, key, digest, outcome, expires) "
    "SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4 "
    "FROM json_each($1)")
_DELETE_TASKS = "DELETE FROM tasks WHERE id IN (SELECT value FROM json_each($1))"
_DELETE_TEXTS = "DELETE FROM texts WHERE id IN (SELECT value FROM json_each($1))"
_ADD_TOMBSTONES = (
    "INSERT OR REPLACE INTO tombstones (id, revision, expires) "
    "SELECT key, value, $1 FROM json_each($2)")
_DROP_TOMBSTONES = "DELETE FROM tombstones WHERE id IN (SELECT value FROM json_each($1))"
_SET_REVISION = "UPDATE store SET revision = $1"

_OLD_TOMBSTONES = (
    "SELECT max(revision), count(*), json_group_array(revision) FROM "
    "(SELECT revision FROM tombstones WHERE expires <= $1 OR expires > $2 LIMIT $3)")
_FORGET_TOMBSTONES = "DELETE FROM tombstones WHERE revision IN (SELECT value FROM json_each($1))"
_SET_FORGOTTEN = "UPDATE store SET forgotten = max(forgotten, $1)"
_DROP_KEYS = (
    "DELETE FROM idempotency_keys WHERE (owner, key) IN "
    "(SELECT owner, key FROM idempotency_keys WHERE expires <= $1 OR expires > $2 LIMIT $3)")


@cache
def _put_sql(rows: int) -> str:
    """Return the statement that inserts or replaces this many tasks."""
    update = ", ".join(f"{name} = excluded.{name}" for name in TASK_COLUMNS[1:])
    return (
        f"INSERT INTO tasks ({', '.join(TASK_COLUMNS)}) VALUES {_rows(rows, len(TASK_COLUMNS))} "
        f"ON CONFLICT (id) DO UPDATE SET {update}")


@cache
def _put_texts_sql(rows: int) -> str:
    """Return the statement that inserts or replaces the texts of this many tasks."""
    return (
        f"INSERT INTO texts (id, search_text) VALUES {_rows(rows, 2)} "
        "ON CONFLICT (id) DO UPDATE SET search_text = excluded.search_text "
        "WHERE search_text <> excluded.search_text")


def _rows(rows: int, columns: int) -> str:
    return ", ".join([f"({', '.join('?' * columns)})"] * rows)


class SQLiteWriter:
    """The thread and its connection, which no other thread uses, and which it closes at the end."""

    def __init__(self, connection: apsw.Connection, clock: Clock) -> None:
        self.connection = connection
        self._translated = Translated(connection)
        self._clock = clock
        self._pruned = 0
        self._loop = asyncio.get_running_loop()
        self._queue = WriteQueue()
        self._stopping = False
        self._wake_ups: SimpleQueue[None] = SimpleQueue()
        self._will_wake = False
        self._thread = Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def write(self, write: Write[Result]) -> Result:
        """Return the result of a write once it is committed; cancelling the caller does not undo it."""
        outcome = self._queue.add(write)
        if not self._will_wake:  # once a turn of the loop, whose writes are one group
            self._will_wake = True
            self._loop.call_soon(self._wake)
        return await outcome

    def _wake(self) -> None:
        self._will_wake = False
        self._wake_ups.put(None)

    def measurements(self) -> Iterable[Measurement]:
        """Return the measurements of the queue."""
        return self._queue.measurements()

    async def stop(self) -> None:
        """Commit what is queued, end the thread, close the connection; no write may follow."""
        self._stopping = True
        self._wake_ups.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while self._queue or not self._stopping:
            self._wake_ups.get()
            while group := self._queue.next_group():
                self._answer(group, self._outcomes(group))
        with self._translated:
            self.connection.close()

    def _outcomes(self, group: Group) -> Sequence[Any]:
        """Return the result or error of each write; if the transaction itself fails, all have its error."""
        try:
            return self._transact([queued.write for queued in group])
        except Exception as error:
            return failures(error, len(group), self.connection.filename)

    def _answer(self, group: Group, outcomes: Sequence[Any]) -> None:
        """Hand all results to the loop at once: waking it takes a system call."""
        try:
            self._loop.call_soon_threadsafe(settle, group, outcomes)
        except RuntimeError:  # the loop is closed, so nobody waits any more
            pass

    def _transact(self, writes: Sequence[Write[Any]]) -> Sequence[Any]:
        """Do all writes in one transaction; the error of a refused write takes the place of its result."""
        try:
            with self._translated:
                self._roll_back()  # in case that failed the last time
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
                pass  # the first error says more
            raise

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def _read_batch(self, writes: Sequence[Write[Any]]) -> Batch:
        """Read the rows that the writes need; inside the transaction, as other processes write too."""
        ids = [task_id for write in writes for task_id in write.ids]
        keys = [place for write in writes if write.key is not None for place in write.key.places]
        revision, revisions = self.connection.execute(_REVISIONS, (json.dumps(ids),)).get
        kept = {}
        if keys:
            for owner, key, digest, outcome, expires in json.loads(
                    self.connection.execute(_KEYS, (json.dumps(keys),)).get):
                kept[owner, key] = KeptKey(bytes.fromhex(digest), outcome, expires)
        return Batch(self._clock, revision, json.loads(revisions), kept)

    def _store(self, batch: Batch) -> None:
        for portion in portions(batch.rows.values(), ROWS_A_STATEMENT):
            self._put(portion)
        if batch.revived:
            self._execute_json(_DROP_TOMBSTONES, list(batch.revived))
        if batch.deleted:
            self._execute_json(_DELETE_TASKS, list(batch.deleted))
            self._execute_json(_DELETE_TEXTS, list(batch.deleted))
            self.connection.execute(
                _ADD_TOMBSTONES, (self._clock() + DELETION_LIFETIME, json.dumps(batch.deleted)))
        if batch.new_keys:
            self._execute_json(_KEEP_KEYS, [
                (owner, key, kept.digest.hex(), kept.outcome, kept.expires)
                for (owner, key), kept in batch.new_keys.items()])
        if batch.rows or batch.deleted:
            self.connection.execute(_SET_REVISION, (batch.revision,))

    def _put(self, rows: Sequence[Row]) -> None:
        size = len(rows) if len(rows) == ROWS_A_STATEMENT else ROWS_OF_A_REST
        for start in range(0, len(rows), size):
            part = rows[start:start + size]
            values = [value for row in part for value in row.columns()]
            self.connection.execute(_put_sql(len(part)), values)
            texts = [value for row in part for value in row.text()]
            self.connection.execute(_put_texts_sql(len(part)), texts)

    def _execute_json(self, statement: str, argument: Any) -> None:
        self.connection.execute(statement, (json.dumps(argument),))

    def _prune(self) -> None:
        """From time to time delete some expired deletions and keys, as part of a write."""
        now = self._clock()
        if 0 <= now - self._pruned < PRUNE_EVERY:  # else the clock has gone back, or it is time
            return
        execute = self.connection.execute
        last, tombstones, revisions = execute(
            _OLD_TOMBSTONES, (now, latest_expiry(now, DELETION_LIFETIME), PRUNE_ROWS)).get
        if tombstones:
            execute(_FORGET_TOMBSTONES, (revisions,))
            execute(_SET_FORGOTTEN, (last,))
        execute(_DROP_KEYS, (now, latest_expiry(now, IDEMPOTENCY_KEY_LIFETIME), PRUNE_ROWS))
        if max(tombstones, self.connection.changes()) < PRUNE_ROWS:
            self._pruned = now  # else there is more: go on with the next transaction
