"""What `--check-config --connect` finds out about a PostgreSQL database, without changing it."""

from taskservice.database.sql.migration import migrations
from taskservice.datamodel import TaskQuery
from taskservice.errors import ConfigError, StoreReadOnlyError, StoreUnavailableError, StoreVersionError
from tests.helpers.postgres_cases import ENTRY, DatabaseTestCase

ON_THE_DATABASE = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I {}', current_database()); END $$"


class ExamineTest(DatabaseTestCase):

    async def asyncSetUp(self) -> None:
        """Leave the database as it is: empty."""

    async def examined(self, dsn: str = "") -> str:
        from taskservice.database.postgres.engine import PostgresTodoListDB
        return await PostgresTodoListDB(dsn or self.dsn).examine(True)

    async def assert_refused(self, error: type[Exception], said: str, dsn: str = "") -> None:
        with self.assertRaisesRegex(error, said):
            await self.examined(dsn)

    async def test_a_new_database(self) -> None:
        self.assertRegex(await self.examined(), r"\APostgreSQL at .*, version \d.*, whose tables would be made\Z")
        self.assertEqual(await self.select("SELECT to_regclass('store_version')"), [(None,)])

    async def test_one_that_is_up_to_date_and_one_that_is_not(self) -> None:
        await self.start()
        self.assertRegex(await self.examined(), r", version [^,]*\Z")
        await self.query("UPDATE store_version SET version = 1")
        self.assertTrue((await self.examined()).endswith(", whose tables would be migrated"))

    async def test_one_of_a_later_version(self) -> None:
        await self.start()
        await self.query("UPDATE store_version SET version = 9999")
        await self.assert_refused(StoreVersionError, "upgrade taskservice")

    async def test_a_table_of_something_else(self) -> None:
        await self.query("CREATE TABLE tasks (x integer)")
        said = "schema public has a table tasks of something else; set task-db.postgres.schema"
        await self.assert_refused(ConfigError, said)
        with self.assertRaisesRegex(ConfigError, said):
            await self.start()
        await self.start(schema="ours")

    async def test_a_table_of_something_else_in_a_later_schema_of_the_path(self) -> None:
        await self.query("CREATE SCHEMA postgres; CREATE TABLE public.tasks (x integer)")
        self.assertTrue((await self.examined()).endswith(", whose tables would be made"))
        await self.start()
        self.assertEqual(await self.select("SELECT count(*) FROM postgres.tasks"), [(0,)])

    async def test_one_that_takes_no_writes(self) -> None:
        await self.query(ON_THE_DATABASE.format("SET default_transaction_read_only = on"))
        await self.assert_refused(StoreReadOnlyError, "default_transaction_read_only is on")

    async def test_a_role_that_may_not_make_tables(self) -> None:
        role = f"no-body-of-{self.dsn.rpartition('/')[2].partition('?')[0]}"
        await self.query(f'CREATE ROLE "{role}" LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC')
        self.addCleanup(self.server.psql, f'DROP ROLE "{role}"')
        user, _, rest = self.dsn.partition("://")[2].partition("@")
        _, _, password = user.partition(":")
        dsn = f"postgresql://{role}{':' + password if password else ''}@{rest}"
        said = f'may not make tables: GRANT CREATE, USAGE ON SCHEMA public TO "{role}"'
        await self.assert_refused(StoreUnavailableError, said, dsn)
        self.dsn = dsn
        with self.assertRaisesRegex(StoreUnavailableError, said):
            await self.start()
        with self.assertRaisesRegex(ConfigError, f'no schema "user", .*: CREATE SCHEMA "user" AUTHORIZATION "{role}"'):
            await self.start(schema="user")

    async def test_an_option_of_the_dsn_that_the_driver_lacks(self) -> None:
        await self.assert_refused(
            ConfigError, "channel_binding=require is not supported", f"{self.dsn}?channel_binding=require")

    async def test_a_database_that_is_not_there(self) -> None:
        name = self.dsn.rpartition("/")[2].partition("?")[0]
        await self.assert_refused(
            StoreUnavailableError, "has no such database", self.dsn.replace(f"/{name}", f"/none_{name}"))


class SchemaTest(DatabaseTestCase):
    """`task-db.postgres.schema`: two services in one database."""

    async def asyncSetUp(self) -> None:
        """Start no engine in the default schema."""

    async def test_two_services_share_nothing_but_the_database(self) -> None:
        one, other = await self.start(schema="one"), await self.start(schema="user", search_index=True)
        await one.create_tasks([(f"{number}", ENTRY) for number in range(1500)])
        await other.create_task("0", ENTRY)
        await other.delete_task("0")
        self.assertEqual((await one.read_task("0")).id, "0")
        self.assertEqual((await other.read_page(TaskQuery(words=("title",)))).tasks, ())
        self.assertEqual(len((await other.read_changes(None, 10)).changes), 1)
        self.assertNotEqual(await one.revision(), await other.revision())
        await one.check_ready()
        self.assertEqual(await self.select("SELECT to_regclass('public.tasks')"), [(None,)])
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = "
        [[ours]], [[theirs]] = await self.select(tables + "'one'"), await self.select(tables + "'user'")
        self.assertEqual(ours, theirs)

    async def test_services_of_two_roles_share_the_extension_of_the_search_index(self) -> None:
        database = self.dsn.rpartition("/")[2]
        one, other = roles = [f"{name}_of_{database}" for name in ("one", "other")]
        for role in roles:
            await self.query(f"CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {database} TO {role}")
            self.addCleanup(self.server.psql, f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}", database)
        owner = self.dsn
        for role in roles:
            self.dsn = owner.replace("//postgres@", f"//{role}@")
            await (await self.start(schema=role, search_index=True)).stop()
        self.dsn = owner
        await self.query(f"DROP SCHEMA {one} CASCADE")
        self.assertEqual(await self.select(f"SELECT to_regclass('{other}.texts_by_trigram') IS NULL"), [(False,)])
        await self.query(f"DROP EXTENSION pg_trgm CASCADE; CREATE SCHEMA {one}; "
                         f"CREATE EXTENSION pg_trgm SCHEMA {one}")
        self.dsn = owner.replace("//postgres@", f"//{other}@")
        with self.assertRaisesRegex(ConfigError, f"pg_trgm: GRANT USAGE ON SCHEMA {one} TO {other}"):
            await self.start(schema=other, search_index=True)
        self.dsn = owner
        await self.query(f"DROP SCHEMA {one} CASCADE")

    async def test_it_is_migrated_in_its_schema(self) -> None:
        await self.start()
        await (await self.start(schema="one")).stop()
        newest = migrations("postgres", 0)[-1][0]
        await self.query("UPDATE one.store_version SET version = 9999")
        with self.assertRaisesRegex(StoreVersionError, "version 9999"):
            await self.start(schema="one")
        self.assertEqual(await self.select("SELECT version FROM public.store_version"), [(newest,)])
        await self.start()

    async def test_a_search_path_that_something_between_drops_is_named(self) -> None:
        import asyncpg
        from taskservice.database.postgres.examine import check_place, examine
        await self.start()  # in public
        connection = await asyncpg.connect(self.dsn)
        self.addAsyncCleanup(connection.close)
        for look in (check_place, examine):
            with self.assertRaisesRegex(ConfigError, "PostgreSQL at x ignores the search_path .* PgBouncer, set"):
                await look(connection, "x", "one")

    async def test_what_a_start_would_do_there(self) -> None:
        from taskservice.database.postgres.engine import PostgresTodoListDB
        engine = PostgresTodoListDB(self.dsn, schema="one")
        self.assertTrue((await engine.examine(True)).endswith(", whose schema and tables would be made"))
        self.assertEqual(await self.select("SELECT to_regnamespace('one')"), [(None,)])
        await self.start(schema="one")
        self.assertRegex(await engine.examine(True), r", version [^,]*\Z")
