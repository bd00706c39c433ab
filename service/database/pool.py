"""The connection pool. It survives outages of the database, and limits how long a request waits.

Errors that mean an outage become Unavailable, a 503 (service/errors.py). All other errors are those of asyncpg.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from logging import getLogger
from time import perf_counter
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from service.database.acting import for_user, know_types
from service.database.connecting import Connecting
from service.database.errors import TRANSIENT_ERRORS
from service.errors import Unavailable
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.tracing.hooks import OFF, Tracing

logger = getLogger(__name__)


Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
_PooledConnection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

_RETRY_INTERVAL = 0.05  # s
_RELEASE_TIMEOUT = 1  # s
_CLOSE_TIMEOUT = 1  # s
_NO_TIMEOUT = 7 * 86_400.0  # s; to asyncpg, None means the connection's default


@dataclass(frozen=True, slots=True)
class Statement:
    """An SQL statement, and its name in metrics and traces."""

    name: str
    sql: str


class Database:
    """The connection pool of one process. It opens without a database, and connects when it needs connections."""

    def __init__(self, settings: Settings, metrics: Metrics, tracing: Tracing = OFF) -> None:
        self._settings = settings
        self.metrics = metrics
        self.tracing = tracing
        self._connect = Connecting(settings.database_password_files, settings.database_password)
        self._pool: Pool | None = None
        self.acquire_timeout = settings.acquire_timeout
        self.waiting = 0
        metrics.observe_pool(self, settings.pool_size)

    @property
    def size(self) -> int:
        return self._pool.get_size() if self._pool else 0

    @property
    def idle(self) -> int:
        return self._pool.get_idle_size() if self._pool else 0

    async def open(self) -> None:
        """Create the pool; the database need not be up."""
        self._pool = await self._make_pool(self._settings.database_url)

    async def _make_pool(self, url: str) -> Pool:
        return await asyncpg.create_pool(
            url,
            connect=self._connect,
            min_size=0,
            max_size=self._settings.pool_size,
            # The service sets no session state, and asyncpg's default reset costs each request a round trip. asyncpg
            # rolls back an open transaction in any case.
            reset=_no_reset,
            init=know_types,
            **self._connect_options(),
        )

    async def close(self) -> None:
        """Close the pool. Connections that are still in use after a second are terminated."""
        await self._close_pool(self._pool)

    async def _close_pool(self, pool: "Pool | None") -> None:
        if pool is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    async def connect(self, *, direct: bool = False) -> "asyncpg.Connection[asyncpg.Record]":
        """Open a connection outside the pool, for a task that must not wait for requests. The caller closes it.

        One that is `direct` does not lead through a pooler, so it may keep state from one transaction to the next.
        """
        settings = self._settings
        url = settings.database_direct_url if direct else None
        return await self._connect(url or settings.database_url, **self._connect_options())

    def connection(self) -> "Connection":
        """Borrow a connection from the pool: `async with database.connection() as connection`.

        Raises Unavailable if no connection is free within `acquire_timeout`, or if the database fails in the block.
        """
        if self._pool is None:
            raise Unavailable("The service is starting. Try again in a moment.")
        return Connection(self, self._pool)

    def reading(self) -> AbstractAsyncContextManager["Connection"]:
        """Like connection(), for statements that only read, and may miss the newest writes of others.

        A client reads all that it has written, see standbys.py. In general that is the same database.
        """
        return self.connection()

    def unavailable(self, error: BaseException) -> Unavailable:
        """Count an error of the database; returns the error that the request fails with."""
        self.metrics.database_errors.labels(type(error).__name__).inc()
        logger.debug("database: %s: %s", type(error).__name__, error)
        return Unavailable("The database cannot answer right now. Try again in a moment.")

    def _connect_options(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "timeout": settings.acquire_timeout,
            # The server's own limit, statement_timeout, comes first; this one is for a server that does not answer.
            "command_timeout": settings.statement_timeout + 0.5,
            "server_settings": {
                "application_name": f"{settings.name}/{settings.instance}"[:63],
                "statement_timeout": f"{round(settings.statement_timeout * 1000)}",
                "timezone": "UTC",
            },
        }


async def _acquire(pool: Pool) -> _PooledConnection:
    """A free connection. If the server accepts no more connections, waits for one of those that are open."""
    while True:
        try:
            return await pool.acquire()
        except asyncpg.TooManyConnectionsError:
            if pool.get_size() == 0:
                raise
            await asyncio.sleep(_RETRY_INTERVAL)  # the pool does not notify when a connection becomes free


async def _no_reset(_connection: object) -> None:
    pass


class Connection:
    """A connection that one request borrows from the pool for an `async with` block.

    Each statement is measured under its name, has a span if the request is traced, and runs for the request's user if
    its rows are owned.
    """

    __slots__ = ("_connection", "_database", "_pool")

    def __init__(self, database: Database, pool: Pool) -> None:
        self._database = database
        self._pool = pool

    # An asynccontextmanager would cost twice as much.
    async def __aenter__(self) -> Self:
        database, started = self._database, perf_counter()
        database.waiting += 1
        try:
            async with asyncio.timeout(database.acquire_timeout):  # pool.acquire(timeout=...) would create a task
                self._connection = await _acquire(self._pool)
        except TRANSIENT_ERRORS as error:
            if isinstance(error, TimeoutError):
                database.metrics.acquire_timeouts.inc()
            raise database.unavailable(error) from error
        finally:
            database.waiting -= 1
            waited = perf_counter() - started
            database.metrics.acquire_duration.observe(waited)
            database.tracing.waited(waited)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            await self._pool.expire_connections()  # another server is the primary now, and they all lead to this one
        try:
            await self._pool.release(self._connection, timeout=_RELEASE_TIMEOUT)  # then asyncpg terminates it
        except TRANSIENT_ERRORS as release_error:
            logger.debug("release: %s: %s", type(release_error).__name__, release_error)
        if isinstance(error, TRANSIENT_ERRORS):
            raise self._database.unavailable(error) from error

    async def fetch(self, statement: Statement, *args: object) -> list[asyncpg.Record]:
        """All rows."""
        with _Execution(self._database, statement):
            sql, args = for_user(statement.sql, args)
            try:
                return await self._connection.fetch(sql, *args)
            except asyncpg.InternalServerError as error:
                await self._renew_types(error)
                return await self._connection.fetch(sql, *args)

    async def fetchrow(self, statement: Statement, *args: object) -> asyncpg.Record | None:
        """The first row."""
        with _Execution(self._database, statement):
            sql, args = for_user(statement.sql, args)
            try:
                return await self._connection.fetchrow(sql, *args)
            except asyncpg.InternalServerError as error:
                await self._renew_types(error)
                return await self._connection.fetchrow(sql, *args)

    @asynccontextmanager
    async def bulk(self, *, readonly: bool) -> AsyncGenerator[None]:
        """One transaction for a stream, without a time limit: it lasts as long as the client sends or reads.

        A read-only transaction sees one state of the database throughout.
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
        """COPY `records` into a public `table`: all of them or, if `records` raises, none."""
        with _Execution(self._database, statement):
            await self._connection.copy_records_to_table(table, columns=columns, records=records, timeout=_NO_TIMEOUT)

    async def batches(self, statement: Statement, *args: object, size: int) -> AsyncGenerator[list[asyncpg.Record]]:
        """The rows in batches of `size`, from a server-side cursor; needs a transaction."""
        with _Execution(self._database, statement) as execution:
            sql, args = for_user(statement.sql, args)
            try:
                cursor = await self._connection.cursor(sql, *args)
            except asyncpg.InternalServerError as error:
                await self._renew_types(error)
                raise
            while rows := await cursor.fetch(size):
                execution.pause()
                yield rows
                execution.resume()

    async def _renew_types(self, error: asyncpg.InternalServerError) -> None:
        """Returns if a restore has made the type of a parameter anew; the statement has not begun, so repeat it.

        Otherwise raises the error, or Unavailable if the transaction has failed with the statement.
        """
        if not str(error).startswith("cache lookup failed for type"):
            raise error
        failed = self._connection.is_in_transaction()
        await self._connection.reload_schema_state()
        if failed:
            raise self._database.unavailable(error) from error


class _Execution:
    """One execution of a statement: observes its duration, and wraps it in a span if the request is traced."""

    # A generator-based context manager would cost more than twice as much.
    __slots__ = ("_end_span", "_observe", "_paused", "_started")

    def __init__(self, database: Database, statement: Statement) -> None:
        self._observe = database.metrics.of_statement(statement.name).observe
        self._end_span = database.tracing.start_statement(statement.name, statement.sql)
        self._paused = False
        self._started = perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._paused:
            self._observe(perf_counter() - self._started)
        if self._end_span is not None:
            self._end_span(error)

    def pause(self) -> None:
        """Observe the duration until now. The time until resume() counts for the span, but not for the metric."""
        self._observe(perf_counter() - self._started)
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._started = perf_counter()
