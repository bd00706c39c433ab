"""The pool: patient about the database, strict about each request's time. Its errors are domain errors."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from logging import getLogger
from time import perf_counter
from types import TracebackType
from typing import Any, Literal

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from service.errors import Unavailable
from service.settings import Settings
from service.telemetry.metrics import Metrics

logger = getLogger(__name__)

# What connecting and a statement that cannot be wrong may raise while the database is away.
FAILURES = (
    OSError,  # includes TimeoutError and ConnectionRefusedError
    ValueError,  # asyncpg cannot make out the answer
    asyncpg.PostgresError,
    asyncpg.InterfaceError,  # the connection was closed under the statement
    asyncpg.InternalClientError,  # the server has said that it ends, and has not closed the connection yet
)

# The database cannot answer now, whatever the request was: the same request may succeed later.
_UNAVAILABLE = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutdown, crash, starting up, statement_timeout
    asyncpg.InsufficientResourcesError,  # too many connections, disk full, out of memory
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.UndefinedTableError,  # not migrated yet; `/readyz` says so
    asyncpg.ReadOnlySQLTransactionError,  # a standby, in the middle of a failover
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)


_NO_ROOM = 0.05  # s

# asyncpg takes None for "the connection's default".
_NO_TIMEOUT = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Statement:
    """An SQL statement and the name under which its times are measured."""

    name: str
    sql: str


class Connection:
    """A connection of the pool, lent to one request: runs statements and measures them by name."""

    def __init__(self, connection: "PoolConnectionProxy[asyncpg.Record]", metrics: Metrics) -> None:
        self._connection = connection
        self._metrics = metrics

    async def fetch(self, statement: Statement, *args: object) -> list[asyncpg.Record]:
        started = perf_counter()
        try:
            return await self._connection.fetch(statement.sql, *args)
        finally:
            self._observe(statement, started)

    async def fetchrow(self, statement: Statement, *args: object) -> asyncpg.Record | None:
        started = perf_counter()
        try:
            return await self._connection.fetchrow(statement.sql, *args)
        finally:
            self._observe(statement, started)

    @asynccontextmanager
    async def bulk(self, *, readonly: bool) -> AsyncGenerator[None]:
        """One transaction for a stream: it lasts as long as its client keeps sending or reading.

        Read-only, it sees one state of the database throughout.
        """
        isolation: Literal["repeatable_read", "read_committed"] = "repeatable_read" if readonly else "read_committed"
        async with self._connection.transaction(isolation=isolation, readonly=readonly):
            await self._connection.execute(
                "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
            )
            yield

    async def copy(
        self, statement: Statement, table: str, columns: Sequence[str], records: AsyncIterable[tuple[Any, ...]]
    ) -> None:
        """COPY `records` into `table`, all or nothing; what `records` raises ends it."""
        started = perf_counter()
        try:
            await self._connection.copy_records_to_table(table, columns=columns, records=records, timeout=_NO_TIMEOUT)
        finally:
            self._observe(statement, started)

    async def batches(self, statement: Statement, *args: object, size: int) -> AsyncGenerator[list[asyncpg.Record]]:
        """The rows of `statement` from a server-side cursor, `size` at a time; needs a transaction."""
        cursor = await self._connection.cursor(statement.sql, *args)
        while True:
            started = perf_counter()
            try:
                rows = await cursor.fetch(size)
            finally:
                self._observe(statement, started)
            if not rows:
                return
            yield rows

    def _observe(self, statement: Statement, started: float) -> None:
        self._metrics.of_statement(statement.name).observe(perf_counter() - started)


class Database:
    """The pool of one process. It opens without a database and connects when connections are needed."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self.waiting = 0
        metrics.observe_pool(self, settings.pool_size)

    @property
    def size(self) -> int:
        return self._pool.get_size() if self._pool else 0

    @property
    def idle(self) -> int:
        return self._pool.get_idle_size() if self._pool else 0

    async def open(self) -> None:
        """Make the pool; needs no database."""
        settings = self._settings
        self._pool = await asyncpg.create_pool(
            settings.database_url,
            min_size=0,
            max_size=settings.pool_size,
            # Without session state there is nothing to reset, and the default reset costs a round trip a request.
            # An open transaction is rolled back by asyncpg all the same.
            reset=_keep_session,
            **self._connect_options(),
        )

    async def close(self) -> None:
        """Close the connections; those still in use are cut after a second."""
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(1):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection of its own outside the pool, for what must not wait for requests. The caller closes it."""
        return await asyncpg.connect(self._settings.database_url, **self._connect_options())

    def connection(self) -> "Loan":
        """Lend a connection of the pool: `async with database.connection() as connection`.

        Raises Unavailable if none is free within `acquire_timeout`, and if the database fails while it is used.
        """
        if self._pool is None:
            raise Unavailable("The service is starting. Try again in a moment.")
        return Loan(self, self._pool)

    async def acquire(self, pool: "asyncpg.Pool[asyncpg.Record]") -> "PoolConnectionProxy[asyncpg.Record]":
        """For Loan."""
        started = perf_counter()
        self.waiting += 1
        try:
            async with asyncio.timeout(self._settings.acquire_timeout):  # acquire()'s own would make a task
                return await _take(pool)
        except TimeoutError:
            self._metrics.acquire_timeouts.inc()
            raise
        finally:
            self.waiting -= 1
            self._metrics.acquire_duration.observe(perf_counter() - started)

    async def release(
        self, pool: "asyncpg.Pool[asyncpg.Record]", connection: "PoolConnectionProxy[asyncpg.Record]"
    ) -> None:
        """For Loan. A connection that does not let go within a second is cut by asyncpg."""
        try:
            await pool.release(connection, timeout=1)
        except _UNAVAILABLE as error:
            logger.debug("release: %s: %s", type(error).__name__, error)

    def lend(self, connection: "PoolConnectionProxy[asyncpg.Record]") -> Connection:
        """For Loan."""
        return Connection(connection, self._metrics)

    def unavailable(self, error: BaseException) -> Unavailable:
        """What a failure of the database is for a request."""
        self._metrics.database_errors.labels(type(error).__name__).inc()
        logger.debug("database: %s: %s", type(error).__name__, error)
        return Unavailable("The database cannot answer right now. Try again in a moment.")

    def _connect_options(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "password": settings.database_password.get_secret_value() if settings.database_password else None,
            "timeout": settings.acquire_timeout,
            # The server's limit comes first; this one is for a server that does not answer at all.
            "command_timeout": settings.statement_timeout + 0.5,
            "server_settings": {
                "application_name": f"{settings.name}/{settings.instance}"[:63],
                "statement_timeout": f"{round(settings.statement_timeout * 1000)}",
                "timezone": "UTC",
            },
        }


async def _take(pool: "asyncpg.Pool[asyncpg.Record]") -> "PoolConnectionProxy[asyncpg.Record]":
    """One that is free. When the server has no room for another one, wait for those that the pool has."""
    while True:
        try:
            return await pool.acquire()
        except asyncpg.TooManyConnectionsError:
            if pool.get_size() == 0:
                raise
            await asyncio.sleep(_NO_ROOM)  # the pool does not tell when one is free


async def _keep_session(_connection: object) -> None:
    """Leave the session as it is."""


class Loan:
    """One connection, from the pool and back; not a generator, which would cost twice as much."""

    __slots__ = ("_connection", "_database", "_pool")

    def __init__(self, database: Database, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._database = database
        self._pool = pool

    async def __aenter__(self) -> Connection:
        try:
            self._connection = await self._database.acquire(self._pool)
        except _UNAVAILABLE as error:
            raise self._database.unavailable(error) from error
        return self._database.lend(self._connection)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._database.release(self._pool, self._connection)
        if isinstance(error, _UNAVAILABLE):
            raise self._database.unavailable(error) from error
