"""Connections to PostgreSQL: made when needed, bounded in number, and never waited for in vain."""

import asyncio
import re
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from typing import Any, AsyncIterator, Iterator, Self, TypeAlias
from urllib.parse import parse_qs, urlsplit

import asyncpg

from taskservice.errors import (
    BadInputError, ConfigError, StoreError, StoreFullError, StoreUnavailableError)

PATIENCE = 1.0
"""After so many seconds without an answer, the server has to show that it lives."""

PROBE_TIMEOUT = 1.4
"""How many seconds it has for that: a server that is gone is an error within 3 s altogether."""

SOON = 0.5
"""A failure within so many seconds is no hang: another attempt keeps within the time."""

TOO_LATE = 0.05
"""With fewer seconds left, a connection is not begun: cutting off asyncpg there makes noise."""

MAX_IDLE = 60.0
"""Seconds that an unused connection is kept: something between may drop it without a word."""

LOST = (
    OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError, asyncpg.InternalClientError)
"""What asyncpg raises when the connection is gone.

TimeoutError is an OSError; InternalClientError is what a statement meets on an idle connection
whose server has just said that it shuts down.
"""

# Classes of https://www.postgresql.org/docs/current/errcodes-appendix.html that pass by, or that
# an administrator mends: connection, read-only transaction, authorization, no such database,
# serialization and deadlock, resources, object not in that state, shutdown and timeouts, input
# and output; and a statement whose table another version has just migrated.
_AWAY = ("08", "25", "28", "3D", "40", "53", "55", "57", "58", "0A")

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn the errors of asyncpg and the network into StoreErrors that name `where`."""
    try:
        yield
    except asyncpg.DiskFullError as error:
        raise StoreFullError(f"PostgreSQL at {where} has no room: {error}") from error
    except asyncpg.ClientConfigurationError as error:
        raise ConfigError(f"task-db.postgres.dsn: {error}") from error
    except asyncpg.PostgresError as error:
        code = error.sqlstate or ""
        if code.startswith("22"):  # "data exception": an argument no text or number can be
            raise BadInputError("a value that PostgreSQL does not take") from error
        kind = StoreUnavailableError if code.startswith(_AWAY) else StoreError
        raise kind(f"PostgreSQL at {where}: {error}") from error
    except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        if isinstance(error, ValueError):  # asyncpg's own DataError, of encoding an argument
            raise BadInputError("a value that PostgreSQL does not take") from error
        reason = str(error) or "no answer in time"
        raise StoreUnavailableError(f"PostgreSQL at {where} is away: {reason}") from error


def location(dsn: str) -> str:
    """Return host and port of a DSN, for messages; raises ConfigError for what is no DSN.

    No part of a password may get into a message, and one that is not percent-encoded could end up
    in any part of the DSN: so what is not understood is not shown either.
    """
    parts = urlsplit(dsn)
    before, at, hosts = parts.netloc.rpartition("@")
    stray = "@" in before or not at and "@" in dsn
    host = r"(\[[^\]]*\]|[^:\[\]]*)(:\d+)?"
    if parts.scheme not in ("postgres", "postgresql") or stray or not re.fullmatch(
            f"{host}(,{host})*", hosts):
        raise ConfigError(
            "task-db.postgres.dsn: expected postgresql://user:password@host:port/database, with "
            "special characters in the password percent-encoded")
    return hosts or parse_qs(parts.query).get("host", ["the default address"])[0]


class Connections:
    """At most `size` connections for reads, and as many others as `connect` is asked for.

    `acquire_timeout` and `statement_timeout` are in seconds. `pgbouncer` says that consecutive
    transactions may run on different server connections (PgBouncer's transaction mode): then no
    prepared statement and no setting outlives a transaction.
    """

    def __init__(
        self, dsn: str, *, size: int, acquire_timeout: float, statement_timeout: float,
        pgbouncer: bool,
    ) -> None:
        self.where = location(dsn)
        self.acquire_timeout = acquire_timeout
        self.statement_timeout = statement_timeout
        self._dsn = dsn
        self._pgbouncer = pgbouncer
        self._slots = asyncio.Semaphore(size)
        self._idle: deque[tuple[float, Connection]] = deque()
        self._probe: asyncio.Task[bool] | None = None
        self.is_open = False

    @property
    def limits(self) -> str:
        """The statements that limit a transaction in the server, too, should we be gone."""
        milliseconds = round(self.statement_timeout * 1000)
        return (
            f"SET LOCAL statement_timeout = {milliseconds};"
            f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds};")

    def open(self) -> None:
        """Allow reads."""
        self.is_open = True

    def close(self) -> None:
        """End the connections that are not in use, and those in use when they are done."""
        self.is_open = False
        self._forget_idle()

    def check_open(self) -> None:
        """Raise StoreUnavailableError unless it is open."""
        if not self.is_open:
            raise StoreUnavailableError("the postgres store is not open")

    async def connect(self, deadline: float | None = None) -> Connection:
        """Make a connection within the acquire timeout; it belongs to the caller."""
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + self.acquire_timeout
        if deadline - asyncio.get_running_loop().time() < TOO_LATE:
            raise TimeoutError("all connections are in use")
        async with asyncio.timeout_at(deadline):
            return await self._connect()

    async def _connect(self) -> Connection:
        settings = {"application_name": "taskservice"}
        if not self._pgbouncer:  # it refuses settings that it cannot keep to one client
            settings |= {  # what a plan depends on is in the statements' text, see page_sql
                "plan_cache_mode": "force_generic_plan",
                "jit": "off", "statement_timeout": str(round(self.statement_timeout * 1000))}
        return await asyncpg.connect(
            self._dsn, server_settings=settings, timeout=self.acquire_timeout,
            statement_cache_size=0 if self._pgbouncer else 100)

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run one reading statement.

        It is tried again, once, on a new connection when the one it had turns out to be gone: a
        restart of the server leaves a pool full of those.
        """
        self.check_open()
        loop = asyncio.get_running_loop()
        started = loop.time()
        deadline = started + self.acquire_timeout
        with translated(self.where):
            async with self._slot(deadline):
                try:
                    return await self._fetch(await self._take(deadline), statement, arguments)
                except LOST as error:
                    if isinstance(error, ValueError) or loop.time() - started > SOON:
                        raise
                    self._forget_idle()
                    return await self._fetch(await self.connect(deadline), statement, arguments)

    @asynccontextmanager
    async def _slot(self, deadline: float) -> AsyncIterator[None]:
        async with asyncio.timeout_at(deadline):
            await self._slots.acquire()
        try:
            yield
        finally:
            self._slots.release()

    async def _take(self, deadline: float) -> Connection:
        oldest = asyncio.get_running_loop().time() - MAX_IDLE
        while self._idle and (self._idle[0][0] < oldest or self._idle[0][1].is_closed()):
            self._idle.popleft()[1].terminate()
        while self._idle:
            _, connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await self.connect(deadline)

    def _forget_idle(self) -> None:
        while self._idle:
            self._idle.pop()[1].terminate()

    async def _fetch(
        self, connection: Connection, statement: str, arguments: tuple[Any, ...]
    ) -> list[asyncpg.Record]:
        usable = False
        try:
            with Watch(self, connection):
                if self._pgbouncer:
                    await connection.execute(f"BEGIN READ ONLY; {self.limits}")
                rows = await connection.fetch(statement, *arguments)
                if self._pgbouncer:
                    await connection.execute("COMMIT")
            usable = True
        except (asyncpg.PostgresError, ValueError):  # an answer, though not the one hoped for
            usable = not self._pgbouncer
            raise
        finally:
            if usable and self.is_open and not connection.is_closed():
                self._idle.append((asyncio.get_running_loop().time(), connection))
            else:
                connection.terminate()
        return rows

    async def answers(self) -> bool:
        """Tell whether the server answers on a new connection; one probe serves all who ask."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._ask())
        return await asyncio.shield(self._probe)

    async def _ask(self) -> bool:
        deadline = asyncio.get_running_loop().time() + PROBE_TIMEOUT
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._connect()
            # Cut, not cancelled: asyncpg would ask the server to cancel, and wait for it.
            cut = asyncio.get_running_loop().call_at(deadline, connection.terminate)
            try:
                await connection.execute("SELECT 1")
            finally:
                cut.cancel()
                connection.terminate()
        except LOST:
            return False
        except asyncpg.PostgresError:  # e.g. too many clients: it lives
            pass
        return True


class Watch:
    """Ends `connection` when the server does not answer; use it as a context manager.

    A statement may take `limit` seconds (by default the statement timeout). But a server that has
    gone without a word, e.g. halted or behind a broken network, shall not cost as long: after
    PATIENCE, and again and again, it has to answer on another connection. The waiting statement
    then raises one of LOST.
    """

    __slots__ = ("_connections", "_connection", "_loop", "_deadline", "_timer", "_judgement")

    def __init__(
        self, connections: Connections, connection: Connection, limit: float | None = None
    ) -> None:
        limit = connections.statement_timeout if limit is None else limit
        self._connections = connections
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + limit
        self._timer = self._loop.call_later(min(PATIENCE, limit), self._suspect)
        self._judgement: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._timer.cancel()
        if self._judgement is not None:
            self._judgement.cancel()

    def _suspect(self) -> None:
        self._judgement = self._loop.create_task(self._judge())

    async def _judge(self) -> None:
        while (left := self._deadline - self._loop.time()) > 0 and (
                await self._connections.answers()):
            await asyncio.sleep(min(left, PATIENCE))
        self._connection.terminate()
