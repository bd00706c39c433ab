"""`python -m service.migrate` brings the schema up to date.

The migrations are the files `migrations/NNNN_name.sql`. Folders in `migrations/` are sequences with numbers of their
own, so that later versions of what they belong to never take a number of the service: `shared/`, about what all
resources share, is applied first, then the other folders, then the service's own files. Each file is applied once, in
the order of the numbers, in a transaction of its own. Several runs at the same time are safe: each takes an advisory
lock before it reads which versions are applied. Editing or removing an applied file is an error; write a new file
instead. To remove a whole folder is no error: its tables stay. SIGTERM and SIGINT cancel the running statement: its
file is rolled back, the files before it stay applied. A file that begins or ends a transaction itself is an error.

`--wait SECONDS` retries while the database is not up yet.
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
from service.database.schema import SchemaVersion, text
from service.database.statements import statements
from service.settings import Settings, SettingsError, load

DIRECTORY = Path(__file__).parent / "migrations"
LOCK = 0x51_1B_3A_1E  # the key of the advisory lock; nothing else may use it in this database

# Errors after which a retry can succeed. A wrong password or a wrong name is not among them.
_RETRYABLE = (
    OSError,  # connection refused, no route, unknown host, timeout
    asyncpg.PostgresConnectionError,  # a proxy accepted the connection, but its server is down
    asyncpg.OperatorInterventionError,  # the server is starting up or shutting down
    asyncpg.InsufficientResourcesError,  # too many connections
)
_RETRY_INTERVAL = 0.2  # s

_FIRST = "shared"
_NAME = re.compile(r"(?P<number>[0-9]{4})_(?P<name>.+)\.sql")

_CREATE_HISTORY = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version    integer NOT NULL,
        name       text NOT NULL,
        checksum   text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now(),
        sequence   text NOT NULL DEFAULT '',
        PRIMARY KEY (sequence, version)
    );
    -- The service reads the history and must not write it.
    REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM app_rw
"""
_OF_TRANSACTIONS = (
    *((word,) for word in ("abort", "begin", "commit", "end")),
    *(("rollback", word) for word in ("and", "transaction", "work")),  # and ROLLBACK alone, but not ROLLBACK TO
    *((word, "transaction") for word in ("prepare", "start")),
)
"""How statements begin that begin or end a transaction."""
_EXTENSIONS = "SELECT string_agg(name, ', ' ORDER BY name) FROM pg_available_extensions"


class MigrationError(Exception):
    """The schema cannot be brought up to date. The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    sequence: str
    """The name of its folder in migrations/; "" if it is in none."""
    version: int
    name: str
    sql: str

    @property
    def file(self) -> str:
        return _file(self.sequence, self.version, self.name)

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read(directory: Path = DIRECTORY) -> list[Migration]:
    """All migrations, in order. Raises MigrationError for a wrong file name, encoding, or a number used twice."""
    folders = sorted(path.name for path in directory.iterdir() if path.is_dir())
    folders.sort(key=lambda name: name != _FIRST)
    sequences = [*(_read(directory / name, name) for name in folders), _read(directory, "")]
    return [migration for sequence in sequences for migration in sequence]


def _read(directory: Path, sequence: str) -> list[Migration]:
    migrations: dict[int, Migration] = {}
    for path in sorted(directory.glob("*.sql")):
        name = _NAME.fullmatch(path.name)
        if name is None:
            raise MigrationError(f"{path.name}: the name of a migration must be NNNN_name.sql, such as 0002_tags.sql")
        version = int(name["number"])
        if version in migrations:
            raise MigrationError(
                f"{path.name}: {migrations[version].file} has number {version} too; use the next free number"
            )
        migrations[version] = Migration(sequence, version, name["name"], _text(path))
    return [migrations[version] for version in sorted(migrations)]


def _text(path: Path) -> str:
    try:
        sql = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        where = f"{error.reason} at byte {error.start}"
        raise MigrationError(f"{path.name} is not UTF-8 ({where}): save it as UTF-8") from None
    if sql.startswith("\ufeff"):
        raise MigrationError(f"{path.name} begins with a byte order mark: save it as UTF-8 without one")
    return sql


def expected_version(directory: Path = DIRECTORY) -> SchemaVersion:
    """The schema version that this code needs."""
    return {migration.sequence: migration.version for migration in read(directory)}


def _file(sequence: str, version: int, name: str) -> str:
    return f"{sequence}{'/' if sequence else ''}{version:04}_{name}.sql"


async def migrate(connection: "asyncpg.Connection[asyncpg.Record]", migrations: list[Migration]) -> list[Migration]:
    """Apply the pending migrations and return them. Raises MigrationError; those applied before it stay applied."""
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    try:
        await _create_history(connection)
        applied = {}
        for sequence in {"", *(migration.sequence for migration in migrations)}:
            applied[sequence] = await _applied(connection, sequence)
            files = [migration for migration in migrations if migration.sequence == sequence]
            _check_history(sequence, applied[sequence], files)
        pending = [migration for migration in migrations if migration.version not in applied[migration.sequence]]
        for migration in pending:
            _check_statements(migration)
        for migration in pending:
            await _apply(connection, migration)
        return pending
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


async def _create_history(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.execute(_CREATE_HISTORY)
    try:
        await connection.fetch("SELECT sequence FROM schema_migrations LIMIT 1")
    except asyncpg.UndefinedColumnError:
        raise MigrationError(
            "the database was made by version 0.1, whose schema cannot be brought up to date: export its data with "
            "that version, begin with an empty database, and import the data"
        ) from None


async def _applied(connection: "asyncpg.Connection[asyncpg.Record]", sequence: str) -> dict[int, tuple[str, str]]:
    """Name and checksum by version."""
    rows = await connection.fetch(
        "SELECT version, name, checksum FROM schema_migrations WHERE sequence = $1", sequence
    )
    return {row["version"]: (row["name"], row["checksum"]) for row in rows}


def _check_history(sequence: str, applied: dict[int, tuple[str, str]], migrations: list[Migration]) -> None:
    files = {migration.version: migration for migration in migrations}
    newest_file = max(files, default=0)
    for version, (name, checksum) in sorted(applied.items()):
        file = _file(sequence, version, name)
        if version in files and files[version].checksum != checksum and files[version].name != name:
            raise MigrationError(
                f"{file} was applied, but {files[version].file} is there instead: restore the one, and give the "
                "other the next free number, or begin with an empty database"
            )
        if version in files and files[version].checksum != checksum:
            raise MigrationError(
                f"{file} was edited after it had been applied; restore it and write a new migration, "
                "or begin with an empty database"
            )
        if version not in files and version <= newest_file:
            raise MigrationError(f"{file} was applied, but the file is missing; restore it")
        # A version above those of all files was applied by a newer release. The older release keeps working with it.
    newest_applied = max(applied, default=0)
    for version, migration in files.items():
        if version < newest_applied and version not in applied:
            raise MigrationError(
                f"{migration.file} is new, but {newest_applied:04} is applied already; use the next free number"
            )


def _check_statements(migration: Migration) -> None:
    found = list(statements(migration.sql))
    if not found:
        raise MigrationError(f"{migration.file} has no statement: write one, or remove the file")
    for line, words in found:
        if words == ("rollback",) or any(words[: len(first)] == first for first in _OF_TRANSACTIONS):
            raise MigrationError(
                f"{migration.file}, line {line}: {' '.join(words).upper()}: each file is one transaction, which is "
                "begun and ended for it; remove the statement, or divide the file"
            )


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migrations (sequence, version, name, checksum) VALUES ($1, $2, $3, $4)",
                migration.sequence,
                migration.version,
                migration.name,
                migration.checksum,
            )
    except asyncpg.PostgresError as error:
        reason = _one_line(error)
        if isinstance(error, asyncpg.FeatureNotSupportedError) and error.server_source_filename == "extension.c":
            reason += f" This PostgreSQL has only: {await connection.fetchval(_EXTENSIONS)}"
        raise MigrationError(
            f"{migration.file}{_line(migration.sql, error)}: {reason}; nothing of it was applied"
        ) from error


def _line(sql: str, error: asyncpg.PostgresError) -> str:
    position = getattr(error, "position", None)
    return f", line {sql.count(chr(10), 0, int(position)) + 1}" if position else ""


def _one_line(error: Exception) -> str:
    """PostgreSQL's message, detail and hint on one line."""
    return " ".join(str(error).split()) or type(error).__name__


async def run(settings: Settings, directory: Path = DIRECTORY, wait: float = 0) -> list[Migration]:
    """Connect as the owner of the schema, with retries for `wait` seconds, and migrate. Raises MigrationError."""
    connection = await _connect(settings, wait)
    try:
        return await migrate(connection, read(directory))
    finally:
        await connection.close()


async def _connect(settings: Settings, wait: float) -> "asyncpg.Connection[asyncpg.Record]":
    password = settings.database_owner_password
    now = asyncio.get_running_loop().time
    retry_until, retrying = now() + wait, False
    while True:
        try:
            return await asyncpg.connect(
                settings.database_owner_url,
                password=password.get_secret_value() if password else None,
                timeout=10,
            )
        except DATABASE_ERRORS as error:
            reason = f"cannot connect as the owner of the schema: {_one_line(error)}"
            if now() >= retry_until or not isinstance(error, _RETRYABLE):
                raise MigrationError(f"{reason}; check SERVICE_DATABASE_OWNER_URL") from error
        if not retrying:
            sys.stderr.write(f"migrate: {reason}; retrying for {wait:g} s\n")
            retrying = True
        await asyncio.sleep(_RETRY_INTERVAL)


async def _run_until_stopped(settings: Settings, wait: float) -> list[Migration]:
    running = asyncio.create_task(run(settings, wait=wait))
    # The first process of a container ignores SIGTERM unless it has a handler.
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    try:
        return await running
    except asyncio.CancelledError:
        raise MigrationError("stopped by a signal, and the file in progress was rolled back; run it again") from None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m service.migrate", description="Bring the schema up to date.")
    parser.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS", help="retry that long while the database is not up yet"
    )
    wait = parser.parse_args().wait
    try:
        applied = asyncio.run(_run_until_stopped(load(os.environ, strict=False), wait))
    except (SettingsError, MigrationError) as error:
        sys.stderr.write(f"migrate: {error}\n")
        return 1
    for migration in applied:
        sys.stdout.write(f"migrate: applied {migration.file}\n")
    sys.stdout.write(f"migrate: the schema is at version {text(expected_version())}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
