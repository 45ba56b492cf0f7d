"""Connections to PostgreSQL: made on demand, limited in number, and never waited for in vain."""

import asyncio
import ssl
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from collections.abc import Iterable
from typing import Any, AsyncIterator, Self

import asyncpg

from taskservice.database.measurement import Measurement
from taskservice.database.postgres import libpq
from taskservice.database.postgres.dsn import check_certificates, host_dsns, location
from taskservice.database.postgres.errors import LOST, SESSION_SETTINGS, ArgumentError, translated
from taskservice.database.postgres.hosts import Connection, Hosts, first_connection
from taskservice.errors import ConfigError, StoreBusyError, StoreUnavailableError

SOON = 0.5
"""A failure within this many seconds is no hang: there is time for another attempt."""

TOO_LATE = 0.05
"""With fewer seconds left no connection is begun: asyncpg logs an error when it is cut off there."""

GRACE = 0.25
"""How many seconds more than a statement may take the server has to end it itself."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a server may be silent, in seconds."""

    patience: float = 1.0
    """After this time without an answer, the server has to show that it is alive."""

    probe: float = 1.4
    """How long it has for that: a server that is gone becomes an error within 3 s altogether."""

    max_idle: float = 60.0
    """How long an unused connection is kept: a firewall or proxy may drop it silently."""


class Connections:
    """At most `size` connections for reads, and as many others as `connect` is asked for.

    `acquire_timeout` and `statement_timeout` are in seconds. `pgbouncer` says that consecutive
    transactions may run on different server connections (PgBouncer's transaction mode): then no
    prepared statement and no setting outlives a transaction.
    """

    def __init__(
        self, dsn: str, *, size: int, acquire_timeout: float, statement_timeout: float,
        pgbouncer: bool, timing: Timing = Timing(), schema: str | None = None,
    ) -> None:
        self.where = location(dsn)
        dsn, connect_timeout = libpq.driver_dsn(dsn)
        check_certificates(dsn)
        self.acquire_timeout = acquire_timeout
        self._connect_timeout = min(connect_timeout or acquire_timeout, acquire_timeout)
        self.statement_timeout = statement_timeout
        self.timing = timing
        self._dsn = dsn
        self._hosts = host_dsns(dsn)
        self.connected = Hosts()
        self._pgbouncer = pgbouncer
        self.schema = schema
        self._size = size
        self._slots = asyncio.Semaphore(size)
        self._idle: deque[tuple[float, Connection]] = deque()
        self._probes: dict[str, asyncio.Task[bool]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._used = self._waiting = self._waits = 0
        self._waited = 0.0
        self.is_open = False

    @property
    def scope(self) -> str:
        """The statement that selects the schema for a transaction, if the connection does not."""
        return f'SET LOCAL search_path = "{self.schema}";' if self.schema and self._pgbouncer else ""

    @property
    def limits(self) -> str:
        """The statements that also limit a transaction in the server, in case this process dies; and their scope."""
        milliseconds = round(self.statement_timeout * 1000)
        return self.scope + (
            f"SET LOCAL statement_timeout = {milliseconds};"
            f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds};")

    def open(self) -> None:
        """Allow reads."""
        self.is_open = True

    def close(self) -> None:
        """Close the idle connections, and those in use when their statements are done."""
        self.is_open = False
        while self._idle:
            self._idle.pop()[1].terminate()

    async def ended(self) -> None:
        """Wait until the server was asked to cancel the statements of cancelled reads."""
        while self._ending:
            _, late = await asyncio.wait(self._ending, timeout=self.timing.probe)
            for task in late:  # asyncpg's own timeout does not cover its request to the server
                task.cancel()

    def check_open(self) -> None:
        """Raise StoreUnavailableError unless it is open."""
        if not self.is_open:
            raise StoreUnavailableError("the postgres store is not open")

    async def connect(self, deadline: float | None = None) -> Connection:
        """Make a connection within the acquire timeout; it belongs to the caller."""
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + self.acquire_timeout
        late = f"no connection within {self.acquire_timeout:g} s (acquire-timeout)"
        if deadline - asyncio.get_running_loop().time() < TOO_LATE:
            raise TimeoutError(late)
        try:
            async with asyncio.timeout_at(deadline) as limit:
                if len(self._hosts) == 1:
                    return await self._connect(self._dsn)
                return await first_connection(self._hosts, self._connect)
        except TimeoutError as error:
            if not limit.expired() and self._connect_timeout < self.acquire_timeout:
                late = f"no connection within {self._connect_timeout:g} s (connect_timeout)"
            raise TimeoutError(late) from error

    async def _connect(self, host: str) -> Connection:
        """Make a connection by the DSN of one host."""
        try:
            check_certificates(self._dsn)
            password = libpq.password(host)
        except ConfigError as error:  # their files were there when the service started
            raise OSError(str(error)) from error
        settings = {"application_name": "taskservice"}
        if not self._pgbouncer:  # it refuses settings that it cannot confine to one client
            # The values that a plan depends on are in the statements' text, see page_sql.
            values = ("force_generic_plan", "off", str(round(self.statement_timeout * 1000)))
            settings |= zip(SESSION_SETTINGS, values, strict=True)
            if self.schema:
                settings["search_path"] = f'"{self.schema}"'
        connection = await asyncpg.connect(
            host, server_settings=settings, timeout=self._connect_timeout, password=password,
            statement_cache_size=0 if self._pgbouncer else 100)
        self.connected.add(connection, host)
        return connection

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run one reading statement.

        It is repeated, once, on a new connection if the first connection turns out to be gone: a restart of the server
        leaves a pool full of those.
        """
        self.check_open()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.acquire_timeout
        with translated(self.where):
            async with self._slot(deadline):
                started = loop.time()
                if (connection := self._take()) is not None:
                    try:
                        return await self._fetch(connection, statement, arguments)
                    except LOST:
                        if loop.time() - started > SOON:
                            raise
                return await self._fetch(await self.connect(deadline), statement, arguments)

    def measurements(self) -> Iterable[Measurement]:
        """Return how many reading connections are in use, and how long reads waited for one."""
        return (
            Measurement("postgres_pool_size", "Connections that read at most (pool-size)", self._size),
            Measurement("postgres_pool_in_use", "Connections that read now", self._used),
            Measurement("postgres_pool_idle", "Open connections that could read at once", len(self._idle)),
            Measurement("postgres_pool_waiting", "Reads that wait for a connection", self._waiting),
            Measurement(
                "postgres_pool_waits", "Reads that had to wait for a connection", self._waits, is_counter=True),
            Measurement("postgres_pool_wait_seconds", "How long they waited", self._waited, is_counter=True))

    @asynccontextmanager
    async def _slot(self, deadline: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout_at(deadline - TOO_LATE):
                await (self._wait() if self._slots.locked() else self._slots.acquire())
        except TimeoutError as error:
            raise StoreBusyError(
                f"PostgreSQL at {self.where}: the pool is exhausted: all {self._size} connections "
                f"(pool-size) were in use for {self.acquire_timeout:g} s (acquire-timeout)"
            ) from error
        self._used += 1
        try:
            yield
        finally:
            self._used -= 1
            self._slots.release()

    async def _wait(self) -> None:
        started = asyncio.get_running_loop().time()
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
            self._waits += 1
            self._waited += asyncio.get_running_loop().time() - started

    def _take(self) -> "Connection | None":
        """Return the connection that was used last, if it was used recently."""
        oldest = asyncio.get_running_loop().time() - self.timing.max_idle
        while self._idle and self._idle[0][0] < oldest:
            self._idle.popleft()[1].terminate()
        return self._idle.pop()[1] if self._idle else None

    async def _fetch(
        self, connection: Connection, statement: str, arguments: tuple[Any, ...]
    ) -> list[asyncpg.Record]:
        usable = cancelled = False
        try:
            with Watch(self, connection):
                if self._pgbouncer:
                    await connection.execute(f"BEGIN READ ONLY; {self.limits}")
                rows = await connection.fetch(statement, *arguments)
                if self._pgbouncer:
                    await connection.execute("COMMIT")
            usable = True
        except (asyncpg.PostgresError, ArgumentError):  # an answer, though not the one hoped for
            usable = not self._pgbouncer
            raise
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            if usable and self.is_open:
                self._idle.append((asyncio.get_running_loop().time(), connection))
            elif cancelled:
                self._ending.add(ending := asyncio.create_task(self._end(connection)))
                ending.add_done_callback(self._ending.discard)
            else:
                connection.terminate()
        return rows

    async def _end(self, connection: Connection) -> None:
        """Close a connection once asyncpg has cancelled its statement in the server.

        A server that only loses the connection goes on with the statement.
        """
        with suppress(*LOST, asyncpg.PostgresError):
            await connection.close(timeout=self.timing.probe)

    async def answers(self, connection: Connection) -> bool:
        """Return whether the server of a connection answers on a new one; concurrent callers share a probe.

        Another host of the DSN is no answer: it may have been promoted in place of this one.
        """
        host = self.connected.of(connection)
        if (probe := self._probes.get(host)) is None or probe.done():
            probe = self._probes[host] = asyncio.create_task(self._ask(host))
        return await asyncio.shield(probe)

    async def _ask(self, host: str) -> bool:
        started = asyncio.get_running_loop().time()
        deadline = started + self.timing.probe
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._connect(host)
            # Cut, not cancelled: asyncpg would ask the server to cancel, and wait for it.
            cut = asyncio.get_running_loop().call_at(deadline, connection.terminate)
            try:
                await connection.execute("SELECT 1")
            finally:
                cut.cancel()
                connection.terminate()
        except ssl.SSLCertVerificationError:  # it is alive, as with too many clients
            return True
        except LOST:
            # A refusal comes at once, during which even a busy server need not have answered anybody.
            self.connected.end(host, min(started, asyncio.get_running_loop().time() - SOON))
            self._idle = deque(each for each in self._idle if not each[1].is_closed())
            return False
        except asyncpg.PostgresError:
            pass
        return True


class Watch:
    """A context manager that ends `connection` when the server does not answer.

    A statement may take `limit` seconds (by default the statement timeout): then StoreBusyError. A server that has
    vanished silently, e.g. halted or behind a broken network, should cost less time: after the timing's patience, and
    again and again, it has to answer on another connection. Otherwise the waiting statement raises TimeoutError.
    """

    __slots__ = (
        "_connections", "_connection", "_loop", "_limit", "_patience", "_deadline", "_timer",
        "_judgement", "_verdict")

    def __init__(
        self, connections: Connections, connection: Connection, limit: float | None = None
    ) -> None:
        limit = connections.statement_timeout if limit is None else limit
        self._connections = connections
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._patience = connections.timing.patience
        self._deadline = self._loop.time() + limit + GRACE
        self._timer = self._loop.call_later(min(self._patience, limit + GRACE), self._suspect)
        self._judgement: asyncio.Task[None] | None = None
        self._verdict: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        self._timer.cancel()
        if self._judgement is not None:
            self._judgement.cancel()
        if error is None:
            self._connections.connected.note_answer(self._connection)
        elif isinstance(error, Exception):
            if self._verdict is None and self._connections.connected.has_ended(self._connection):
                self._verdict = self._silence()
            if self._verdict is not None:
                raise self._verdict from error

    def _suspect(self) -> None:
        self._judgement = self._loop.create_task(self._judge())

    async def _judge(self) -> None:
        while (left := self._deadline - self._loop.time()) > 0:
            if not await self._connections.answers(self._connection):
                self._verdict = self._silence()
                break
            await asyncio.sleep(min(left, self._patience))
        else:
            self._verdict = StoreBusyError(
                f"PostgreSQL at {self._connections.where} took longer than {self._limit:g} s "
                "(statement-timeout)")
        self._connection.terminate()

    def _silence(self) -> Exception:
        waited = f" for {self._patience:g} s" if self._judgement else ""
        return TimeoutError(f"no answer{waited}, and none on a new connection")
