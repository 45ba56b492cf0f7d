"""What is particular to the SQLite engine; what all engines do is in the contract suite."""

import asyncio
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any, Awaitable, Callable, Coroutine, Sequence
from unittest.mock import patch

import apsw

from taskservice.database.sql.writes import Delete
from taskservice.database.sql.migration import migrations
from taskservice.database.sql import pages
from taskservice.database.sql.pages import CUT, INDEXES, SQLITE, page_statements
from taskservice.database.sqlite import search_index
from taskservice.database.sqlite import engine as sqlite_engine
from taskservice.database.sqlite import readers as sqlite_readers
from taskservice.database.sqlite import writer as sqlite_writer
from taskservice.database.sqlite.connection import open_connection
from taskservice.database.sqlite.engine import CHANGES_SQL, READERS, SQLiteTodoListDB, page_sql
from taskservice.database.sqlite.readers import SQLiteReaders
from taskservice.database.revisions import system_clock
from taskservice.datamodel import (
    IDEMPOTENCY_KEY_LIFETIME, IdempotencyKey, SortKey, TaskEntry, TaskPriority, TaskQuery,
    TaskSort)
from taskservice.errors import (
    ChangesExpiredError, ConfigError, StoreError, StoreFullError, StoreUnavailableError,
    StoreVersionError, TaskExistsError, TodoListError)
from taskservice.precondition import UNCONDITIONAL
from tests.helpers.api import until
from tests.helpers.time_limit import LimitedTestCase
from tests.helpers.timing import at_most

ENTRY = TaskEntry("Buy milk")
DAY = 24 * 3600 * 1_000_000


class Gate:
    """A clock that stops whoever asks, once it is shut: here the writer, in a transaction."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self._asked = threading.Event()

    def __call__(self) -> int:
        self._asked.set()
        self._open.wait(10)
        return system_clock()

    def shut(self) -> None:
        self._open.clear()
        self._asked.clear()

    async def asked(self) -> None:
        await asyncio.to_thread(self._asked.wait, 10)

    def open(self) -> None:
        self._open.set()


class SQLiteTestCase(LimitedTestCase):
    """A file in a folder of its own."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "var" / "tasks.db"

    async def start(self, **options: Any) -> SQLiteTodoListDB:
        engine = SQLiteTodoListDB(self.path, **options)
        await engine.start()
        self.addAsyncCleanup(engine.stop)
        return engine

    def sql(self, statement: str) -> Any:
        """Run a statement as another process would."""
        connection = apsw.Connection(str(self.path))
        try:
            connection.set_busy_timeout(5000)
            return connection.execute(statement).get
        finally:
            connection.close()


def writer(engine: SQLiteTodoListDB) -> apsw.Connection:
    """Return the writer's connection, for a test to make trouble with while it is idle."""
    assert engine._store is not None
    return engine._store.writer.connection


async def outcomes(*writes: Awaitable[Any]) -> list[Any]:
    """Return what each gives or raises."""
    return await asyncio.gather(*writes, return_exceptions=True)


class GroupCommitTest(SQLiteTestCase):
    async def asyncSetUp(self) -> None:
        self.gate = Gate()
        self.engine = await self.start(clock=self.gate)
        self.addCleanup(self.gate.open)
        self.commits = 0

    def count_commits(self, fail: bool = False) -> None:
        def hook() -> bool:
            self.commits += 1
            return fail

        writer(self.engine).set_commit_hook(hook)

    async def held(self) -> "asyncio.Task[Any]":
        """Begin a write, and return when its transaction is held open."""
        self.gate.shut()
        first = asyncio.create_task(self.engine.create_task("first", ENTRY))
        await self.gate.asked()
        return first

    async def queue(self, *writes: Coroutine[Any, Any, Any]) -> "list[asyncio.Task[Any]]":
        tasks = [asyncio.create_task(write) for write in writes]
        await asyncio.sleep(0)  # each runs as far as to where it waits for its outcome
        return tasks

    async def test_what_is_queued_during_a_commit_is_committed_together(self) -> None:
        self.count_commits()
        first = await self.held()
        others = await self.queue(*(self.engine.create_task(f"t{i}", ENTRY) for i in range(50)))
        self.gate.open()
        created = await asyncio.gather(first, *others)
        self.assertEqual(self.commits, 2)
        revisions = [revision for outcome in created for _, revision in outcome.tasks]
        self.assertEqual(revisions, sorted(set(revisions)))
        self.assertEqual(await self.engine.revision(), revisions[-1])

    async def test_a_write_that_is_refused_fails_alone(self) -> None:
        first = await self.held()
        queued = await self.queue(
            self.engine.create_task("a", ENTRY), self.engine.create_task("first", ENTRY),
            self.engine.update_task("a", TaskEntry("Changed")), self.engine.delete_task("none"))
        self.gate.open()
        await first
        created, exists, updated, missing = await outcomes(*queued)
        self.assertIsInstance(exists, TaskExistsError)
        self.assertIsInstance(missing, TodoListError)
        self.assertEqual(await self.engine.read_task("a"), updated)
        self.assertEqual(updated.entry.title, "Changed")
        self.assertGreater(updated.revision, created.tasks[0][1])

    async def test_writes_of_one_transaction_see_each_other(self) -> None:
        first = await self.held()
        queued = await self.queue(
            self.engine.create_task("a", ENTRY), self.engine.delete_task("a"),
            self.engine.create_task("a", TaskEntry("Again")), self.engine.delete_task("first"),
            self.engine.create_task("b", ENTRY), self.engine.delete_task("b"))
        self.gate.open()
        await asyncio.gather(first, *queued)
        changes = (await self.engine.read_changes(None, 10)).changes
        self.assertEqual(
            [(change.id, change.task and change.task.entry.title) for change in changes],
            [("a", "Again"), ("first", None), ("b", None)])

    async def test_a_commit_that_fails_fails_all_in_it_and_writes_nothing(self) -> None:
        await self.engine.create_task("before", ENTRY)
        revision = await self.engine.revision()
        self.count_commits(fail=True)
        failed = await outcomes(*(self.engine.create_task(f"t{i}", ENTRY) for i in range(5)))
        self.assertEqual([type(error) for error in failed], [StoreError] * 5)
        self.assertEqual(len({id(error) for error in failed}), 5)
        self.assertEqual(await self.engine.revision(), revision)
        writer(self.engine).set_commit_hook(None)
        await self.engine.create_task("t0", ENTRY)
        self.assertEqual(self.sql("SELECT group_concat(id) FROM tasks"), "before,t0")

    async def test_each_of_a_group_gets_an_error_of_its_own(self) -> None:
        """One that is raised in many places would gather all their tracebacks."""
        self.count_commits(fail=True)
        first = await self.held()
        queued = await self.queue(*(self.engine.create_task(f"t{i}", ENTRY) for i in range(5)))
        self.gate.open()
        failed = await outcomes(first, *queued)
        self.assertEqual(self.commits, 2)
        self.assertEqual([type(error) for error in failed], [StoreError] * 6)
        self.assertEqual(len({id(error) for error in failed}), 6)
        for error in failed:
            self.assertIsNotNone(error.__cause__)
            self.assertLess(len(traceback.extract_tb(error.__traceback__)), 10)

    async def test_an_error_that_nobody_foresaw_fails_its_group_and_the_next_goes_on(self) -> None:
        class Faulty(Delete):
            @property
            def ids(self) -> Any:
                raise RuntimeError("a bug")

            @ids.setter
            def ids(self, ids: Any) -> None:
                pass

        assert self.engine._store is not None
        for _ in range(2):
            async with asyncio.timeout(30):
                with self.assertRaisesRegex(StoreError, "RuntimeError.*a bug") as caught:
                    await self.engine._store.writer.write(Faulty("a", UNCONDITIONAL))
                self.assertIsInstance(caught.exception.__cause__, RuntimeError)
                self.sql("UPDATE store SET revision = revision")  # another process can write, too
                await self.engine.create_task("a", ENTRY)
                await self.engine.delete_task("a")

    async def test_stop_waits_until_all_is_committed_and_the_log_is_in_the_file(self) -> None:
        first = await self.held()
        stopping = asyncio.create_task(self.engine.stop())
        await self.queue()
        self.assertFalse(stopping.done())
        self.gate.open()
        await asyncio.gather(first, stopping)
        self.assertEqual([file.name for file in self.path.parent.iterdir()], ["tasks.db"])
        self.assertNotIn("sqlite-writer", [thread.name for thread in threading.enumerate()])

    async def test_what_is_not_committed_is_not_seen(self) -> None:
        first = await self.held()
        self.assertEqual(await self.engine.revision(), 0)
        self.assertEqual((await self.engine.read_page(TaskQuery())).tasks, ())
        self.gate.open()
        await first

    async def test_a_cancelled_caller_does_not_disturb_the_others(self) -> None:
        first = await self.held()
        cancelled, other = await self.queue(
            self.engine.create_task("a", ENTRY), self.engine.create_task("b", ENTRY))
        cancelled.cancel()
        self.gate.open()
        await asyncio.gather(first, other)
        self.assertTrue(cancelled.cancelled())
        self.assertEqual((await self.engine.read_task("b")).id, "b")

    async def test_stop_commits_what_is_queued(self) -> None:
        first = await self.held()
        others = await self.queue(*(self.engine.create_task(f"t{i}", ENTRY) for i in range(5)))
        stopping = asyncio.create_task(self.engine.stop())
        self.gate.open()
        await asyncio.gather(first, *others, stopping)
        self.assertEqual(self.sql("SELECT count(*) FROM tasks"), 6)

    async def test_text_that_is_not_unicode_fails_alone(self) -> None:
        bad, good = await outcomes(
            self.engine.create_task("\ud800", ENTRY), self.engine.create_task("a", ENTRY))
        self.assertIsInstance(bad, UnicodeEncodeError)
        self.assertEqual(good.tasks[0][0], "a")


class PlanTest(SQLiteTestCase):
    """No page has to be sorted: with a million tasks, its cost is that of its own tasks."""

    KEYS: dict[TaskSort, SortKey] = {
        TaskSort.CREATED: "a", TaskSort.UPDATED: 1, TaskSort.DUE_DATE: 1.5, TaskSort.PRIORITY: 2,
        TaskSort.TITLE: "a"}

    async def asyncSetUp(self) -> None:
        await self.start()
        self.connection = apsw.Connection(str(self.path))
        self.addCleanup(self.connection.close)

    def plan(self, statement: str, arguments: Sequence[Any]) -> str:
        rows = self.connection.execute("EXPLAIN QUERY PLAN " + statement, arguments)
        return "\n".join(str(row[3]) for row in rows)

    def test_a_page_without_words_or_a_range_of_dates_is_merged_from_parts_of_an_index(self) -> None:
        for sort, descending, completed, priorities, cursor in itertools.product(
                TaskSort, (False, True), (None, True), (set(), {TaskPriority.LOW}), (False, True)):
            query = TaskQuery(
                sort=sort, descending=descending, completed=completed,
                priorities=frozenset(priorities),
                after=(self.KEYS[sort], "a") if cursor else None)
            with self.subTest(query=query):
                [(page, arguments)] = page_statements(query, SQLITE)
                plan = self.plan(page_sql(page, query), arguments)
                self.assertNotIn("TEMP B-TREE", plan)
                self.assertIn("tasks USING INDEX", plan)
                last = "SEARCH tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)"
                self.assertEqual(plan.count(last), 1)
                for part in re.findall("tasks USING INDEX .*", plan.replace(last, "")):
                    if query.filtered:
                        self.assertIn("completed=?", part)
                        self.assertIn("priority" if priorities else "completed", part)
                    if cursor and not (sort is TaskSort.PRIORITY and priorities):
                        self.assertRegex(part, r"\)[<>]\(|id[<>]\?")

    def test_a_range_of_dates_is_decided_in_indexes(self) -> None:
        """In the order of the sort, and if need be among the tasks in the range."""
        for sort, descending, cursor in itertools.product(
                TaskSort, (False, True), (False, True)):
            query = TaskQuery(
                sort=sort, descending=descending, due_before=5, priorities=frozenset(
                    {TaskPriority.LOW}), after=(self.KEYS[sort], "a") if cursor else None)
            with self.subTest(query=query):
                plans = [self.plan(*statement) for statement in page_statements(query, SQLITE)]
                if sort is TaskSort.DUE_DATE:
                    [plan] = plans
                    self.assertIn("due_date", plan)
                    self.assertNotIn("TEMP B-TREE", plan)
                    continue
                walked, in_range = plans
                self.assertIn(f"tasks USING COVERING INDEX {INDEXES[sort]} (completed=?", walked)
                self.assertIn(
                    "tasks USING COVERING INDEX tasks_filtered_due_date "
                    "(completed=? AND priority=? AND due_date", in_range)

    def test_a_search_reads_texts_and_the_tasks_that_it_finds(self) -> None:
        for sort in TaskSort:
            query = TaskQuery(sort=sort, words=("milk",), completed=True)
            with self.subTest(sort=sort):
                walked, searched = [
                    self.plan(*statement) for statement in page_statements(query, SQLITE)]
                self.assertIn("SEARCH texts USING PRIMARY KEY (id=?)", walked)
                self.assertIn(f"tasks USING COVERING INDEX {INDEXES[sort]} (completed=?", walked)
                self.assertIn("SCAN texts", searched)
                self.assertIn(
                    "SEARCH tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)", searched)

    def test_changes_are_merged_from_two_indexes(self) -> None:
        plan = self.plan(CHANGES_SQL, [1, 2])
        self.assertNotIn("TEMP B-TREE", plan)
        self.assertIn("SEARCH tasks USING INDEX tasks_updated (revision>?)", plan)
        self.assertIn("SEARCH tombstones USING INTEGER PRIMARY KEY (rowid>?)", plan)


class WalkTest(SQLiteTestCase):
    async def test_a_walk_says_that_it_was_cut_only_where_more_follow(self) -> None:
        """In a small store no second statement runs in vain."""
        engine = await self.start()
        await engine.create_tasks([(f"{number}", ENTRY) for number in range(6)])
        connection = apsw.Connection(str(self.path))
        self.addCleanup(connection.close)
        for query in (TaskQuery(words=("none",)), TaskQuery(due_before=5.0),
                      TaskQuery(sort=TaskSort.PRIORITY, priorities=frozenset({TaskPriority.NONE}),
                                words=("none",))):
            for walked, expected in ((5, [CUT]), (6, [CUT]), (7, [])):
                with patch.multiple(pages, TEXTS_WALKED=walked, DATES_WALKED=walked):
                    (statement, arguments), _ = page_statements(query, SQLITE)
                rows = connection.execute(statement, list(arguments)).fetchall()
                self.assertEqual([row[0] for row in rows], expected)

    async def test_a_page_that_is_full_is_never_cut(self) -> None:
        engine = await self.start()
        await engine.create_tasks([(f"{number}", ENTRY) for number in range(6)])
        connection = apsw.Connection(str(self.path))
        self.addCleanup(connection.close)
        with patch.multiple(pages, TEXTS_WALKED=5):
            (statement, arguments), _ = page_statements(TaskQuery(words=("milk",), limit=4), SQLITE)
        rows = connection.execute(statement, list(arguments)).fetchall()
        self.assertEqual([row[0] for row in rows], ["0", "1", "2", "3", "4"])


class SearchIndexTest(SQLiteTestCase):
    async def test_a_sqlite_without_trigrams_is_a_config_error(self) -> None:
        missing = "CREATE VIRTUAL TABLE search_index USING fts55(x)"
        with patch.multiple(search_index, _CREATE=missing):
            with self.assertRaisesRegex(ConfigError, "search-index: expected a SQLite .* with FTS5"):
                await self.start(search_index=True)
        self.assertEqual(self.sql(search_index.EXISTS), 0)
        await self.start(search_index=True)
        self.assertEqual(self.sql(search_index.EXISTS), 1)

    async def test_a_start_that_changes_nothing_does_not_wait_for_a_writer(self) -> None:
        for wanted in (False, True):
            await self.start(search_index=wanted)
            with apsw.Connection(str(self.path)) as other:
                other.execute("UPDATE store SET revision = revision")
                await asyncio.wait_for(self.start(search_index=wanted), 30)


class OpenTest(SQLiteTestCase):
    async def test_a_store_keeps_everything_when_it_is_opened_again(self) -> None:
        key = IdempotencyKey("me", "k", b"\x00\xff")
        async with SQLiteTodoListDB(self.path) as engine:
            created = await engine.create_task("a", ENTRY, key)
            await engine.create_task("b", ENTRY)
            await engine.delete_task("b")
            before = await engine.read_page(TaskQuery()), await engine.read_changes(None, 10)
        self.assertEqual([file.name for file in self.path.parent.iterdir()], ["tasks.db"])
        engine = await self.start()
        after = await engine.read_page(TaskQuery()), await engine.read_changes(None, 10)
        self.assertEqual(after, before)
        self.assertEqual(
            await engine.create_task("c", ENTRY, key), replace(created, replayed=True))

    async def test_commits_are_synced(self) -> None:
        engine = await self.start()
        self.assertEqual(writer(engine).pragma("journal_mode"), "wal")
        self.assertEqual(writer(engine).pragma("synchronous"), 2)

    async def test_an_empty_file_is_a_new_store(self) -> None:
        self.path.parent.mkdir()
        self.path.touch()
        engine = await self.start()
        self.assertEqual(await engine.revision(), 0)

    async def test_the_store_of_a_newer_version_is_refused_and_left_alone(self) -> None:
        self.path.parent.mkdir()
        known = migrations("sqlite", 0)[-1][0]
        for version in (known + 1, 9999):
            self.sql(f"PRAGMA user_version = {version}")
            before = self.path.read_bytes()
            with self.assertRaisesRegex(
                    StoreVersionError, f"of version {version}, and .* versions up to {known}: upgrade"):
                await SQLiteTodoListDB(self.path).start()
            self.assertEqual(self.path.read_bytes(), before)

    async def test_what_is_not_a_database_is_refused_by_name(self) -> None:
        self.path.parent.mkdir()
        self.path.write_bytes(b"a letter to a friend " * 100)
        with self.assertRaisesRegex(StoreError, "tasks.db"):
            await SQLiteTodoListDB(self.path).start()
        with self.assertRaisesRegex(StoreError, "var"):
            await SQLiteTodoListDB(self.path.parent).start()
        with self.assertRaisesRegex(StoreError, "tasks.db"):
            await SQLiteTodoListDB(self.path / "below" / "a-file").start()

    async def test_stop_closes_every_connection(self) -> None:
        """No lock and no descriptor of the file stays, whatever else still refers to a connection."""
        opened: list[apsw.Connection] = []
        real = open_connection

        def noted(*args: Any, **kwargs: Any) -> apsw.Connection:
            opened.append(real(*args, **kwargs))
            return opened[-1]

        with patch.object(sqlite_engine, "open_connection", noted):
            engine = await self.start()
        opened.append(writer(engine))
        await engine.read_page(TaskQuery())
        await engine.stop()
        self.assertEqual(len(opened), READERS + 2)
        for connection in opened:
            with self.assertRaises(apsw.ConnectionClosedError):
                connection.pragma("user_version")

    async def test_a_store_that_is_not_open_says_so(self) -> None:
        engine = SQLiteTodoListDB(self.path)
        calls: list[Callable[[], Coroutine[Any, Any, Any]]] = [
            engine.check_ready, engine.revision, lambda: engine.read_task("a"),
            lambda: engine.delete_task("a"),
            lambda: engine.create_task("a", ENTRY), lambda: engine.read_page(TaskQuery()),
            lambda: engine.read_changes(None, 1), lambda: engine.update_task("a", ENTRY)]
        for moment in ("before start", "after stop"):
            for call in calls:
                with self.subTest(moment), self.assertRaises(StoreUnavailableError):
                    await call()
            await engine.start()
            await engine.stop()
            await engine.stop()


class ReadTest(SQLiteTestCase):
    async def test_a_task_whose_connection_is_busy_is_read_in_a_thread(self) -> None:
        engine = await self.start()
        [(_, revision)] = (await engine.create_task("a", ENTRY)).tasks
        locked = str(self.path.with_name("locked.db"))
        holder, busy = apsw.Connection(locked), apsw.Connection(locked)
        self.addCleanup(holder.close)
        self.addCleanup(busy.close)
        holder.execute("BEGIN EXCLUSIVE")
        assert engine._store is not None
        store = engine._store
        engine._store = replace(store, point=busy.cursor())
        self.assertEqual((await engine.read_task("a")).revision, revision)
        engine._store = store

    async def endless(self, engine: SQLiteTodoListDB, count: int) -> "list[asyncio.Task[Any]]":
        assert engine._store is not None
        statement = (
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            "SELECT max(i) FROM n")
        reads = [
            asyncio.create_task(engine._store.readers.read(statement, ())) for _ in range(count)]
        await asyncio.sleep(0)
        return reads

    async def test_a_long_read_ends_when_its_caller_is_cancelled(self) -> None:
        engine = await self.start()
        reads = await self.endless(engine, READERS)
        for read in reads:
            read.cancel()
        async with asyncio.timeout(at_most(10)):
            await engine.read_page(TaskQuery())

    async def test_the_file_is_not_mapped(self) -> None:
        """Each reader would map all of it: a process seemed to have four times the store's size."""
        engine = await self.start()
        await engine.create_tasks([(None, ENTRY)] * 1000)
        await asyncio.gather(*(engine.read_page(TaskQuery()) for _ in range(READERS)))
        path = Path(engine._path)
        mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
        self.assertNotIn(str(path), mapped)
        self.assertIn(f"{path}-shm", mapped, "it would show nothing")

    @patch.object(sqlite_readers, "STEPS", 2 ** 31 - 1)
    async def test_it_ends_at_the_next_row_however_long_that_takes_to_look_at(self) -> None:
        """So many steps, among long texts, are minutes."""
        engine = await self.start()
        assert engine._store is not None
        begun: list[None] = []

        def begin(*_: object) -> None:
            begun.append(None)

        for connection in engine._store.readers._connections:
            connection.create_scalar_function("begun", begin)
        reads = [asyncio.create_task(engine._store.readers.read(
            "SELECT begun() UNION ALL SELECT * FROM (WITH RECURSIVE n (i) AS ("
            "SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n)", ())) for _ in range(READERS)]
        await until(lambda: len(begun) == READERS, "all have begun")
        for read in reads:
            read.cancel()
        async with asyncio.timeout(at_most(10)):
            await engine.read_page(TaskQuery())

    async def test_a_search_that_is_cancelled_ends_and_one_that_waits_does_not_begin(self) -> None:
        loop, begun = asyncio.get_running_loop(), asyncio.Event()
        ends: list[object] = []
        run = SQLiteReaders._run

        class Watched(threading.Event):
            """Asked by the reader in the middle of a statement: holds it there until it is set."""

            def is_set(self) -> bool:
                loop.call_soon_threadsafe(begun.set)
                self.wait(10)
                return super().is_set()

        def watched(readers: SQLiteReaders, *args: Any) -> Any:
            try:
                result = run(readers, *args)
                ends.append(None)
                return result
            except StoreUnavailableError as error:
                ends.append(error.__cause__)
                raise

        with patch.object(sqlite_engine, "READERS", 1):
            engine = await self.start()
        await engine.create_tasks([(None, TaskEntry(f"task {n}")) for n in range(20_000)])
        search = TaskQuery(words=("rare",))
        with patch.object(SQLiteReaders, "_run", watched), \
                patch.object(sqlite_readers, "STEPS", 1000), \
                patch.object(sqlite_readers, "Event", Watched):
            running = asyncio.create_task(engine.read_page(search))
            await begun.wait()
            waiting = asyncio.create_task(engine.read_page(search))
            await asyncio.sleep(0)
            waiting.cancel()
            running.cancel()
            self.assertEqual(
                [type(error) for error in await outcomes(running, waiting)],
                [asyncio.CancelledError] * 2)
        async with asyncio.timeout(at_most(10)):
            with patch.object(SQLiteReaders, "_run", watched):
                self.assertEqual((await engine.read_page(search)).tasks, ())
                self.assertEqual(len((await engine.read_page(TaskQuery(limit=9))).tasks), 9)
        self.assertIsInstance(ends.pop(0), apsw.InterruptError)
        self.assertEqual(set(ends), {None})

    async def test_a_long_read_ends_when_the_store_stops(self) -> None:
        engine = await self.start()
        reads = await self.endless(engine, READERS + 2)
        await engine.stop()
        self.assertEqual(
            {type(error) for error in await outcomes(*reads)}, {StoreUnavailableError})

    async def test_a_revision_beyond_sqlites_numbers_is_beyond_the_stores(self) -> None:
        engine = await self.start()
        with self.assertRaises(ChangesExpiredError):
            await engine.read_changes(2 ** 70, 1)


class StatementsTest(SQLiteTestCase):
    """SQLite keeps few prepared statements: writes of any number of rows share them."""

    async def test_there_are_few_whatever_the_numbers_of_rows_are(self) -> None:
        engine = await self.start()
        statements: set[str] = set()

        def trace(_cursor: object, statement: str, _values: object) -> bool:
            if "INTO tasks" in statement:
                statements.add(statement)
            return True

        writer(engine).exec_trace = trace
        full = sqlite_writer.ROWS_A_STATEMENT
        for count in (full, full + sqlite_writer.ROWS_OF_A_REST, *range(full - 99, full, 33)):
            await engine.create_tasks([(None, ENTRY)] * count)
        self.assertEqual(
            {statement.count("(?") for statement in statements}, {full, sqlite_writer.ROWS_OF_A_REST, 1, 34, 17})


class PruneTest(SQLiteTestCase):
    @patch.object(sqlite_writer, "PRUNE_ROWS", 20)
    async def test_old_deletions_and_keys_are_forgotten_some_at_a_time(self) -> None:
        now = 1_800_000_000_000_000
        count = sqlite_writer.PRUNE_ROWS + 10
        engine = await self.start(clock=lambda: now)
        await outcomes(*(
            engine.create_task(f"t{i}", ENTRY, IdempotencyKey("me", str(i), b"d"))
            for i in range(count)))
        await outcomes(*(engine.delete_task(f"t{i}") for i in range(count)))
        since = (await engine.read_changes(None, count - 1)).revision
        now += IDEMPOTENCY_KEY_LIFETIME
        await engine.create_task("a", ENTRY)
        self.assertEqual(self.sql("SELECT count(*) FROM idempotency_keys"), 10)
        self.assertEqual(len((await engine.read_changes(0, 1000)).changes), count + 1)
        now += 7 * DAY
        for left in (10, 0):
            await engine.update_task("a", ENTRY)
            self.assertEqual(self.sql("SELECT count(*) FROM tombstones"), left)
        self.assertEqual(self.sql("SELECT count(*) FROM idempotency_keys"), 0)
        with self.assertRaises(ChangesExpiredError):
            await engine.read_changes(since, 10)
        last = (await engine.read_changes(None, 10)).revision
        self.assertEqual((await engine.read_changes(last, 10)).changes, ())

    async def test_a_minute_passes_from_one_time_to_the_next(self) -> None:
        now = 1_800_000_000_000_000
        engine = await self.start(clock=lambda: now)
        statements: list[str] = []

        def trace(_cursor: object, statement: str, _values: object) -> bool:
            statements.append(statement)
            return True

        writer(engine).exec_trace = trace
        await engine.create_task("a", ENTRY)
        for seconds, times in ((0, 1), (59, 1), (60, 2), (60, 2)):
            now = 1_800_000_000_000_000 + seconds * 1_000_000
            await engine.update_task("a", ENTRY)
            self.assertEqual(sum("DELETE FROM idempotency_keys" in one for one in statements), times, seconds)

    async def test_a_write_while_the_clock_was_wrong_does_not_stop_it(self) -> None:
        now = 1_800_000_000_000_000
        engine = await self.start(clock=lambda: now)
        await engine.create_task("a", ENTRY, IdempotencyKey("me", "k", b"1"))
        now += 365 * DAY
        await engine.create_task("b", ENTRY)
        now -= 365 * DAY
        await engine.create_task("c", ENTRY, IdempotencyKey("me", "k", b"1"))
        now += IDEMPOTENCY_KEY_LIFETIME
        await engine.create_task("d", ENTRY)
        self.assertEqual(self.sql("SELECT count(*) FROM idempotency_keys"), 0)

    async def test_a_key_that_has_expired_counts_as_absent(self) -> None:
        now = 1_800_000_000_000_000
        engine = await self.start(clock=lambda: now)
        await engine.create_task("a", ENTRY, IdempotencyKey("me", "k", b"1"))
        now += IDEMPOTENCY_KEY_LIFETIME
        created = await engine.create_task("b", ENTRY, IdempotencyKey("me", "k", b"2"))
        self.assertFalse(created.replayed)
        again = await engine.create_task("c", ENTRY, IdempotencyKey("me", "k", b"2"))
        self.assertEqual(again, replace(created, replayed=True))

    async def test_a_task_that_is_created_again_has_no_tombstone(self) -> None:
        engine = await self.start()
        await engine.create_task("a", ENTRY)
        await engine.delete_task("a")
        await engine.create_task("a", ENTRY)
        self.assertEqual(self.sql("SELECT count(*) FROM tombstones"), 0)


class FullTest(SQLiteTestCase):
    async def test_a_full_store_refuses_writes_serves_reads_and_recovers(self) -> None:
        engine = await self.start()
        await engine.create_task("a", ENTRY)
        connection = writer(engine)
        connection.pragma("max_page_count", connection.pragma("page_count"))
        with self.assertRaises(StoreFullError):
            await engine.create_task("b", TaskEntry("x" * 100_000))
        self.assertEqual((await engine.read_task("a")).id, "a")
        self.assertEqual(len((await engine.read_page(TaskQuery())).tasks), 1)
        connection.pragma("max_page_count", 1_000_000)
        await engine.create_task("b", TaskEntry("x" * 100_000))

    async def test_a_limit_of_the_file_size_is_a_full_store(self) -> None:
        self.assertEqual(await run("limited", str(self.path)), ["StoreFullError", 2, "recovered"])


class ProcessesTest(SQLiteTestCase):
    async def test_processes_that_start_and_write_at_once_lose_nothing(self) -> None:
        """Revisions are unique over all, and grow within each."""
        written = await asyncio.gather(*(run("write", str(self.path), str(n)) for n in range(3)))
        self.assertEqual([revisions for revisions in written if revisions != sorted(revisions)], [])
        every = [revision for revisions in written for revision in revisions]
        self.assertEqual(len(set(every)), 3 * 60)
        engine = await self.start()
        page = await engine.read_page(TaskQuery(sort=TaskSort.UPDATED))
        self.assertEqual([task.revision for task in page.tasks], sorted(every))
        self.assertEqual(page.revision, max(every))

    async def test_ids_made_by_processes_whose_clocks_differ_are_in_order(self) -> None:
        """The ids have the order of the revisions, which all processes take from the store."""
        made = await asyncio.gather(
            *(run("create", str(self.path), str(days * DAY)) for days in (0, -1, 1, 0)))
        every = sorted((revision, task_id) for tasks in made for task_id, revision in tasks)
        engine = await self.start()
        page = await engine.read_page(TaskQuery())
        self.assertEqual([task.id for task in page.tasks], [task_id for _, task_id in every])
        self.assertEqual(len(page.tasks), 4 * 60)

    async def test_a_write_gives_up_when_another_process_writes_for_too_long(self) -> None:
        engine = await self.start(busy_timeout=0.05)
        await engine.create_task("a", ENTRY)
        other = apsw.Connection(str(self.path))
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        with self.assertRaises(StoreUnavailableError):
            await engine.create_task("b", ENTRY)
        self.assertEqual((await engine.read_task("a")).id, "a")
        other.execute("ROLLBACK")
        await engine.create_task("b", ENTRY)


async def run(*arguments: str) -> Any:
    """Run one of the functions below in a process of its own; return what it returns."""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, __file__, *arguments], check=True,
        stdout=subprocess.PIPE, timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})
    return json.loads(done.stdout)


async def write(path: str, name: str) -> list[int]:
    async with SQLiteTodoListDB(path) as engine:
        created = [await engine.create_task(f"{name}-{i}", ENTRY) for i in range(60)]
    return [revision for outcome in created for _, revision in outcome.tasks]


async def create(path: str, ahead: str) -> list[tuple[str, int]]:
    async with SQLiteTodoListDB(path, clock=lambda: system_clock() + int(ahead)) as engine:
        created = [await engine.create_task(None, ENTRY) for _ in range(60)]
    return [task for outcome in created for task in outcome.tasks]


async def limited(path: str) -> list[Any]:
    import resource
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with SQLiteTodoListDB(path) as engine:
        await engine.create_task("a", ENTRY)
        await engine.create_task("b", ENTRY)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, unlimited[1]))
        try:
            await engine.create_task("c", TaskEntry("x" * 300_000))
            return ["not refused"]
        except TodoListError as error:
            refused = type(error).__name__
        tasks = len((await engine.read_page(TaskQuery())).tasks)
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        await engine.create_task("c", TaskEntry("x" * 300_000))
    return [refused, tasks, "recovered"]


if __name__ == "__main__":
    commands: dict[str, Callable[..., Coroutine[Any, Any, Any]]] = {
        "write": write, "create": create, "limited": limited}
    print(json.dumps(asyncio.run(commands[sys.argv[1]](*sys.argv[2:]))))
