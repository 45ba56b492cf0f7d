"""Options and files of libpq, with a real server: what the driver does not know works all the same."""

import os
import shutil
import socket
from unittest import mock, skipIf
from urllib.parse import quote

from taskservice.errors import StoreUnavailableError
from tests.helpers import postgres
from tests.helpers.postgres_cases import ENTRY, ConnectTestCase, load_engine
from tests.helpers.postgres_tls import Authority, TLSFront

USER, SECRET = "a:user\\", "s3:cret\\of:mine"


def setUpModule() -> None:
    load_engine()


class OptionsTest(ConnectTestCase):
    """On a server that asks for a password, with characters in it that mean something in a password file."""

    server: postgres.PostgresServer

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = postgres.PostgresServer(fsync=False)
        cls.addClassCleanup(cls.server.close)
        cls.server.start()
        cls.server.psql(f"CREATE USER \"{USER}\" PASSWORD '{SECRET}'")
        cls.server.psql(f'GRANT CREATE ON SCHEMA public TO "{USER}"')
        (cls.server.folder / "data" / "pg_hba.conf").write_text(
            "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n", "utf-8")
        cls.server.psql("SELECT pg_reload_conf()")

    def setUp(self) -> None:
        super().setUp()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        self.enterContext(mock.patch.dict(os.environ, {**kept, "HOME": str(self.folder)}, clear=True))

    async def assert_works(self, dsn: str) -> None:
        """Write a task, and read it."""
        engine = await self.start(dsn)
        task_id = f"a{id(engine)}"
        await engine.create_task(task_id, ENTRY)
        self.assertEqual((await engine.read_task(task_id)).entry, ENTRY)

    def write_password(self, host: str = "127.0.0.1") -> None:
        """Write a password file, as libpq's documentation has it."""
        user, secret = (value.replace("\\", r"\\").replace(":", r"\:") for value in (USER, SECRET))
        file = self.folder / ".pgpass"
        file.touch(0o600)
        file.write_text(f"{host}:{self.server.port}:postgres:{user}:{secret}\n", "utf-8")

    @property
    def place(self) -> str:
        """The DSN, without a password."""
        return f"postgresql://{quote(USER)}@127.0.0.1:{self.server.port}/postgres"

    async def test_a_password_file_with_escapes(self) -> None:
        with self.assertRaisesRegex(StoreUnavailableError, "refuses the login"):
            await self.start(self.place)
        self.write_password()
        await self.assert_works(self.place)

    async def test_options_that_the_driver_would_send_to_the_server(self) -> None:
        self.write_password()
        await self.assert_works(f"{self.place}?connect_timeout=10&channel_binding=prefer")

    async def test_a_service(self) -> None:
        self.write_password()
        (self.folder / ".pg_service.conf").write_text(
            f"[mine]\nhost=127.0.0.1\nport={self.server.port}\nuser={USER}\ndbname=postgres\nconnect_timeout=10\n",
            "utf-8")
        await self.assert_works("postgresql:///?service=mine")
        with mock.patch.dict(os.environ, PGSERVICE="mine"):
            await self.assert_works("postgresql://")

    @skipIf(shutil.which("openssl") is None, "needs the program openssl")
    async def test_the_authorities_of_the_system(self) -> None:
        ours, others = Authority(self.folder / "ours"), Authority(self.folder / "others")
        front = TLSFront(self.server.port, ours.context())
        port = await front.start()
        self.addAsyncCleanup(front.stop)
        dsn = f"postgresql://postgres@localhost:{port}/postgres?sslrootcert=system"
        with mock.patch.dict(os.environ, SSL_CERT_FILE=str(ours.certificate)):
            await self.assert_works(dsn)
        with mock.patch.dict(os.environ, SSL_CERT_FILE=str(others.certificate)), self.assertRaisesRegex(
                StoreUnavailableError, "shows a certificate that does not verify"):
            await self.start(dsn)

    async def test_a_server_that_is_silent_has_as_long_as_connect_timeout_says(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            dsn = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/x?connect_timeout=1"
            for acquire_timeout, said in (
                    (600, r"1 s \(connect_timeout\)$"), (0.2, r"0\.2 s \(acquire-timeout\)$")):
                with self.assertRaisesRegex(
                        StoreUnavailableError, f"does not answer: no connection within {said}"):
                    await self.start(dsn, acquire_timeout=acquire_timeout)
