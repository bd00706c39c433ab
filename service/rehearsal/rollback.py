"""The database as a rehearsed request sees it: it reads and writes as ever, and at its end nothing has happened.

Only sequences advance. Notifications are part of the transaction, so no event is sent. A task that the request leaves
running gets no connection any more, because what it writes would stay.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

import asyncpg

from service.database.errors import DATABASE_ERRORS, TRANSIENT_ERRORS
from service.database.pool import Connection, Database, Statement
from service.errors import Unavailable
from service.lifecycle import Lifecycle
from service.rehearsal.cost import counting
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.tracing.hooks import OFF, Tracing

# The service answers them with 503, since they also mean an outage. While the connection is open they mean the code:
# a wrong number of arguments, or a table or a type that does not exist, although the schema was found to be right.
_DEFECTS = (asyncpg.InterfaceError, asyncpg.UndefinedTableError, asyncpg.UndefinedObjectError)

_UNDONE_WITHIN = 1.0  # s


class Attempt:
    """One rehearsed request."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        """What the handler raised."""
        self.judged = False
        """Whether its outcome is known, so that a later error does not matter."""
        self.over = False
        self.connection: RolledBack | None = None

    async def end(self) -> None:
        """Undo what it did in the database."""
        self.over = True
        if self.connection is not None:
            await self.connection.undo()


# A context variable, because background tasks share the process, and have to store what they do.
current: ContextVar[Attempt | None] = ContextVar("rehearsal", default=None)


def is_rehearsal() -> bool:
    """Whether the request that is being handled is only rehearsed."""
    return current.get() is not None


class RehearsalDatabase(Database):
    """Gives each rehearsed request one connection, in a transaction that is rolled back."""

    def __init__(self, settings: Settings, metrics: Metrics, tracing: Tracing = OFF) -> None:
        super().__init__(settings, metrics, counting(tracing))
        self.unseen = Metrics(settings, Lifecycle())
        """What would be the metrics of rehearsed requests. Nothing shows them."""
        self._unseen = Database(settings, self.unseen, counting(OFF))

    async def connect(self, *, direct: bool = False) -> "asyncpg.Connection[asyncpg.Record]":
        if is_rehearsal():
            raise Unavailable("A connection outside the pool is not rehearsed.")
        return await super().connect(direct=direct)

    def connection(self) -> Connection:
        attempt = current.get()
        if attempt is None or self._pool is None:
            return super().connection()
        if attempt.over:
            raise Unavailable("The rehearsal of this request is over.")
        attempt.connection = attempt.connection or RolledBack(self._unseen, self._pool)
        return attempt.connection


class RolledBack(Connection):
    """The one connection of a rehearsed request, borrowed until undo(): each block sees what the ones before wrote.

    A savepoint before each statement lets one that fails leave the others usable, as without a transaction. All of
    them have the same name, and PostgreSQL means the newest: so none needs to be released.
    """

    __slots__ = ("_begun", "_first", "_over", "_statement")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._begun = False
        self._first = True
        self._over = False
        self._statement = asyncio.Lock()  # the request may have several tasks

    async def __aenter__(self) -> Self:
        async with self._statement:
            if not self._begun:
                await super().__aenter__()
                if self._over:  # a handler may go on when the rehearsal does not wait for it any more
                    await super().__aexit__(None, None, None)
                    raise Unavailable("The rehearsal of this request is over.")
                self._begun = True
                try:
                    await self._connection.execute("BEGIN; SAVEPOINT statement")
                except TRANSIENT_ERRORS as error:
                    raise self._database.unavailable(error) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, _DEFECTS) and not self._over and not self._connection.is_closed():
            return
        if isinstance(error, TRANSIENT_ERRORS):
            raise self._database.unavailable(error) from error

    async def undo(self) -> None:
        """Roll back, and give the connection back to the pool."""
        self._over = True
        if self._begun:
            try:
                async with asyncio.timeout(_UNDONE_WITHIN):
                    await self._connection.execute("ROLLBACK")
            except DATABASE_ERRORS:  # it is lost or busy; one that is closed stores nothing either
                self._connection.terminate()
            await super().__aexit__(None, None, None)

    @asynccontextmanager
    async def _savepoint(self) -> AsyncGenerator[None]:
        """To which the transaction returns if the statement in the block fails."""
        async with self._statement:
            if not self._first:
                await self._connection.execute("SAVEPOINT statement")
            self._first = False
            try:
                yield
            except asyncpg.PostgresError:
                await self._connection.execute("ROLLBACK TO SAVEPOINT statement")
                raise

    async def fetch(self, statement: Statement, *args: object) -> list[asyncpg.Record]:
        async with self._savepoint():
            return await super().fetch(statement, *args)

    async def fetchrow(self, statement: Statement, *args: object) -> asyncpg.Record | None:
        async with self._savepoint():
            return await super().fetchrow(statement, *args)

    @asynccontextmanager
    async def bulk(self, *, readonly: bool) -> AsyncGenerator[None]:
        """A savepoint: the isolation of a transaction cannot change after its first statement."""
        await self._connection.execute("SAVEPOINT bulk")
        try:
            yield
        except Exception:
            await self._connection.execute("ROLLBACK TO SAVEPOINT bulk")
            raise

    async def copy(
        self, statement: Statement, table: str, columns: Sequence[str], records: AsyncIterable[tuple[Any, ...]]
    ) -> None:
        async with self._savepoint():
            await super().copy(statement, table, columns, records)
