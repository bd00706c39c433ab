"""`python -m service.migrate`: bring the schema up to date.

Migrations are `migrations/NNNN_name.sql`, applied in the order of their numbers, one transaction a file. Any number
of runs at once is safe: an advisory lock is taken before the applied versions are read. An applied file that was
edited or removed is an error; write a new one instead. SIGTERM and SIGINT cancel the statement that runs: its file is
undone, those before it stay applied.

With `--wait SECONDS` a database that is not there yet is waited for.
"""

import argparse
import asyncio
import hashlib
import os
import re
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from service.database.errors import DATABASE_ERRORS
from service.settings import Settings, SettingsError, load

DIRECTORY = Path(__file__).parent / "migrations"
LOCK = 0x51_1B_3A_1E  # any number that no other program locks in this database

# What passes by itself. A wrong password or name does not.
_NOT_THERE_YET = (
    OSError,  # refused, no route, no such name, no answer in time
    asyncpg.PostgresConnectionError,  # a proxy took the connection and has nobody behind it
    asyncpg.OperatorInterventionError,  # it starts up, or shuts down
    asyncpg.InsufficientResourcesError,  # too many connections
)
_PAUSE = 0.2  # s, between two tries

_NAME = re.compile(r"(?P<number>[0-9]{4})_(?P<name>.+)\.sql")

_HISTORY = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version    integer PRIMARY KEY,
        name       text NOT NULL,
        checksum   text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""


class MigrationError(Exception):
    """The schema cannot be brought up to date; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    sql: str

    @property
    def file(self) -> str:
        return f"{self.version:04}_{self.name}.sql"

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read(directory: Path = DIRECTORY) -> list[Migration]:
    """The migrations of a folder in their order. Raises MigrationError for names without or with equal numbers."""
    migrations: dict[int, Migration] = {}
    for path in sorted(directory.glob("*.sql")):
        name = _NAME.fullmatch(path.name)
        if name is None:
            raise MigrationError(f"{path.name}: a migration is called NNNN_name.sql, such as 0002_tags.sql")
        version = int(name["number"])
        if version in migrations:
            raise MigrationError(
                f"{path.name}: number {version} is taken by {migrations[version].file}; take the next"
            )
        migrations[version] = Migration(version, name["name"], path.read_text(encoding="utf-8"))
    return [migrations[version] for version in sorted(migrations)]


def expected_version(directory: Path = DIRECTORY) -> int:
    """The schema version that this code needs."""
    return max((migration.version for migration in read(directory)), default=0)


async def migrate(connection: "asyncpg.Connection[asyncpg.Record]", migrations: list[Migration]) -> list[Migration]:
    """Apply what is missing and return it. Raises MigrationError; what was applied before stays applied."""
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    try:
        await connection.execute(_HISTORY)
        applied = {
            row["version"]: (row["name"], row["checksum"])
            for row in await connection.fetch("SELECT version, name, checksum FROM schema_migrations")
        }
        _check_history(applied, migrations)
        pending = [migration for migration in migrations if migration.version not in applied]
        for migration in pending:
            await _apply(connection, migration)
        return pending
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


def _check_history(applied: dict[int, tuple[str, str]], migrations: list[Migration]) -> None:
    files = {migration.version: migration for migration in migrations}
    newest_file = max(files, default=0)
    for version, (name, checksum) in sorted(applied.items()):
        file = f"{version:04}_{name}.sql"
        if version in files and files[version].checksum != checksum:
            raise MigrationError(f"{file} was edited after it had been applied; restore it and write a new migration")
        if version not in files and version <= newest_file:
            raise MigrationError(f"{file} was applied but its file is missing; restore it")
        # A version above all files was applied by a newer release: the older one goes on working beside it.
    newest_applied = max(applied, default=0)
    for version, migration in files.items():
        if version < newest_applied and version not in applied:
            raise MigrationError(
                f"{migration.file} is new, but {newest_applied:04} is applied: give it the next number"
            )


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                migration.version,
                migration.name,
                migration.checksum,
            )
    except asyncpg.PostgresError as error:
        raise MigrationError(
            f"{migration.file}{_line(migration.sql, error)}: {_words(error)}; nothing of it was applied"
        ) from error


def _line(sql: str, error: asyncpg.PostgresError) -> str:
    position = getattr(error, "position", None)
    return f", line {sql.count(chr(10), 0, int(position)) + 1}" if position else ""


def _words(error: Exception) -> str:
    """PostgreSQL's message, detail and hint on one line."""
    return " ".join(str(error).split()) or type(error).__name__


async def run(settings: Settings, directory: Path = DIRECTORY, wait: float = 0) -> list[Migration]:
    """Connect as the schema's owner, for up to `wait` seconds, and apply what is missing. Raises MigrationError."""
    connection = await _connect(settings, wait)
    try:
        return await migrate(connection, read(directory))
    finally:
        await connection.close()


async def _connect(settings: Settings, wait: float) -> "asyncpg.Connection[asyncpg.Record]":
    password = settings.database_owner_password
    now = asyncio.get_running_loop().time
    until, waiting = now() + wait, False
    while True:
        try:
            return await asyncpg.connect(
                settings.database_owner_url,
                password=password.get_secret_value() if password else None,
                timeout=10,
            )
        except DATABASE_ERRORS as error:
            reason = f"no connection as the schema's owner: {_words(error)}"
            if now() >= until or not isinstance(error, _NOT_THERE_YET):
                raise MigrationError(f"{reason}; look at SERVICE_DATABASE_OWNER_URL") from error
        if not waiting:
            sys.stderr.write(f"migrate: {reason}; trying again for {wait:g} s\n")
            waiting = True
        await asyncio.sleep(_PAUSE)


async def _run_until_stopped(settings: Settings, wait: float) -> list[Migration]:
    running = asyncio.create_task(run(settings, wait=wait))
    # As the first process of a container it would not even notice SIGTERM.
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        return await running
    except asyncio.CancelledError:
        raise MigrationError("stopped by a signal; the file in progress was undone, run it again") from None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m service.migrate", description="Bring the schema up to date.")
    parser.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS", help="for a database that is not there yet"
    )
    wait = parser.parse_args().wait
    try:
        applied = asyncio.run(_run_until_stopped(load(os.environ), wait))
    except (SettingsError, MigrationError) as error:
        sys.stderr.write(f"migrate: {error}\n")
        return 1
    for migration in applied:
        sys.stdout.write(f"migrate: applied {migration.file}\n")
    sys.stdout.write(f"migrate: the schema is at version {expected_version()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
