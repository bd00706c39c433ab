"""Applies the migrations that are pending."""

import asyncio
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg

from service.database.connecting import Connecting
from service.database.errors import DATABASE_ERRORS
from service.migrate.alone import apply_alone
from service.migrate.files import DIRECTORY, Migration, MigrationError, read
from service.migrate.history import Connection, pending, record
from service.migrate.locks import LARGE, Table, blocking, large_tables
from service.migrate.running_code import RunningCode, ask
from service.settings import Settings

LOCK = 0x51_1B_3A_1E  # the key of the advisory lock; nothing else may use it in this database

# Errors after which a retry can succeed. A wrong password or a wrong name is not among them.
_RETRYABLE = (
    OSError,  # connection refused, no route, unknown host, timeout
    asyncpg.PostgresConnectionError,  # a proxy accepted the connection, but its server is down
    asyncpg.OperatorInterventionError,  # the server is starting up or shutting down
    asyncpg.InsufficientResourcesError,  # too many connections
)
_RETRY_INTERVALS = 0.2, 1.0  # s; the first and the longest one
LINE_INTERVALS = 1.0, 300.0  # s; of the lines that say what a run waits for
_LOCK_INTERVAL = 0.05  # s

# A statement that waits for a lock makes all others wait that want the same table. So it gives up, lets them pass and
# tries again. It waits for less than they do, see lock_timeout in k8s/postgres/roles.sql.
_LOCK_TIMEOUT = 1.0  # s
_LOCK_PAUSE = 0.5  # s
_LOCKS_WITHIN = 60.0  # s

_EXTENSIONS = "SELECT string_agg(name, ', ' ORDER BY name) FROM pg_available_extensions"


def _silent(_line: str) -> None:
    pass


async def migrate(
    connection: Connection,
    migrations: list[Migration],
    *,
    say: Callable[[str], None] = _silent,
    running_code: RunningCode | None = None,
    large: int = LARGE,
) -> list[Migration]:
    """Apply the pending migrations and return them. Raises MigrationError; those applied before it stay applied.

    `say` is told what a person should know of a migration that is applied. One that breaks `running_code` is refused,
    unless it says so. Tables are large from so many bytes on.
    """
    await _lock(connection)
    try:
        waiting = await pending(connection, migrations)
        for migration in waiting:
            migration.check()
        if waiting:
            applying = _Applying(connection, say, running_code, await large_tables(connection, large))
            for migration in waiting:
                await applying.apply(migration)
        return waiting
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


async def _lock(connection: Connection) -> None:
    """Wait for other runs."""
    # pg_advisory_lock() would have a snapshot while it waits, and CREATE INDEX CONCURRENTLY waits for old snapshots.
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):  # noqa: ASYNC110
        await asyncio.sleep(_LOCK_INTERVAL)


class _Locked(MigrationError):
    """Another transaction holds a lock for too long."""


class _Applying:
    def __init__(
        self,
        connection: Connection,
        say: Callable[[str], None],
        running_code: RunningCode | None,
        tables: dict[int, Table],
    ) -> None:
        self._connection = connection
        self._say = say
        self._running_code = running_code
        self._tables = tables

    async def apply(self, migration: Migration) -> None:
        await self._learn()
        if migration.alone:
            await apply_alone(self._connection, migration, self._say, _text)
            async with self._connection.transaction():
                await self._check_running_code(migration)
            return
        give_up = time.monotonic() + _LOCKS_WITHIN
        waits = f"{migration.file} waits for a lock that another transaction holds, for {_LOCKS_WITHIN:g} s at most"
        while True:
            try:
                return await self._apply_in_transaction(migration)
            except _Locked:
                if time.monotonic() > give_up:
                    raise
            if waits:
                self._say(waits)
                waits = ""
            await asyncio.sleep(_LOCK_PAUSE)

    async def _apply_in_transaction(self, migration: Migration) -> None:
        try:
            async with self._connection.transaction():
                begun = time.monotonic()
                await self._connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT:g}s'")
                await self._connection.execute(migration.sql)
                for lock in await blocking(self._connection, self._tables):
                    seconds = time.monotonic() - begun
                    how_long = f": at least {seconds:.1f} s" if seconds >= 0.1 else ""  # a copy may have no rows
                    self._say(f"{migration.file} locks {lock} until it ends{how_long}")
                await self._check_running_code(migration)
                await record(self._connection, migration)
        except asyncpg.PostgresError as error:
            reason = _one_line(error)
            if isinstance(error, asyncpg.FeatureNotSupportedError) and error.server_source_filename == "extension.c":
                reason += f" This PostgreSQL has only: {await self._connection.fetchval(_EXTENSIONS)}"
            reason = f"{_place(migration, error)}: {reason}; nothing of it was applied"
            if isinstance(error, asyncpg.LockNotAvailableError):
                raise _Locked(f"{reason}: find in pg_stat_activity who holds the lock, then run it again") from error
            if isinstance(error, asyncpg.ActiveSQLTransactionError):
                reason += ". A file with only this statement and a line `-- no-transaction: REASON` runs without one"
            raise MigrationError(reason) from error

    async def _learn(self) -> None:
        if self._running_code is not None:
            async with self._connection.transaction():
                await self._running_code.learn(self._connection)

    async def _check_running_code(self, migration: Migration) -> None:
        broken = await self._running_code.broken(self._connection) if self._running_code is not None else ""
        if not broken:
            return
        if reason := migration.reasons.get("breaks-old-code"):
            self._say(f"{migration.file} breaks the running code, as it says ({reason}): {broken}")
            return
        applied = "" if migration.alone else "; nothing of it was applied"
        raise MigrationError(
            f"{migration.file} breaks the running code: {broken}{applied}. First save code that works before and "
            "after it, or write the line `-- breaks-old-code: REASON` into the file"
        )


def _place(migration: Migration, error: Exception) -> str:
    position = getattr(error, "position", None)
    line = f", line {migration.sql.count(chr(10), 0, int(position)) + 1}" if position else ""
    return f"{migration.file}{line}"


def _text(migration: Migration, error: Exception) -> str:
    return f"{_place(migration, error)}: {_one_line(error)}"


def _one_line(error: Exception) -> str:
    """PostgreSQL's message, detail and hint on one line."""
    return " ".join(str(error).split()) or type(error).__name__


async def run(
    settings: Settings, directory: Path = DIRECTORY, wait: float = 0, say: Callable[[str], None] = _silent
) -> list[Migration]:
    """Connect as the owner of the schema, with retries for `wait` seconds, and migrate. Raises MigrationError.

    While it waits, lines on standard error say what for, at growing distances.
    """
    connection = await _connect(settings, wait)
    try:
        running_code = await ask(settings.rehearsal_socket) if settings.rehearsal_socket else None
        return await migrate(connection, read(directory), say=say, running_code=running_code)
    finally:
        await connection.close()


async def _connect(settings: Settings, wait: float) -> Connection:
    connect = Connecting(settings.database_owner_password_files, settings.database_owner_password)
    now = asyncio.get_running_loop().time
    begun = says_at = now()
    retries, lines = doubling(*_RETRY_INTERVALS), doubling(*LINE_INTERVALS)
    while True:
        try:
            return await connect(settings.database_owner_url, timeout=10)
        except DATABASE_ERRORS as error:
            reason = f"cannot connect as the owner of the schema: {_one_line(error)}"
            if now() >= begun + wait or not isinstance(error, _RETRYABLE):
                raise MigrationError(f"{reason}; check SERVICE_DATABASE_OWNER_URL") from error
        if now() >= says_at:
            at_most = "" if math.isinf(wait) else f", {wait:g} s at most"
            sys.stderr.write(f"migrate: {reason}; waiting for it, {now() - begun:.0f} s so far{at_most}\n")
            says_at = now() + next(lines)
        await asyncio.sleep(next(retries))


def doubling(first: float, longest: float) -> Iterator[float]:
    """Intervals without end, each twice as long as the one before."""
    while True:
        yield first
        first = min(2 * first, longest)
