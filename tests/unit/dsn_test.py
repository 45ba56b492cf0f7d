"""What a DSN says before anything is connected, and that no part of a password is shown."""

import os
import tempfile
import unittest
from itertools import permutations
from pathlib import Path
from unittest import mock

from taskservice.database.postgres.dsn import check_certificates, check_options, location
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


class EnvironmentTest(unittest.TestCase):
    """What the DSN does not say of TLS, the environment does, as for libpq."""

    def set(self, **variables: str) -> None:
        """Set variables of the environment, and no others of PostgreSQL's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        self.enterContext(mock.patch.dict(os.environ, {**kept, **variables}, clear=True))

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

    def test_options_that_would_be_sent_to_the_server_are_refused_by_name(self) -> None:
        self.set()
        for option, said in (("connect_timeout=10", "connect_timeout .*: task-db.postgres.acquire-timeout limits it"),
                             ("channel_binding=require", "channel_binding is not supported"),
                             ("sslrootcert=system", "sslrootcert=system .*/etc/ssl/certs/ca-certificates.crt")):
            with self.subTest(option), self.assertRaisesRegex(ConfigError, said):
                check_options(f"postgresql://host/database?{option}")
        check_options("postgresql://host/database?sslmode=verify-full&work_mem=64MB")

    def test_a_service_has_to_be_in_its_file(self) -> None:
        file = Path(self.enterContext(tempfile.TemporaryDirectory())) / "services"
        self.set(PGSERVICEFILE=str(file))
        with self.assertRaisesRegex(ConfigError, f"service mine: {file} has no such section"):
            check_options("postgresql:///?service=mine")
        file.write_text("[mine]\nhost=a\n[broken]\npassword=open%sesame\n", "utf-8")
        check_options("postgresql:///?service=mine")
        with self.assertRaisesRegex(ConfigError, "service broken: .* cannot be read; a % is written %%") as caught:
            check_options("postgresql:///?service=broken")
        self.assertNotIn("sesame", str(caught.exception))
        self.set(PGSERVICE="mine")
        with self.assertRaisesRegex(ConfigError, "PGSERVICE is not supported: set service in the DSN"):
            check_options("postgresql://host/database")


if __name__ == "__main__":
    unittest.main()
