"""Applies a file whose one statement cannot run in a transaction, such as CREATE INDEX CONCURRENTLY.

Nothing undoes what such a statement has done when it fails half-way, and nothing records that it has succeeded if
the process is killed right then. So it may run twice: the file is recorded after it, and an invalid index that an
earlier run has left is dropped before it. Both happen under the advisory lock, which PostgreSQL keeps until the
statement of a killed process has ended: an invalid index of that name is one that nobody builds any more.
"""

import re
from collections.abc import Callable

import asyncpg

from service.database.errors import DATABASE_ERRORS
from service.migrate.files import Migration, MigrationError
from service.migrate.history import Connection, record

_CONCURRENTLY = re.compile(
    r"\bCREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?"
    r'(?P<name>"(?:[^"]|"")+"|[^\W\d][\w$]*)\s+ON\b',
    re.IGNORECASE,
)
_INVALID = """
    SELECT indexrelid::regclass::text AS name FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
     WHERE NOT indisvalid AND relkind = 'i' AND relnamespace = current_schema()::regnamespace
"""


async def apply_alone(
    connection: Connection,
    migration: Migration,
    say: Callable[[str], None],
    error_text: Callable[[Migration, Exception], str],
) -> None:
    """Raises MigrationError, which says what is left behind."""
    index = _CONCURRENTLY.search(migration.sql)
    name = await connection.fetchval("SELECT to_regclass($1)::text", index["name"]) if index else None
    before = await _invalid(connection)
    if name in before:
        await connection.execute(f"DROP INDEX CONCURRENTLY {name}")
        before.remove(name)
        say(f"{migration.file}: dropped the invalid index {name}, which an earlier run had left")
    try:
        await connection.execute(migration.sql)
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{error_text(migration, error)}; {await _left(connection, before, error)}") from error
    await record(connection, migration)


async def _invalid(connection: Connection) -> set[str]:
    """The indexes that PostgreSQL maintains, or half so, but does not use."""
    return {row["name"] for row in await connection.fetch(_INVALID)}


async def _left(connection: Connection, before: set[str], error: asyncpg.PostgresError) -> str:
    if isinstance(error, asyncpg.DuplicateTableError):
        return (
            "a run may have been killed after it had built it: see whether it is the right one, then write IF NOT "
            "EXISTS into the file, or drop it"
        )
    try:
        left = sorted(await _invalid(connection) - before)
    except DATABASE_ERRORS:
        return "what it has done is not undone, since it runs outside a transaction; run it again"
    if not left:
        return "nothing of it was applied"
    return f"it left the invalid index {', '.join(left)}, since it runs outside a transaction; the next run drops it"
