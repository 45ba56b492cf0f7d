"""What a DSN says before anything is connected, and that no part of a password is shown."""

import os
import tempfile
import unittest
from itertools import permutations
from pathlib import Path
from unittest import mock

from taskservice.database.postgres import libpq
from taskservice.database.postgres.dsn import check_certificates, host_dsns, location
from taskservice.database.postgres.libpq import driver_dsn, password
from taskservice.errors import ConfigError

SPECIAL = ("/", "?", "#", "@", ":", "%", "&", "=", ",", "[", "]", " ", "\\", "\n")
"""Characters that mean something in a DSN, or are none of one."""

PARTS = ("sesame", "open", "71")


class LocationTest(unittest.TestCase):

    def test_it_is_where_the_server_is(self) -> None:
        for dsn, where in (
                ("postgresql://host/database", "host"),
                ("postgres://user:secret@host:5433/database?sslmode=disable", "host:5433"),
                ("postgresql://user:secret@a,b:5433,[::1]:1/database", "a,b:5433,[::1]:1"),
                ("postgresql://a%40b:secret%2F%3F%23@host/database", "host"),
                ("postgresql:///database?host=/run/postgresql", "/run/postgresql"),
                ("postgresql://", "the default address"), ("postgresql://host:65535", "host:65535")):
            with self.subTest(dsn):
                self.assertEqual(location(dsn), where)

    def test_what_is_no_dsn_is_refused(self) -> None:
        for dsn in ("", "host", "http://host", "postgresql://host:x", "postgresql://[::1",
                    "postgresql://host?a", "postgresql://a@b@host", "postgresql://" + "x" * 64):
            with self.subTest(dsn), self.assertRaisesRegex(ConfigError, "expected postgresql://user:password@host"):
                location(dsn)

    def test_a_port_is_below_65536(self) -> None:
        for hosts in ("host:65536", "a:1,b:65536", "a:65536,b:1"):
            with self.subTest(hosts), self.assertRaisesRegex(ConfigError, "expected a port up to 65535"):
                location(f"postgresql://user:secret@{hosts}/database")

    def test_no_part_of_a_password_that_is_not_percent_encoded_is_shown(self) -> None:
        """Wherever the URL's grammar puts it: into the host, the port, the path, the query, the fragment."""
        for first, second in permutations(("", *SPECIAL), 2):
            for parts in (PARTS, PARTS[::-1]):
                password = first.join(parts[:2]) + second + parts[2]
                for rest in ("@host:5432/database", "@host/database?sslmode=disable", "@a:1,b:2/database"):
                    with self.subTest(password=password, rest=rest):
                        self.assert_not_shown(f"postgresql://user:{password}{rest}")

    def assert_not_shown(self, dsn: str) -> None:
        """What is said of a DSN has nothing of the password in it."""
        try:
            said = location(dsn)
        except ConfigError as error:
            said = str(error)
            self.assertIsNone(error.__cause__)
            self.assertTrue(
                error.__context__ is None or error.__suppress_context__, "a trace would show what the parser said")
        for part in PARTS:
            self.assertNotIn(part, said.replace("user:password", ""))


class EnvironmentCase(unittest.TestCase):

    def set(self, **variables: str) -> None:
        """Set variables of the environment, and no others of PostgreSQL's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        self.enterContext(mock.patch.dict(os.environ, {**kept, **variables}, clear=True))


class EnvironmentTest(EnvironmentCase):
    """What the DSN does not say of TLS, the environment does, as for libpq."""

    def test_its_files_are_looked_at_where_its_mode_needs_them(self) -> None:
        self.set(PGSSLMODE="verify-full", PGSSLROOTCERT="/none/ca.pem")
        with self.assertRaisesRegex(ConfigError, "dsn: sslrootcert: /none/ca.pem: No such file"):
            check_certificates("postgresql://host/database")
        self.set(PGSSLMODE="disable", PGSSLROOTCERT="/none/ca.pem")
        check_certificates("postgresql://host/database")

    def test_the_dsn_comes_first(self) -> None:
        self.set(PGSSLMODE="verify-full", PGSSLROOTCERT="/none/ca.pem")
        check_certificates("postgresql://host/database?sslmode=disable")
        with self.assertRaisesRegex(ConfigError, "sslrootcert: /none/other.pem"):
            check_certificates("postgresql://host/database?sslrootcert=/none/other.pem")

    def test_each_host_has_a_dsn_of_its_own(self) -> None:
        self.set(PGPORT="5433,5434")
        self.assertEqual(host_dsns("postgresql://me:a%40b@one,two:1/database?sslmode=disable"), [
            "postgresql://me:a%40b@one:5433/database?sslmode=disable",
            "postgresql://me:a%40b@two:1/database?sslmode=disable"])
        self.assertEqual(host_dsns("postgresql://one/database"), ["postgresql://one/database"])
        self.set()
        self.assertEqual(host_dsns("postgresql://[::1],two/x"), ["postgresql://[::1]/x", "postgresql://two/x"])

    def test_options_of_libpq_that_asyncpg_would_send_to_the_server(self) -> None:
        self.set()
        plain = "postgresql://me:a%40b@host/database?work_mem=64MB"
        self.assertEqual(driver_dsn(plain), (plain, None))
        self.assertEqual(driver_dsn(f"{plain}&connect_timeout=10&channel_binding=prefer"), (plain, 10))
        self.assertEqual(driver_dsn("postgresql://host?connect_timeout=0"), ("postgresql://host", None))
        for option, said in (
                ("channel_binding=require", "channel_binding=require is not supported: .*sslmode=verify-full"),
                ("channel_binding=secret", "channel_binding: expected disable or prefer$"),
                ("connect_timeout=1.5", "connect_timeout: expected whole seconds$")):
            with self.subTest(option), self.assertRaisesRegex(ConfigError, f"^task-db.postgres.dsn: {said}"):
                driver_dsn(f"postgresql://host/database?{option}")
        with self.assertRaisesRegex(ConfigError, "several hosts: expected them in the address"):
            driver_dsn("postgresql:///database?host=one,two")
        several = "postgresql://one,two/database"
        self.assertEqual(driver_dsn(several), (f"{several}?target_session_attrs=read-write", None))
        given = f"{several}?target_session_attrs=any"
        self.assertEqual(driver_dsn(given), (given, None))
        self.set(PGCONNECT_TIMEOUT="7")
        self.assertEqual(driver_dsn(plain)[1], 7)
        self.assertEqual(driver_dsn(f"{plain}&connect_timeout=10")[1], 10)
        self.set(PGCHANNELBINDING="require")
        self.assertRaises(ConfigError, driver_dsn, plain)

    def test_the_authorities_of_the_system(self) -> None:
        file = Path(self.enterContext(tempfile.TemporaryDirectory())) / "a b.pem"
        file.touch()
        self.set(SSL_CERT_FILE=str(file))
        dsn, _ = driver_dsn("postgresql://host/database?sslrootcert=system")
        self.assertEqual(libpq.options(dsn), {"sslmode": "verify-full", "sslrootcert": str(file)})
        with self.assertRaisesRegex(ConfigError, "sslmode=require is too weak for sslrootcert=system: use verify-full"):
            driver_dsn("postgresql://host/database?sslrootcert=system&sslmode=require")
        self.set(SSL_CERT_FILE="/none", PGSSLROOTCERT="system")
        self.enterContext(mock.patch.object(libpq, "_BUNDLES", ()))
        with self.assertRaisesRegex(ConfigError, "has no file of authorities"):
            driver_dsn("postgresql://host/database")

    def test_a_service_has_to_be_in_its_file(self) -> None:
        file = Path(self.enterContext(tempfile.TemporaryDirectory())) / "services"
        self.set(PGSERVICEFILE=str(file))
        with self.assertRaisesRegex(ConfigError, f"service mine: {file} has no such section"):
            driver_dsn("postgresql:///?service=mine")
        file.write_text("[mine]\nhost=a\nconnect_timeout=3\n[broken]\npassword=open%sesame\n", "utf-8")
        self.assertEqual(driver_dsn("postgresql:///?service=mine"), ("postgresql://?service=mine", 3))
        with self.assertRaisesRegex(ConfigError, "service broken: .* cannot be read; a % is written %%") as caught:
            driver_dsn("postgresql:///?service=broken")
        self.assertNotIn("sesame", str(caught.exception))
        self.set(PGSERVICEFILE=str(file), PGSERVICE="mine")
        self.assertEqual(driver_dsn("postgresql:///database"), ("postgresql:///database?service=mine", 3))


class PasswordFileTest(EnvironmentCase):

    def setUp(self) -> None:
        self.file = Path(self.enterContext(tempfile.TemporaryDirectory())) / "pgpass"
        self.set(PGPASSFILE=str(self.file))

    def write(self, *lines: str, mode: int = 0o600) -> None:
        self.file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        self.file.chmod(mode)

    def test_the_first_entry_that_fits(self) -> None:
        self.write("# host:5432:db:me:comment", "host:5432:db:me", "host:5432:db:you:no", "host:5433:db:me:port",
                   "*:*:db:me:any", "host:5432:db:me:late")
        for dsn, expected in (
                ("postgresql://me@host/db", "any"), ("postgresql://me@host:5433/db", "port"),
                ("postgresql://me@host,host:5433/db", "any"), ("postgresql:///db?user=me&host=host&port=5433", "port"),
                ("postgresql:///db?user=me&host=/run/postgresql", "any"), ("postgresql://he@host/db", None),
                ("postgresql://me:secret@host/db", None), ("postgresql://me@host/db?password=secret", None)):
            with self.subTest(dsn):
                self.assertEqual(password(dsn), expected)

    def test_an_entry_for_a_unix_socket_names_its_folder_and_localhost_means_a_default_one(self) -> None:
        self.write("localhost:5432:db:me:default", "/srv/sockets:5432:db:me:folder", "/tmp:5433:db:me:named")
        for host, expected in (
                ("/srv/sockets", "folder"), ("/srv/others", None), ("/tmp", "default"),
                ("/var/run/postgresql", "default"), ("/tmp&port=5433", "named")):
            with self.subTest(host):
                self.assertEqual(password(f"postgresql:///db?user=me&host={host}"), expected)
        self.assertEqual(password("postgresql://me@%2Fsrv%2Fsockets/db"), "folder")

    def test_escaped_colons_and_backslashes(self) -> None:
        self.write(r"\:\:1:5432:a\:b:me:c\:d\\e:rest", "host:5432:db:me\\\\:\\x\\")
        self.assertEqual(password("postgresql://me@[::1]:5432/a%3Ab"), "c:d\\e")
        self.assertEqual(password("postgresql://me%5C@host/db"), "x\\")

    def test_a_file_that_others_may_read_or_that_is_not_there_has_none(self) -> None:
        self.assertIsNone(password("postgresql://me@host/db"))
        self.write("host:5432:db:me:secret", mode=0o640)
        self.assertIsNone(password("postgresql://me@host/db"))

    def test_what_the_environment_and_a_service_say(self) -> None:
        self.write("there:1:db:me:of the environment", "here:2:db:me:of the service")
        self.set(PGPASSFILE=str(self.file), PGHOST="there", PGPORT="1", PGUSER="me", PGDATABASE="db")
        self.assertEqual(password("postgresql://"), "of the environment")
        services = self.file.with_name("services")
        services.write_text("[mine]\nhost=here\nport=2\n", "utf-8")
        self.set(PGPASSFILE=str(self.file), PGUSER="me", PGDATABASE="db", PGSERVICEFILE=str(services))
        self.assertEqual(password("postgresql:///?service=mine"), "of the service")
        self.set(PGPASSFILE=str(self.file), PGPASSWORD="elsewhere")
        self.assertIsNone(password("postgresql://me@here:2/db"))


if __name__ == "__main__":
    unittest.main()
