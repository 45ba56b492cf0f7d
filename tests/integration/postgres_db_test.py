"""What is particular to PostgreSQL; `tests/contract` has what it shares with the other engines."""

import asyncio
import re
import sys

from importlib import import_module
from itertools import product
from typing import Any, Awaitable, Callable
from unittest import SkipTest, TestCase, mock

from taskservice.database.db_engines import create_todolist_db
from taskservice.database.revisions import system_clock
from taskservice.database.sql.migration import migrations
from taskservice.datamodel import (
    Change, IdempotencyKey, SortKey, TaskEntry, TaskPriority, TaskQuery, TaskSort)
from taskservice.errors import (
    BadInputError, ChangesExpiredError, ConfigError, StaleRevisionError, StoreUnavailableError,
    StoreVersionError, TaskExistsError, TaskNotFoundError)
from taskservice.precondition import Precondition
from tests.helpers import postgres
from tests.helpers.time_limit import LimitedTestCase

ENTRY = TaskEntry("a title")
DAY = 24 * 3600 * 1_000_000


def setUpModule() -> None:
    if (reason := postgres.available()) is not None:
        raise SkipTest(reason)
    import_module("taskservice.database.postgres.engine")  # not while a loop runs: it takes its time


class PostgresTestCase(LimitedTestCase):
    """A test with a place for tables, of which it can make engines."""

    def setUp(self) -> None:
        self.dsn = postgres.fresh_database()

    async def start(self, **options: Any) -> Any:
        """Start an engine, and stop it in the end."""
        from taskservice.database.postgres.engine import PostgresTodoListDB
        engine = PostgresTodoListDB(self.dsn, **options)
        await engine.start()
        self.addAsyncCleanup(engine.stop)
        return engine

    async def query(self, statement: str, *arguments: Any) -> list[Any]:
        """Run a statement on a connection of the test's own."""
        import asyncpg
        connection = await asyncpg.connect(self.dsn)
        try:
            return [tuple(row) for row in await connection.fetch(statement, *arguments)]
        finally:
            await connection.close()


class GroupCommitTest(PostgresTestCase):
    async def asyncSetUp(self) -> None:
        self.engine = await self.start()

    async def transactions(self) -> int:
        """Count the transactions that wrote the tasks there are."""
        [(count,)] = await self.query("SELECT count(DISTINCT xmin::text) FROM tasks")
        return int(count)

    async def test_writes_that_come_together_are_one_transaction(self) -> None:
        await asyncio.gather(*(self.engine.create_task(f"{n}", ENTRY) for n in range(64)))
        self.assertEqual(await self.transactions(), 1)

    async def test_what_comes_before_a_transaction_has_its_turn_is_in_it(self) -> None:
        async def late() -> None:
            await asyncio.sleep(0)  # the transaction begins then
            await asyncio.gather(*(self.engine.create_task(f"late-{n}", ENTRY) for n in range(9)))
        await asyncio.gather(self.engine.create_task("first", ENTRY), late())
        self.assertEqual(await self.transactions(), 1)

    async def test_what_comes_during_a_transaction_is_the_next_one(self) -> None:
        late: list[asyncio.Task[Any]] = []

        def clock() -> int:
            """Write more as soon as the first transaction decides on its revision."""
            if not late:
                late.extend(asyncio.create_task(engine.create_task(f"late-{n}", ENTRY)) for n in range(9))
            return system_clock()
        engine = await self.start(clock=clock)
        await engine.create_task("first", ENTRY)
        await asyncio.gather(*late)
        self.assertEqual(await self.transactions(), 2)

    async def test_a_bad_item_fails_alone(self) -> None:
        await self.engine.create_task("there", ENTRY)
        outcomes = await asyncio.gather(
            self.engine.create_task("good", ENTRY),
            self.engine.create_task("there", ENTRY),
            self.engine.update_task("there", ENTRY, Precondition(match=[1])),
            self.engine.delete_task("missing"),
            self.engine.create_task("nul", TaskEntry("a\0b")),
            self.engine.create_task("surrogate", TaskEntry("\ud800")),
            self.engine.create_task("i" * 5000, ENTRY),
            self.engine.update_task("there", ENTRY),
            return_exceptions=True)
        self.assertEqual(
            [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)],
            [TaskExistsError, StaleRevisionError, TaskNotFoundError, BadInputError,
             UnicodeEncodeError, BadInputError])
        self.assertEqual(await self.transactions(), 1)
        last = await self.engine.read_task("there")
        self.assertEqual((await self.engine.revision(), outcomes[-1]), (last.revision, last))

    async def test_what_is_done_to_one_task_in_one_transaction_is_done_in_order(self) -> None:
        outcomes = await asyncio.gather(
            self.engine.create_task("a", ENTRY), self.engine.delete_task("a"),
            self.engine.create_task("a", TaskEntry("again")), self.engine.delete_task("a"),
            self.engine.create_task("b", ENTRY), self.engine.update_task("b", TaskEntry("new")))
        page = await self.engine.read_changes(None, 10)
        self.assertEqual(page.changes, (
            Change("a", outcomes[3], None), Change("b", outcomes[5].revision, outcomes[5])))

    async def test_a_cancelled_caller_does_not_disturb_the_others(self) -> None:
        writes = [
            asyncio.create_task(self.engine.create_task(f"{n}", ENTRY)) for n in range(8)]
        await asyncio.sleep(0)
        writes[0].cancel()
        writes[3].cancel()
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        self.assertEqual(
            [n for n, outcome in enumerate(outcomes) if isinstance(outcome, BaseException)], [0, 3])
        self.assertEqual((await self.engine.read_task("7")).entry, ENTRY)


class CancelledReadTest(PostgresTestCase):
    async def active(self, pause: str) -> int:
        """Count the statements with this sleep that run in the server."""
        [(count,)] = await self.query(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 "
            "AND pid <> pg_backend_pid()", f"SELECT pg_sleep({pause})%")
        return int(count)

    async def test_its_statement_ends_in_the_server_and_the_pool_goes_on(self) -> None:
        engine = await self.start(pool_size=1, statement_timeout=60)
        pause = "59.125"
        read = asyncio.create_task(engine._connections.fetch(f"SELECT pg_sleep({pause})"))
        async with asyncio.timeout(20):
            while not await self.active(pause):
                await asyncio.sleep(0.01)
            read.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await read
            await engine.read_page(TaskQuery())
            while await self.active(pause):
                await asyncio.sleep(0.01)


class RevisionOrderTest(PostgresTestCase):
    async def test_a_reader_of_changes_misses_nothing_of_two_processes(self) -> None:
        engines = [await self.start(), await self.start()]
        reader = await self.start()

        async def write(number: int) -> None:
            for step in range(20):
                await engines[number % 2].create_task(f"{number}-{step}", ENTRY)

        seen: list[Change] = []

        async def follow() -> None:
            since = 0
            while len(seen) < 16 * 20:
                page = await reader.read_changes(since, 7)
                seen.extend(page.changes)
                since = page.revision

        async with asyncio.timeout(30):
            await asyncio.gather(follow(), *(write(number) for number in range(16)))
        self.assertEqual(len({change.id for change in seen}), 16 * 20)
        revisions = [change.revision for change in seen]
        self.assertEqual(revisions, sorted(set(revisions)))

    async def test_the_servers_default_isolation_makes_no_difference(self) -> None:
        self.dsn = await asyncio.to_thread(postgres.shared_server().create_database)
        database = self.dsn.rpartition("/")[2]
        await self.query(f"ALTER DATABASE {database} SET default_transaction_isolation = serializable")
        engines = [await self.start(), await self.start()]
        for number in range(2):
            await engines[number].create_task(f"{number}", ENTRY)
        await asyncio.gather(*(
            engines[number % 2].update_task(f"{number % 2}", ENTRY) for number in range(20)),
            *(engines[number % 2].create_task(f"new-{number}", ENTRY) for number in range(20)))
        self.assertEqual(len((await engines[0].read_page(TaskQuery())).tasks), 22)

    async def test_one_idempotency_key_at_two_processes_makes_one_task(self) -> None:
        engines = [await self.start(), await self.start()]
        key = IdempotencyKey("owner", "key", b"digest")
        outcomes = await asyncio.gather(
            *(engines[n % 2].create_task(f"{n}", ENTRY, key) for n in range(10)))
        self.assertEqual(len({outcome.tasks for outcome in outcomes}), 1)
        self.assertEqual([outcome.replayed for outcome in outcomes].count(False), 1)

    async def test_forgetting_goes_on_while_there_is_more_also_after_the_clock_was_wrong(self) -> None:
        now = 1_700_000_000_000_000
        engine = await self.start(clock=lambda: now)
        now += 365 * DAY
        await engine.create_task("ahead", ENTRY)
        now -= 365 * DAY
        await self.query(
            "INSERT INTO idempotency_keys (owner, key, digest, outcome, expires) "
            "SELECT 'me', n::text, '', '[]', 1 FROM generate_series(1, 2500) AS n")
        await self.query(
            "INSERT INTO tombstones (id, revision, expires) "
            "SELECT 'gone-' || n, n, CASE WHEN n % 2 = 0 THEN 1 ELSE 1e18::bigint END "
            "FROM generate_series(1, 5000) AS n")
        for left in (1500, 500, 0):
            await engine.create_task(f"{left}", ENTRY)
            self.assertEqual(await self.query("SELECT count(*) FROM idempotency_keys"), [(left,)])
            self.assertEqual(await self.query("SELECT count(*) FROM tombstones"), [(2 * left,)])
        self.assertEqual(await self.query("SELECT forgotten FROM store"), [(5000,)])

    async def test_what_is_past_its_lifetime_is_forgotten(self) -> None:
        now = 1_700_000_000_000_000
        engine = await self.start(clock=lambda: now)
        await engine.create_task("a", ENTRY, IdempotencyKey("owner", "key", b"digest"))
        deleted = await engine.delete_task("a")
        now += 8 * DAY
        await engine.create_task("b", ENTRY)
        self.assertEqual(await self.query("SELECT FROM tombstones, idempotency_keys"), [])
        with self.assertRaises(ChangesExpiredError):
            await engine.read_changes(deleted - 1, 10)
        self.assertEqual(len((await engine.read_changes(deleted, 10)).changes), 1)


class LargeBatchTest(PostgresTestCase):
    async def test_more_than_a_statement_takes_is_one_transaction(self) -> None:
        engine = await self.start()
        tasks = [(f"{number:04}", TaskEntry(f"{number}")) for number in range(2_500)]
        key = IdempotencyKey("owner", "key", b"digest")
        created = await engine.create_tasks(tasks, key)
        self.assertEqual([task_id for task_id, _ in created.tasks], [name for name, _ in tasks])
        self.assertEqual(await self.query("SELECT count(*), count(DISTINCT xmin::text) FROM tasks"), [(2_500, 1)])
        self.assertEqual((await engine.read_task("2499")).revision, created.tasks[-1][1])
        again = await engine.create_tasks(tasks, key)
        self.assertEqual((again.tasks, again.replayed), (created.tasks, True))

    async def test_while_a_new_store_fills_no_table_is_read_from_end_to_end(self) -> None:
        """A plan that was made while the tables were empty stays."""
        engine = await self.start()
        for batch in range(4):
            await engine.create_tasks(
                [(f"{batch}-{number}", TaskEntry("t")) for number in range(500)])
        await engine.update_task("0-1", TaskEntry("u"))
        await engine.delete_task("0-2")
        await engine.stop()  # what a connection has counted is known once it ends
        counted = ("SELECT sum(seq_tup_read)::int, sum(n_tup_ins)::int FROM pg_stat_user_tables WHERE "
                   "schemaname = current_schema() AND relname IN ('tasks', 'texts')")
        async with asyncio.timeout(30):
            while (await self.query(counted))[0][1] != 4_000:
                await asyncio.sleep(0.01)
        self.assertEqual(await self.query(counted), [(0, 4_000)])


def recorded_plans(engine: Any, options: str = "") -> list[str]:
    """Make an engine explain each statement before it reads; return the plans, which are added as it reads."""
    fetch: Callable[..., Awaitable[Any]] = engine._connections.fetch
    plans: list[str] = []

    async def explained(statement: str, *arguments: Any) -> Any:
        rows = await fetch(f"EXPLAIN {options} {statement}", *arguments)
        plans.append("\n".join(row[0] for row in rows))
        return await fetch(statement, *arguments)

    engine._connections.fetch = explained
    return plans


class SearchIndexTest(PostgresTestCase):
    async def test_a_missing_extension_is_named(self) -> None:
        """A role without the right to create it gets the error of a server that lacks it."""
        server = postgres.shared_server()
        dsn = await asyncio.to_thread(server.create_database)
        self.dsn = dsn
        await self.query("CREATE ROLE nocreate LOGIN")
        await self.query("GRANT CREATE ON SCHEMA public TO nocreate")
        self.dsn = dsn.replace("//postgres@", "//nocreate@")
        with self.assertRaisesRegex(ConfigError, "search-index: expected the extension pg_trgm"):
            await self.start(search_index=True)
        await self.start()
        self.dsn = dsn
        await self.query("CREATE EXTENSION pg_trgm")
        self.dsn = dsn.replace("//postgres@", "//nocreate@")
        await self.start(search_index=True)

    async def test_a_search_reads_what_the_index_finds(self) -> None:
        engine = await self.start(search_index=True)
        await self.query("""
            INSERT INTO tasks
            SELECT md5(n::text), n, '{"title": "t"}', md5(n::text), n % 3 = 0, n % 5, n % 1000
              FROM generate_series(1, 5000) AS n""")
        await self.query("INSERT INTO texts"
                         " SELECT id, id || ' 100%_\\' || repeat(md5(id), 20) FROM tasks")
        await self.query("ANALYZE tasks, texts")
        found = (await self.query("SELECT md5('4321')"))[0][0]
        plans = recorded_plans(engine)
        for words in ((found[:20],), (found[3:], "%_"), (found[3:], "100%_\\")):
            page = await engine.read_page(TaskQuery(words=words))
            self.assertEqual([task.id for task in page.tasks], [found])
            self.assertIn("Bitmap Index Scan on texts_by_trigram", plans[-1])
            self.assertNotIn("Seq Scan on t", plans[-1])

    async def test_a_word_without_letters_that_the_index_knows_is_found_without_it(self) -> None:
        engine = await self.start(search_index=True)
        await engine.create_tasks([("a", TaskEntry("--- 한국어")), ("b", TaskEntry("-- 한국"))])
        with mock.patch.multiple("taskservice.database.sql.pages", TEXTS_WALKED=1):
            for word in ("---", "한국어", "-한국어"):
                page = await engine.read_page(TaskQuery(words=(word,)))
                expected = [] if word == "-한국어" else ["a"]
                self.assertEqual([task.id for task in page.tasks], expected)


class TablesTest(PostgresTestCase):
    async def test_a_start_waits_for_one_that_migrates_longer_than_a_statement_may_take(self) -> None:
        connection = await import_module("asyncpg").connect(self.dsn)
        self.addAsyncCleanup(connection.close)
        await connection.execute(f"BEGIN; SELECT pg_advisory_xact_lock({0x7461736B73})")
        start = asyncio.create_task(self.start(statement_timeout=0.1))
        await asyncio.sleep(0.6)
        self.assertFalse(start.done())
        await connection.execute("COMMIT")
        await (await start).check_ready()

    async def test_a_start_that_migrates_nothing_waits_for_no_write(self) -> None:
        await self.start()
        connection = await import_module("asyncpg").connect(self.dsn)
        self.addAsyncCleanup(connection.close)
        await connection.execute("BEGIN; SELECT FROM store FOR UPDATE")
        await asyncio.wait_for(self.start(), 30)
        await connection.execute("COMMIT")

    async def test_processes_that_start_at_once_make_the_tables_once(self) -> None:
        engines = await asyncio.gather(*(self.start() for _ in range(6)))
        for number, engine in enumerate(engines):
            await engine.create_task(f"{number}", ENTRY)
        self.assertEqual(len((await engines[0].read_page(TaskQuery())).tasks), 6)

    async def test_a_newer_database_is_refused(self) -> None:
        await self.start()
        for version in (migrations("postgres", 0)[-1][0] + 1, 9999):
            await self.query(f"UPDATE store_version SET version = {version}")
            with self.assertRaisesRegex(StoreVersionError, f"of version {version}"):
                await self.start()
            self.assertEqual(await self.query("SELECT version FROM store_version"), [(version,)])

    async def test_a_database_that_is_not_utf8_is_refused(self) -> None:
        self.dsn = await asyncio.to_thread(
            postgres.shared_server().create_database, "SQL_ASCII")
        with self.assertRaisesRegex(ConfigError, "SQL_ASCII, expected UTF8"):
            await self.start()

    async def test_a_start_that_fails_leaves_no_connection(self) -> None:
        await self.start()
        await self.query("UPDATE store_version SET version = 9999")
        count = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE query = 'SELECT version FROM store_version' AND pid <> pg_backend_pid()")
        try:
            await self.start()
        except StoreVersionError:  # which holds what its frames have: nothing is collected by chance
            async with asyncio.timeout(30):
                while await self.query(count) != [(0,)]:
                    await asyncio.sleep(0.01)
        else:
            self.fail("it started")


class PageTest(PostgresTestCase):
    async def test_every_page_is_read_along_an_index(self) -> None:
        engine = await self.start()
        await self.query("""
            INSERT INTO tasks
            SELECT md5(n::text), n, '{"title": "t"}', md5(n::text), n % 3 = 0, n % 5, n % 1000
              FROM generate_series(1, 30000) AS n""")
        await self.query("ANALYZE tasks")
        plans = recorded_plans(engine)
        key: dict[TaskSort, SortKey] = {
            TaskSort.CREATED: "8", TaskSort.UPDATED: 15000, TaskSort.DUE_DATE: 500,
            TaskSort.PRIORITY: 2, TaskSort.TITLE: "8"}
        for sort, down, done, start in product(
                TaskSort, (False, True), (None, False, True), (False, True)):
            after = (key[sort], "8") if start else None
            with self.subTest(sort=sort, descending=down, completed=done, after=after):
                page = await engine.read_page(TaskQuery(
                    sort=sort, descending=down, completed=done, after=after, limit=50))
                self.assertEqual((len(page.tasks), page.end is not None), (50, True))
                self.assertNotIn("Seq Scan on tasks", plans[-1])
                self.assertNotRegex(plans[-1], "-> +(Incremental )?Sort ")
                self.assertRegex(plans[-1], r"^Nested Loop Left Join")
        self.assertEqual(len(plans), 60)

    async def fill(self, title: str = "md5(n::text)") -> None:
        """Make 30,000 tasks, of which each has its number as revision and due date."""
        await self.query(f"""
            INSERT INTO tasks
            SELECT lpad(n::text, 9, '0'), n, '{{"title": "t"}}', {title}, n % 3 = 0, n % 5, n
              FROM generate_series(1, 30000) AS n""")
        await self.query("VACUUM ANALYZE tasks")

    async def test_few_due_dates_that_come_late_in_a_sort_are_found_in_their_index(self) -> None:
        engine = await self.start()
        plans = recorded_plans(engine)
        for sort in (TaskSort.CREATED, TaskSort.UPDATED, TaskSort.TITLE):
            await self.query("DELETE FROM tasks")
            await self.fill(*["lpad(n::text, 9, '0')"] * (sort is TaskSort.TITLE))
            page = await engine.read_page(TaskQuery(sort=sort, due_after=26_000.0, limit=50))
            self.assertEqual(page.tasks[0].id, "000026001")
            self.assertIn("Index Only Scan using tasks_filtered_due_date", plans[-1])
            self.assertNotIn("Filter", plans[-1])

    async def test_many_due_dates_that_come_late_in_a_sort_are_found_in_the_index_of_the_sort(self) -> None:
        """It passes over the others, so that few are returned, and none is sorted."""
        engine = await self.start()
        await self.fill()
        plans = recorded_plans(engine, "(ANALYZE, COSTS off)")
        for sort in (TaskSort.CREATED, TaskSort.UPDATED, TaskSort.PRIORITY):
            for after, before, first in (
                    (18_000.0, None, "000018005" if sort is TaskSort.PRIORITY else "000018001"),
                    (None, 12_000.0, "000011999")):
                page = await engine.read_page(TaskQuery(
                    sort=sort, descending=after is None, due_after=after, due_before=before, limit=50))
                self.assertEqual((page.tasks[0].id, len(page.tasks)), (first, 50))
                self.assertNotIn("tasks_filtered_due_date", plans[-1])
                index = "created" if sort is TaskSort.PRIORITY else sort.value
                returned = re.findall(f"using tasks_filtered_{index} .* rows=(\\d+)", plans[-1])
                self.assertLess(max(map(int, returned)), 100, plans[-1])

    async def test_a_list_by_priority_looks_for_few_dates_in_no_priority_after_a_full_page(self) -> None:
        engine = await self.start()
        await self.fill()
        plans = recorded_plans(engine, "(ANALYZE, COSTS off)")
        for after, before, first in ((26_000.0, None, "000026005"), (None, 4_000.0, "000003999")):
            page = await engine.read_page(TaskQuery(
                sort=TaskSort.PRIORITY, descending=after is None, due_after=after, due_before=before, limit=50))
            self.assertEqual((page.tasks[0].id, len(page.tasks)), (first, 50))
            scans = [line for line in plans[-1].splitlines() if "Index Only Scan" in line]
            self.assertEqual(["never executed" in line for line in scans], [False, True, True, True, True])

    async def test_a_page_is_planned_once(self) -> None:
        engine = await self.start()
        for title in ("a", "b", "c"):
            await engine.create_task(title, TaskEntry(title))
        for title in ("", "a", "b") * 4:
            await engine.read_page(TaskQuery(sort=TaskSort.TITLE, after=(title, "a")))
        [(generic, custom)] = await engine._connections.fetch("""
            SELECT sum(generic_plans), sum(custom_plans) FROM pg_prepared_statements
             WHERE statement LIKE '%title_key%' AND statement NOT LIKE '%plans%'""")
        self.assertGreaterEqual(generic, 12)
        self.assertEqual(custom, 0)

    async def test_a_forged_cursor_is_bad_input(self) -> None:
        engine = await self.start()
        forged: list[tuple[TaskSort, SortKey]] = [
            (TaskSort.UPDATED, 2 ** 70), (TaskSort.PRIORITY, 2 ** 40), (TaskSort.UPDATED, "x"),
            (TaskSort.TITLE, "a\0")]
        for sort, key in forged:
            with self.subTest(key=key), self.assertRaises(BadInputError):
                await engine.read_page(TaskQuery(sort=sort, after=(key, "a")))

    async def test_changes_beyond_any_number_are_expired(self) -> None:
        engine = await self.start()
        for since in (-1, 2 ** 63, 2 ** 70, -2 ** 70):
            with self.subTest(since=since), self.assertRaises(ChangesExpiredError):
                await engine.read_changes(since, 10)

    async def test_a_word_that_cannot_be_stored_is_not_found(self) -> None:
        engine = await self.start()
        await engine.create_task("a", TaskEntry("t", priority=TaskPriority.LOW))
        self.assertEqual((await engine.read_page(TaskQuery(words=("\0",)))).tasks, ())


class ConfigTest(TestCase):
    def test_a_mapping_gives_all_options(self) -> None:
        engine = create_todolist_db({"postgres": {
            "dsn": "postgresql://localhost/tasks", "pool-size": 3, "acquire-timeout": 1,
            "statement-timeout": 2.5, "pgbouncer": True, "search-index": True}})
        self.assertEqual(engine.name, "postgres")

    def test_an_unknown_option_is_named(self) -> None:
        with self.assertRaisesRegex(ConfigError, "task-db.postgres.pool: unknown"):
            create_todolist_db({"postgres": {"dsn": "postgresql://localhost", "pool": 3}})

    def test_a_missing_dsn_is_refused(self) -> None:
        for options in (None, {}, {"dsn": None}, 3):
            with self.subTest(options=options), self.assertRaises(ConfigError):
                create_todolist_db({"postgres": options})

    def test_a_dsn_that_is_none_is_refused_without_showing_it(self) -> None:
        for dsn in ("postgresql://me:se/cret@host/db", "postgresql://me:se?cret@host/db",
                    "postgresql://me:se#cret@host/db", "postgresql://me:se@cret@host/db",
                    "postgresql://me:12/cret@host/db", "postgresql://me:12?cret@host/db",
                    "postgresql://me:12#cret@host/db", "postgresql://cret/12@host/db",
                    "postgresql://me:cret", "postgres//me:cret@host", "cret",
                    "postgresql://me:cret@a..b/db", "postgresql://me:cret@host:65536/db",
                    "postgresql://me:cret@host/db?sslmode", "postgresql://me:cret@[host/db"):
            with self.subTest(dsn=dsn), self.assertRaises(ConfigError) as caught:
                create_todolist_db({"postgres": dsn})
            self.assertNotIn("cret", str(caught.exception))

    def test_a_missing_package_is_named(self) -> None:
        ours = [name for name in sys.modules if name.startswith("taskservice.database.postgres")]
        with mock.patch.dict(sys.modules, {"asyncpg": None}):
            for name in ours:
                del sys.modules[name]
            with self.assertRaisesRegex(ConfigError, "postgres needs the package 'asyncpg'"):
                create_todolist_db({"postgres": "postgresql://localhost"})

    def test_the_password_is_in_no_error(self) -> None:
        engine = create_todolist_db(
            {"postgres": f"postgresql://me:s%40cret@127.0.0.1:{postgres.free_port()}/tasks"})
        with self.assertRaisesRegex(StoreUnavailableError, r"at 127\.0\.0\.1:\d+ ") as caught:
            asyncio.run(engine.start())
        self.assertNotRegex(repr(caught.exception) + repr(caught.exception.__cause__), "cret")
