"""Why PostgreSQL cannot be connected to is said in one line, whatever the reason, and blames nobody."""

import asyncio
import shutil
import socket
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any
from unittest import SkipTest, skipIf

from taskservice.datamodel import TaskEntry, TaskQuery
from taskservice.errors import ConfigError, StoreBusyError, StoreError, StoreUnavailableError
from tests.helpers import postgres
from tests.helpers.postgres_cases import ConnectTestCase, timing
from tests.helpers.postgres_tls import Authority, TLSFront

ENTRY = TaskEntry("a title")
SECRET = "s3cret-of-mine"


def setUpModule() -> None:
    if (reason := postgres.available()) is not None:
        raise SkipTest(reason)
    import_module("taskservice.database.postgres.engine")  # not while a loop runs: it takes its time
    postgres.shared_server()


class RefusedTestCase(ConnectTestCase):

    async def assert_refused(
        self, dsn: str, message: str, kind: type[Exception] = StoreUnavailableError,
        **options: Any
    ) -> None:
        """Start an engine; it has to fail with such a message, in one line and without password."""
        with self.subTest(dsn=dsn), self.assertRaises(kind) as caught:
            await self.start(dsn, **options)
        error: BaseException | None = caught.exception
        self.assertRegex(str(error), message)
        self.assertNotIn("\n", str(error))
        while error is not None:
            self.assertNotIn(SECRET, repr(error))
            error = error.__cause__


@skipIf(shutil.which("openssl") is None, "needs the program openssl")
class CertificateTest(RefusedTestCase):
    """Over TLS that is real, with certificates good and bad."""

    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority(self.folder / "ours")
        self.other = Authority(self.folder / "others")

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.front = TLSFront(postgres.shared_server().port, self.authority.context())
        self.port = await self.front.start()
        self.addAsyncCleanup(self.front.stop)

    def dsn(self, host: str = "localhost", authority: Authority | None = None) -> str:
        """Return a DSN that has the certificate verified."""
        dsn = postgres.fresh_database().replace(f"127.0.0.1:{postgres.shared_server().port}",
                                                f"{host}:{self.port}")
        dsn = dsn.replace("//postgres@", f"//postgres:{SECRET}@")
        root = (authority or self.authority).certificate
        return f"{dsn}&sslmode=verify-full&sslrootcert={root}"

    async def test_a_good_certificate_is_taken(self) -> None:
        engine = await self.start(self.dsn())
        await engine.create_task("a", ENTRY)
        self.assertEqual((await engine.read_task("a")).entry, ENTRY)

    async def test_one_that_does_not_verify_is_named_for_what_it_is(self) -> None:
        shows = r"at (localhost|127\.0\.0\.1):\d+ shows a certificate that does not verify .*: "
        await self.assert_refused(
            self.dsn(authority=self.other), shows + "unable to get local issuer certificate")
        await self.assert_refused(
            self.dsn("127.0.0.1"), shows + "IP address mismatch, certificate is not valid for '127")
        self.front.context = self.other.context()
        await self.assert_refused(self.dsn(), shows + "unable to get local issuer certificate")
        self.front.context = self.authority.context("wrong.example")
        await self.assert_refused(
            self.dsn(), shows + "Hostname mismatch, certificate is not valid for 'localhost'")
        self.front.context = self.authority.context(expired=True)
        await self.assert_refused(self.dsn(), shows + "certificate has expired")

    async def test_a_server_without_tls_is_refused(self) -> None:
        self.front.context = None
        await self.assert_refused(self.dsn(), "cannot be reached: .* rejected SSL upgrade")

    async def test_a_certificate_that_goes_bad_makes_the_store_unavailable(self) -> None:
        engine = await self.start(self.dsn())
        await engine.create_task("a", ENTRY)
        self.front.context = self.authority.context("wrong.example")
        await self.front.cut()
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: engine.read_task("a"), lambda: engine.create_task("b", ENTRY),
            engine.revision, lambda: engine.read_page(TaskQuery())]
        for call in calls:
            with self.assertRaisesRegex(StoreUnavailableError, "certificate that does not verify"):
                await call()
        self.front.context = self.authority.context()
        await engine.create_task("b", ENTRY)
        await engine.read_task("a")

    async def test_a_certificate_that_went_bad_cuts_no_statement_that_runs(self) -> None:
        dsn = self.dsn()
        engine = await self.start(dsn, timing=timing(patience=0.05))
        await engine.create_task("a", ENTRY)
        self.front.context = self.authority.context(expired=True)
        holder = await import_module("asyncpg").connect(
            dsn.replace(f"localhost:{self.port}", f"127.0.0.1:{postgres.shared_server().port}"),
            ssl=False)
        self.addAsyncCleanup(holder.close)
        await holder.execute("BEGIN; LOCK store")
        write = asyncio.create_task(engine.update_task("a", ENTRY))
        await asyncio.sleep(0.5)
        await holder.execute("ROLLBACK")
        await write

    async def test_a_file_that_cannot_be_used_is_named(self) -> None:
        missing, no_pem = self.folder / "missing.pem", self.folder / "no.pem"
        no_pem.write_text("a letter to a friend", "utf-8")
        ours, others = self.authority.folder, self.other.folder
        for options, message in (
                (f"sslmode=require&sslrootcert={missing}", f"sslrootcert: {missing}: No such file"),
                (f"sslmode=verify-ca&sslrootcert={no_pem}", f"sslrootcert: {no_pem}: .*certificate"),
                (f"sslmode=verify-full&sslcrl={missing}", f"sslcrl: {missing}: No such file"),
                (f"sslcert={self.folder}", f"sslcert: {self.folder}: Is a directory"),
                (f"sslcert={ours}/ca.crt&sslkey={missing}", f"sslkey: {missing}: No such file"),
                (f"sslcert={ours}/ca.crt&sslkey={others}/ca.key", "ca.crt, .*ca.key: .*mismatch"),
                (f"sslcert={ours}/ca.crt%00", "sslcert: .*null byte"),
                ("sslmode=sometimes", "sslmode"),
                ("target_session_attrs=sometimes", "target_session_attrs")):
            await self.assert_refused(
                f"postgresql://me:{SECRET}@localhost:{self.port}/x?{options}",
                f"^task-db.postgres.dsn: .*{message}", ConfigError)

    async def test_a_file_that_is_not_needed_may_be_missing(self) -> None:
        missing = self.folder / "missing.pem"
        for options in (f"sslmode=disable&sslcert={missing}", f"sslmode=prefer&sslrootcert={missing}"):
            await self.start(f"{postgres.fresh_database()}&{options}")

    async def test_a_file_that_goes_missing_is_named_and_may_come_back(self) -> None:
        root = self.authority.certificate
        engine = await self.start(self.dsn())
        await engine.create_task("a", ENTRY)
        root.rename(self.folder / "kept")
        await self.front.cut()
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: engine.read_task("a"), lambda: engine.create_task("b", ENTRY)]
        for call in calls:
            with self.assertRaisesRegex(StoreUnavailableError, f"sslrootcert: {root}: No such file"):
                await call()
        (self.folder / "kept").rename(root)
        await engine.read_task("a")
        await engine.create_task("b", ENTRY)


class LoginTest(RefusedTestCase):
    """A server that asks for passwords."""

    server: postgres.PostgresServer

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = postgres.PostgresServer(fsync=False, settings={
            "max_connections": "4", "superuser_reserved_connections": "0"})
        cls.addClassCleanup(cls.server.close)
        cls.server.start()
        cls.server.psql(f"CREATE USER me PASSWORD '{SECRET}'; CREATE USER stranger")
        (cls.server.folder / "data" / "pg_hba.conf").write_text(
            "host all postgres 127.0.0.1/32 trust\nhost all me 127.0.0.1/32 scram-sha-256\n", "utf-8")
        cls.server.psql("SELECT pg_reload_conf()")

    def dsn(self, user: str, database: str = "postgres") -> str:
        """Return a DSN of this server."""
        return f"postgresql://{user}@127.0.0.1:{self.server.port}/{database}"

    async def test_what_the_server_refuses_is_said_in_its_words(self) -> None:
        login = r"at 127\.0\.0\.1:\d+ refuses the login \(look at user, password and pg_hba.conf\): "
        await self.assert_refused(
            self.dsn(f"me:{SECRET}x"), login + 'password authentication failed for user "me"')
        await self.assert_refused(self.dsn("me"), login + 'password authentication failed for user "me"')
        await self.assert_refused(self.dsn(f"stranger:{SECRET}"), login + "no pg_hba.conf entry for host")
        await self.assert_refused(
            self.dsn("postgres", "nowhere"),
            r"has no such database: database \"nowhere\" does not exist")
        database = self.server.create_database().rpartition("/")[2]
        await self.assert_refused(
            self.dsn(f"me:{SECRET}", database),
            "this role may not make tables: GRANT CREATE, USAGE ON SCHEMA public TO me")

    async def test_a_server_without_a_free_connection_says_so(self) -> None:
        connect = import_module("asyncpg").connect
        others = [await connect(self.dsn("postgres")) for _ in range(4)]
        try:
            await self.assert_refused(
                self.dsn("postgres"), "has no connection left .*max_connections.*: sorry, too many",
                StoreBusyError)
        finally:
            for other in others:
                await other.close()

    async def test_a_server_without_a_free_connection_lives(self) -> None:
        """So a statement that takes long is waited for."""
        connect = import_module("asyncpg").connect
        self.server.psql("GRANT CREATE ON SCHEMA public TO me")
        engine = await self.start(self.dsn(f"me:{SECRET}"), timing=timing(patience=0.05))
        await engine.create_task("a", ENTRY)
        others = [await connect(self.dsn("postgres")) for _ in range(3)]
        try:
            await others[0].execute("BEGIN; LOCK store")
            write = asyncio.create_task(engine.update_task("a", ENTRY))
            await asyncio.sleep(0.5)
            await others[0].execute("ROLLBACK")
            await write
        finally:
            for other in others:
                await other.close()

    async def test_a_server_that_is_not_there(self) -> None:
        await self.assert_refused(
            f"postgresql://me:{SECRET}@127.0.0.1:{postgres.free_port()}/x",
            r"at 127\.0\.0\.1:\d+ does not listen there: ")
        await self.assert_refused(
            f"postgresql://me:{SECRET}@nowhere.invalid/x",
            "at nowhere.invalid has a name that does not resolve: ", acquire_timeout=60)
        await self.assert_refused(
            f"postgresql://me:{SECRET}@/x?host={self.folder}", "cannot be reached: ")

    async def test_a_server_that_does_not_answer(self) -> None:
        silent = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        port = silent.getsockname()[1]
        with self.assertRaisesRegex(
                StoreUnavailableError,
                r"does not answer: no connection within 0\.2 s \(acquire-timeout\)$"):
            await self.start(f"postgresql://127.0.0.1:{port}/x", acquire_timeout=0.2)


class PoolTest(RefusedTestCase):
    """Another session holds a lock, and so all connections."""

    async def holder(self, dsn: str) -> Any:
        """Return a connection that keeps all others from the tasks until it rolls back."""
        holder = await import_module("asyncpg").connect(dsn)
        self.addAsyncCleanup(holder.close)
        await holder.execute("BEGIN; LOCK tasks")
        return holder

    async def test_an_exhausted_pool_says_how_large_it_is_and_how_long_it_was_waited_for(self) -> None:
        dsn = postgres.fresh_database()
        engine = await self.start(dsn, pool_size=2, acquire_timeout=0.3)
        await engine.create_task("a", ENTRY)
        holder = await self.holder(dsn)
        reads = [asyncio.create_task(engine.read_task("a")) for _ in range(2)]
        await asyncio.sleep(0)  # they take the connections before the third one asks
        with self.assertRaisesRegex(
                StoreBusyError, r"the pool is exhausted: all 2 connections \(pool-size\) were in use "
                                r"for 0\.3 s \(acquire-timeout\)"):
            await engine.read_task("a")
        found = {measured.name: measured.value for measured in engine.measurements()}
        self.assertEqual(
            [found[f"postgres_pool_{name}"] for name in ("size", "in_use", "idle", "waiting", "waits")],
            [2, 2, 0, 0, 1])
        self.assertGreater(found["postgres_pool_wait_seconds"], 0.1)
        await holder.execute("ROLLBACK")
        await asyncio.gather(*reads)

    async def test_a_statement_that_takes_too_long_says_so(self) -> None:
        dsn = postgres.fresh_database()
        engine = await self.start(dsn, statement_timeout=0.2)
        await engine.create_task("a", ENTRY)
        holder = await self.holder(dsn)
        for call in (engine.read_task("a"), engine.create_task("b", ENTRY)):
            with self.assertRaisesRegex(
                    StoreBusyError, "took longer than statement-timeout: canceling statement"):
                await call
        await holder.execute("ROLLBACK")
        await engine.create_task("b", ENTRY)

    async def test_what_has_no_meaning_for_the_domain_is_a_failure_of_the_store(self) -> None:
        dsn = postgres.fresh_database()
        engine = await self.start(dsn)
        connection = await import_module("asyncpg").connect(dsn)
        self.addAsyncCleanup(connection.close)
        await connection.execute("ALTER TABLE tasks DROP COLUMN priority CASCADE")
        with self.assertRaises(StoreError) as caught:
            await engine.create_task("a", ENTRY)
        self.assertIs(type(caught.exception), StoreError)
        self.assertRegex(str(caught.exception), 'failed: column "priority"')
