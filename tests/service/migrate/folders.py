"""Folders of migrations, and what was applied of them."""

from collections.abc import Mapping
from pathlib import Path

from tests.service.databases import Database

FILES = {
    "0001_boats.sql": "CREATE TABLE boats (name text);",
    "0002_crew.sql": "CREATE TABLE crew (boat text);\nINSERT INTO boats VALUES ('Ada');",
}


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, sql in files.items():
        (folder / name).write_text(sql)


async def applied(database: Database) -> list[int]:
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT version FROM schema_migrations WHERE sequence = '' ORDER BY applied_at, version"
        )
    return [row["version"] for row in rows]


async def tables(database: Database) -> set[str]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'app'")
    return {row["tablename"] for row in rows}
