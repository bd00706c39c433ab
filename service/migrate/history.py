"""Which migrations are applied: the table schema_migrations."""

from typing import TypeAlias

import asyncpg

from service.migrate.files import Migration, MigrationError, file_name

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_CREATE = """
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


async def pending(connection: Connection, migrations: list[Migration]) -> list[Migration]:
    """Those that are not applied. Raises MigrationError if what is applied does not belong to these files."""
    await _create(connection)
    applied = {}
    for sequence in {"", *(migration.sequence for migration in migrations)}:
        applied[sequence] = await _applied(connection, sequence)
        _check(sequence, applied[sequence], [item for item in migrations if item.sequence == sequence])
    return [migration for migration in migrations if migration.version not in applied[migration.sequence]]


async def record(connection: Connection, migration: Migration) -> None:
    """It is applied now."""
    await connection.execute(
        "INSERT INTO schema_migrations (sequence, version, name, checksum) VALUES ($1, $2, $3, $4)",
        migration.sequence,
        migration.version,
        migration.name,
        migration.checksum,
    )


async def _create(connection: Connection) -> None:
    await connection.execute(_CREATE)
    try:
        await connection.fetch("SELECT sequence FROM schema_migrations LIMIT 1")
    except asyncpg.UndefinedColumnError:
        raise MigrationError(
            "the database was made by version 0.1, whose schema cannot be brought up to date: export its data with "
            "that version, begin with an empty database, and import the data"
        ) from None


async def _applied(connection: Connection, sequence: str) -> dict[int, tuple[str, str]]:
    """Name and checksum by version."""
    rows = await connection.fetch(
        "SELECT version, name, checksum FROM schema_migrations WHERE sequence = $1", sequence
    )
    return {row["version"]: (row["name"], row["checksum"]) for row in rows}


def _check(sequence: str, applied: dict[int, tuple[str, str]], migrations: list[Migration]) -> None:
    files = {migration.version: migration for migration in migrations}
    newest_file = max(files, default=0)
    for version, (name, checksum) in sorted(applied.items()):
        file = file_name(sequence, version, name)
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
