"""The meaning of the errors of asyncpg, PostgreSQL, TLS and the network: one table, and its use.

No error here blames the client: input that PostgreSQL cannot store is refused before it is sent.
"""

import ssl
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import asyncpg
# The client's own DataError, of encoding an argument; `asyncpg.DataError` is the server's.
from asyncpg.exceptions._base import DataError as ArgumentError

from taskservice.database.os_errors import AWAY, FAILED, FULL, READ_ONLY, SHORT, Meaning
from taskservice.errors import ConfigError, StoreBusyError, StoreUnavailableError

__all__ = ["LOST", "MEANINGS", "ArgumentError", "meaning_of", "starting", "translated"]

SESSION_SETTINGS = ("plan_cache_mode", "jit", "statement_timeout")
"""The settings that each connection makes, and that PgBouncer refuses since it cannot confine them to one client."""

LOST = (
    OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError, asyncpg.InternalClientError)
"""The errors of asyncpg for a connection that is gone.

TimeoutError is an OSError; InternalClientError is what a statement raises on an idle connection whose server has just
announced its shutdown.
"""


def _away(phrase: str) -> Meaning:
    return Meaning(StoreUnavailableError, phrase)


def _busy(phrase: str) -> Meaning:
    return Meaning(StoreBusyError, phrase)


_CUT = _away("cut the connection")
_UNREACHABLE = _away("cannot be reached")
_NO_TLS = _away("agrees on no TLS")
_CERTIFICATE = _away(
    "shows a certificate that does not verify (look at sslrootcert, the certificate's names and dates)")
_MIXED_UP = Meaning(
    FAILED.error, "mixed up prepared statements (behind PgBouncer set task-db.postgres.pgbouncer)")

MEANINGS: Mapping[str | type[Exception], Meaning] = {
    # SQLSTATEs, and their classes of two characters:
    # https://www.postgresql.org/docs/current/errcodes-appendix.html
    "08": AWAY,  # PgBouncer, too, reports everything as 08P01
    "25006": READ_ONLY,  # a standby, or default_transaction_read_only
    "25P03": _CUT,  # idle in a transaction
    "25P04": _busy("took too long"),
    "26": _MIXED_UP,
    "28": _away("refuses the login (look at user, password and pg_hba.conf)"),
    "3D": _away("has no such database"),
    "3F": _away("has no such schema"),
    "40": _busy("let another transaction go first"),
    "42501": _away("denies a privilege"),
    "42P01": _away("has lost a table (is it being restored?)"),
    "42P10": _away("has lost an index (is it being restored?)"),  # the one that ON CONFLICT needs
    "42P05": _MIXED_UP,
    "53": _busy("is short of something"),
    "53100": FULL,
    "53200": SHORT,
    "53300": _busy("has no connection left (look at its max_connections and our pool-size)"),
    "55000": AWAY,  # e.g. a database that takes no connections
    "55006": AWAY,
    "55P03": _busy("has a lock in the way"),
    "57": AWAY,
    "57014": _busy("took longer than statement-timeout"),  # or an administrator cancelled it
    "57P03": _away("takes no connections yet"),
    "58": AWAY,  # errors of its operating system: files and disks, which an administrator mends
    "72": _busy("was too slow for its snapshot"),
    **dict.fromkeys(  # caused by a fault of the service, of its tables, or damage alone
        "03 09 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 27 2B 2D 2F 34 38 39 3B 42 44 54 55 F0 HV P0 XX"
        .split(), FAILED),

    # asyncpg's own
    asyncpg.FeatureNotSupportedError: FAILED,
    asyncpg.InvalidCachedStatementError: _busy("was migrated just now"),  # has the same SQLSTATE
    asyncpg.OutdatedSchemaCacheError: _busy("was migrated just now"),
    asyncpg.PostgresError: FAILED,
    asyncpg.FatalPostgresError: FAILED,
    asyncpg.UnknownPostgresError: FAILED,
    asyncpg.InterfaceError: AWAY,  # "connection is closed"
    asyncpg.ClientConfigurationError: _away("cannot be connected to as configured"),
    asyncpg.UnsupportedClientFeatureError: FAILED,
    asyncpg.UnsupportedServerFeatureError: FAILED,
    ArgumentError: FAILED,
    asyncpg.InternalClientError: AWAY,
    asyncpg.ProtocolError: AWAY,
    asyncpg.TargetServerAttributeNotMatched: _away("has no host as target_session_attrs wants it"),

    # TLS
    ssl.SSLCertVerificationError: _CERTIFICATE,  # ssl.CertificateError is the same
    ssl.SSLError: _NO_TLS,
    ssl.SSLEOFError: _CUT,
    ssl.SSLSyscallError: _CUT,
    ssl.SSLZeroReturnError: _CUT,
    ssl.SSLWantReadError: _CUT,
    ssl.SSLWantWriteError: _CUT,

    # the network
    socket.gaierror: _away("has a name that does not resolve"),
    socket.herror: _away("has a name that does not resolve"),
    TimeoutError: _away("does not answer"),
    ConnectionRefusedError: _away("does not listen there"),
    ConnectionResetError: _CUT,
    ConnectionAbortedError: _CUT,
    BrokenPipeError: _CUT,
    ConnectionError: _UNREACHABLE,
    FileNotFoundError: _UNREACHABLE,  # its Unix socket
    PermissionError: _UNREACHABLE,
    OSError: _UNREACHABLE,
    **dict.fromkeys(  # the system uses these for other calls; here they mean the same
        (BlockingIOError, ChildProcessError, FileExistsError, InterruptedError, IsADirectoryError,
         NotADirectoryError, ProcessLookupError), _UNREACHABLE),
    EOFError: _CUT,  # asyncio.IncompleteReadError is one
}
"""The meaning of an error: by its SQLSTATE, by the class of that, or by its own class or a base of it."""


def meaning_of(error: BaseException) -> Meaning | None:
    """Return the meaning of an error; None for one that is not the store's, such as a TypeError."""
    code = getattr(error, "sqlstate", None) or ""
    found = (MEANINGS[key] for key in (code, code[:2], *type(error).__mro__) if key in MEANINGS)
    return next(found, None)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn the errors in the table into StoreErrors that name `where` and the reason, in one line."""
    try:
        yield
    except Exception as error:
        meaning = meaning_of(error)
        if meaning is None:
            raise
        raise meaning.says(f"PostgreSQL at {where}", _reason(error)) from error


@contextmanager
def starting(where: str) -> Iterator[None]:
    """As `translated`, but an option of the DSN that asyncpg refuses becomes a ConfigError."""
    try:
        with translated(where):
            yield
    except StoreUnavailableError as error:
        if isinstance(error.__cause__, asyncpg.ClientConfigurationError):
            raise ConfigError(f"task-db.postgres.dsn: {_reason(error.__cause__)}") from error
        if (advice := _pgbouncer_advice(str(error.__cause__))) is not None:
            raise ConfigError(f"PostgreSQL at {where} is behind PgBouncer{advice}") from error
        raise


def _pgbouncer_advice(said: str) -> str | None:
    """Return advice on an error of PgBouncer, which has one SQLSTATE for all of them."""
    if "statement pooling mode" in said:
        return " with pool_mode = statement, which has no transactions: set it to transaction or session"
    _, found, parameter = said.partition("unsupported startup parameter: ")
    if not found:
        return None
    if parameter in SESSION_SETTINGS:
        return ": set task-db.postgres.pgbouncer to true"
    advice = "set task-db.postgres.pgbouncer to true, and " if parameter == "search_path" else ""
    return f", which takes no {parameter}: {advice}leave it out of the DSN"


def _reason(error: Exception) -> str:
    """Return the message of an error, without hints for authors of SQL."""
    if isinstance(error, asyncpg.PostgresError):
        detail = getattr(error, "detail", None)
        return f"{error.args[0]} ({detail})" if detail else str(error.args[0])
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return str(error)
