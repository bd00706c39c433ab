"""The migrations create the table of the notes, and the service cannot change them."""

import asyncpg
import pytest

from tests.service.databases import Database, migrate
from tests.service.migrate.folders import tables


async def test_the_migrations_create_the_table_of_the_notes(empty_database: Database) -> None:
    await migrate(empty_database)

    assert "notes" in await tables(empty_database)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE notes ADD mine text",
        "DROP TABLE notes",
        "TRUNCATE notes",
    ],
)
async def test_the_role_of_the_service_cannot_change_the_schema(database: Database, statement: str) -> None:
    async with database.connection("app_rw") as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
