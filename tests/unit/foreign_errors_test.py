"""Every error of asyncpg, apsw, TLS, sockets and the system is placed, and none blames a client."""

import builtins
import errno
import inspect
import select
import socket
import ssl
import unittest
from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from types import ModuleType

import apsw
import asyncpg

from taskservice import errors
from taskservice.database import os_errors
from taskservice.database.os_errors import ERRNOS, Meaning, translated_os
from taskservice.database.postgres import errors as postgres_errors
from taskservice.database.sqlite import errors as sqlite_errors
from taskservice.http.problems import problem_of

UNAVAILABLE, BUSY, READ_ONLY, FULL, FAILED = (
    errors.StoreUnavailableError, errors.StoreBusyError, errors.StoreReadOnlyError,
    errors.StoreFullError, errors.StoreError)

# open(2), mkdir(2), flock(2), read(2), write(2), fsync(2), utimensat(2), rename(2), unlink(2)
FILE_CALLS = """
EACCES EAGAIN EBADF EBUSY EDESTADDRREQ EDQUOT EEXIST EFAULT EFBIG EINTR EINVAL EIO EISDIR ELOOP EMFILE
EMLINK ENAMETOOLONG ENFILE ENODEV ENOENT ENOLCK ENOMEM ENOSPC ENOSYS ENOTDIR ENOTEMPTY ENXIO EOPNOTSUPP
EOVERFLOW EPERM EPIPE EROFS ESTALE ESPIPE ETXTBSY EXDEV"""

ROOT = Path(__file__).resolve().parents[2]

PASSING = {
    "is short of something", "was migrated just now", "was too slow for its snapshot",
    "cannot be connected to as configured", "ended a read"}
"""What is gone at the next try, or says all by its reason."""


def below(*bases: type[BaseException]) -> Iterator[type[BaseException]]:
    """Give classes and all that derive from them."""
    for base in bases:
        yield base
        yield from below(*base.__subclasses__())


def errors_in(module: ModuleType, base: type[BaseException]) -> set[type[BaseException]]:
    """Return the errors of a module; a warning is none."""
    return {kind for _, kind in inspect.getmembers(module, inspect.isclass)
            if issubclass(kind, base) and not issubclass(kind, Warning)}


def asyncpg_errors() -> set[type[BaseException]]:
    """Return all that asyncpg raises, those that it does not export too."""
    found = below(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    exported = errors_in(asyncpg.exceptions, Exception)
    return {kind for kind in {*found, *exported} if kind.__module__.startswith("asyncpg.")}


class TableCase(unittest.TestCase):

    def assert_meant(
        self, expected: Mapping[type[errors.StoreError], Collection[type[BaseException]]]
    ) -> None:
        """Check what errors of PostgreSQL mean."""
        for meant, kinds in expected.items():
            for kind in kinds:
                with self.subTest(kind.__name__):
                    meaning = postgres_errors.meaning_of(kind("x"))
                    self.assertIs(meaning and meaning.error, meant)


class PostgresTest(TableCase):

    def test_every_error_of_asyncpg_is_placed(self) -> None:
        for kind in asyncpg_errors():
            state = getattr(kind, "sqlstate", None) or ""
            keys = {state, state[:2], kind} - {""}
            found = keys & postgres_errors.MEANINGS.keys()
            with self.subTest(kind.__name__, state=state):
                self.assertTrue(found, "a new error: what does it mean?")

    def test_every_error_of_tls_and_the_network_is_placed(self) -> None:
        for module in (builtins, socket, ssl, select):
            for kind in errors_in(module, OSError):
                with self.subTest(kind.__name__):
                    self.assertIn(kind, postgres_errors.MEANINGS, "a new error: what does it mean?")

    def test_no_place_is_for_an_error_that_does_not_exist(self) -> None:
        kinds = {*asyncpg_errors(), *errors_in(builtins, Exception), *errors_in(ssl, OSError),
                 *errors_in(socket, OSError)}
        states = {getattr(kind, "sqlstate", None) or "" for kind in asyncpg_errors()}
        known = {*kinds, *states, *(state[:2] for state in states)}
        self.assertEqual(postgres_errors.MEANINGS.keys() - known, set())

    def test_what_they_mean(self) -> None:
        self.assert_meant({
            UNAVAILABLE: [
                asyncpg.ConnectionDoesNotExistError, asyncpg.InvalidPasswordError,
                asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError,
                asyncpg.InsufficientPrivilegeError, asyncpg.CannotConnectNowError,
                asyncpg.AdminShutdownError, asyncpg.CrashShutdownError, asyncpg.DatabaseDroppedError,
                asyncpg.IdleInTransactionSessionTimeoutError, asyncpg.PostgresIOError,
                asyncpg.TargetServerAttributeNotMatched, asyncpg.InterfaceError,
                asyncpg.ClientConfigurationError, ssl.SSLError, ssl.SSLCertVerificationError,
                ssl.SSLEOFError, socket.gaierror, TimeoutError, ConnectionRefusedError,
                ConnectionResetError, FileNotFoundError, OSError, EOFError],
            BUSY: [
                asyncpg.QueryCanceledError, asyncpg.TooManyConnectionsError, asyncpg.OutOfMemoryError,
                asyncpg.DeadlockDetectedError, asyncpg.SerializationError,
                asyncpg.LockNotAvailableError, asyncpg.InvalidCachedStatementError],
            READ_ONLY: [asyncpg.ReadOnlySQLTransactionError],
            FULL: [asyncpg.DiskFullError],
            FAILED: [
                asyncpg.DataError, postgres_errors.ArgumentError, asyncpg.InternalServerError,
                asyncpg.UniqueViolationError, asyncpg.PostgresSyntaxError,
                asyncpg.FeatureNotSupportedError, asyncpg.DataCorruptedError]})

    def test_a_state_that_asyncpg_does_not_know_means_what_its_class_does(self) -> None:
        for state, meant in (("57P99", UNAVAILABLE), ("53999", BUSY), ("ZZ000", FAILED)):
            error = asyncpg.PostgresError.new({"C": state, "M": "new"})
            meaning = postgres_errors.meaning_of(error)
            self.assertIs(meaning and meaning.error, meant)

    def test_an_error_of_our_own_code_is_none_of_the_store(self) -> None:
        for kind in (TypeError, KeyError, ValueError, RuntimeError, UnicodeEncodeError):
            self.assertNotIn(kind, postgres_errors.MEANINGS)
        with self.assertRaises(KeyError), postgres_errors.translated("host:1"):
            raise KeyError("x")

    def test_an_error_names_the_place_and_the_reason_in_one_line(self) -> None:
        error = asyncpg.PostgresError.new({
            "C": "57P03", "M": "not accepting\nconnections", "D": "Hot standby is off.", "H": "Hint"})
        with self.assertRaises(UNAVAILABLE) as caught, postgres_errors.translated("host:1"):
            raise error
        self.assertEqual(
            str(caught.exception),
            "PostgreSQL at host:1 takes no connections yet: not accepting connections "
            "(Hot standby is off.)")
        self.assertIs(caught.exception.__cause__, error)

    def test_a_configuration_that_asyncpg_refuses_is_one_at_the_start_only(self) -> None:
        error = asyncpg.ClientConfigurationError("`sslmode` parameter must be one of: disable")
        with self.assertRaisesRegex(errors.ConfigError, "task-db.postgres.dsn: `sslmode`"):
            with postgres_errors.starting("host:1"):
                raise error
        with self.assertRaises(UNAVAILABLE), postgres_errors.translated("host:1"):
            raise error


class SQLiteTest(unittest.TestCase):

    def test_every_error_of_apsw_is_placed_and_exists(self) -> None:
        self.assertEqual(set(sqlite_errors.MEANINGS), errors_in(apsw, apsw.Error))

    def test_what_they_mean(self) -> None:
        for kind, number, meant in (
                (apsw.BusyError, 0, BUSY), (apsw.NoMemError, 0, BUSY), (apsw.FullError, 0, FULL),
                (apsw.ReadOnlyError, 0, READ_ONLY), (apsw.CantOpenError, 0, UNAVAILABLE),
                (apsw.IOError, 0, UNAVAILABLE), (apsw.CorruptError, 0, FAILED),
                (apsw.NotADBError, 0, FAILED), (apsw.SQLError, 0, FAILED),
                (apsw.IOError, errno.ENOSPC, FULL), (apsw.IOError, errno.EDQUOT, FULL),
                (apsw.IOError, errno.EIO, UNAVAILABLE), (apsw.IOError, errno.EROFS, READ_ONLY),
                (apsw.CantOpenError, errno.EMFILE, BUSY), (apsw.CantOpenError, errno.EACCES, READ_ONLY),
                (apsw.CorruptError, errno.ENOSPC, FAILED)):  # an errno of another time
            with self.subTest(kind.__name__, errno=number):
                self.assertIs(sqlite_errors.meaning_of(kind("x"), number).error, meant)

    def test_a_connection_that_is_closed_says_so(self) -> None:
        connection = apsw.Connection(":memory:")
        translated = sqlite_errors.Translated(connection)
        connection.close()
        with self.assertRaises(UNAVAILABLE), translated:
            connection.execute("SELECT 1")


class FilesTest(unittest.TestCase):

    def test_every_error_of_the_calls_of_a_store_is_placed(self) -> None:
        for name in FILE_CALLS.split():
            self.assertIn(getattr(errno, name), ERRNOS, name)

    def test_what_they_mean(self) -> None:
        for number, meant in (
                (errno.ENOSPC, FULL), (errno.EDQUOT, FULL), (errno.EFBIG, FULL),
                (errno.EROFS, READ_ONLY), (errno.EACCES, READ_ONLY), (errno.EPERM, READ_ONLY),
                (errno.EMFILE, BUSY), (errno.ENOMEM, BUSY), (errno.EIO, UNAVAILABLE),
                (errno.ESTALE, UNAVAILABLE), (errno.ENOENT, UNAVAILABLE), (errno.EISDIR, FAILED),
                (errno.ECHILD, FAILED)):  # not in the table
            with self.subTest(errno.errorcode[number]):
                with self.assertRaises(FAILED) as caught, translated_os("the store"):
                    raise OSError(number, "Why", "the-file")
                self.assertIs(type(caught.exception), meant)
                self.assertRegex(str(caught.exception), "^the store .*: Why: the-file$")

    def test_an_error_without_a_number_says_what_it_says(self) -> None:
        """So does one of Python's own, e.g. of shutil or of an SSL layer."""
        with self.assertRaises(FAILED) as caught, translated_os("the store"):
            raise OSError("no words of the system")
        self.assertEqual(str(caught.exception), "the store failed: no words of the system")


class EveryMeaningTest(unittest.TestCase):

    MEANINGS: list[Meaning] = [
        *postgres_errors.MEANINGS.values(), *sqlite_errors.MEANINGS.values(), *ERRNOS.values(),
        os_errors.FAILED]

    def test_each_is_a_5xx_and_asks_to_come_back_where_that_may_help(self) -> None:
        for meaning in self.MEANINGS:
            problem = problem_of(meaning.error("x"))
            self.assertGreaterEqual(problem.status, 500, meaning)
            self.assertEqual(
                "Retry-After" in problem.headers, problem.status == HTTPStatus.SERVICE_UNAVAILABLE)

    def test_each_that_somebody_can_mend_is_in_the_manual(self) -> None:
        manual = (ROOT / "docs" / "operating.md").read_text("utf-8")
        for phrase in {meaning.phrase.partition(" (")[0] for meaning in self.MEANINGS} - PASSING:
            self.assertIn(f"`{phrase}", manual)


if __name__ == "__main__":
    unittest.main()
