"""What a migration locks of a large table is named."""

import asyncio
from pathlib import Path

import pytest

from service.migrate import apply as module
from service.migrate.apply import migrate as apply
from service.migrate.files import MigrationError, read
from service.migrate.locks import LARGE
from tests.service.databases import Database, migrate
from tests.service.migrate.folders import write
from tests.waiting import WITHIN


async def lines_of(database: Database, folder: Path, large: int) -> list[str]:
    said: list[str] = []
    async with database.connection() as connection:
        await apply(connection, read(folder), say=said.append, large=large)
    return [line.partition(" until it ends")[0] for line in said]


@pytest.mark.parametrize(
    ("sql", "mode"),
    [
        ("ALTER TABLE boats RENAME TO ships", "ACCESS EXCLUSIVE mode, for which readers and writers wait"),
        ("CREATE INDEX ON boats (name); ALTER TABLE boats ADD mast text", "ACCESS EXCLUSIVE mode, for which readers"),
        ("DROP TABLE boats", "ACCESS EXCLUSIVE mode, for which readers and writers wait"),
        ("CREATE INDEX ON boats (name)", "SHARE mode, for which writers wait"),
        ("CREATE TABLE ports (boat text REFERENCES boats (name))", "SHARE ROW EXCLUSIVE mode, for which writers"),
        ("UPDATE boats SET name = 'Bob'; CREATE TABLE ports (); LOCK ports; SELECT * FROM boats", None),
    ],
)
async def test_a_lock_on_a_large_table_is_named(
    empty_database: Database, folder: Path, sql: str, mode: str | None
) -> None:
    await migrate(empty_database, folder)
    await empty_database.execute("ALTER TABLE boats ADD UNIQUE (name)")
    write(folder, {"0003_change.sql": sql})

    said = await lines_of(empty_database, folder, large=1)

    if mode is None:
        assert said == []
    else:
        [line] = said
        assert line.startswith(f"0003_change.sql locks boats (0 MB) in {mode}")


async def test_a_lock_on_a_small_table_is_not_worth_a_line(empty_database: Database, folder: Path) -> None:
    await migrate(empty_database, folder)
    write(folder, {"0003_change.sql": "ALTER TABLE boats ADD mast text"})

    assert await lines_of(empty_database, folder, LARGE) == []


async def test_a_copy_without_rows_has_the_sizes_of_the_tables_that_it_was_made_from(
    empty_database: Database, folder: Path
) -> None:
    await migrate(empty_database, folder)
    pages = 2_000_000_000 // 8192
    await empty_database.execute(
        "SELECT pg_restore_relation_stats('schemaname', 'app', 'relname', 'boats', 'relpages', $1::integer)", pages
    )
    write(folder, {"0003_change.sql": "ALTER TABLE boats ADD mast text"})

    [line] = await lines_of(empty_database, folder, LARGE)

    assert line.startswith("0003_change.sql locks boats (1,907 MB) in ACCESS EXCLUSIVE mode")


async def test_a_lock_that_another_transaction_holds_is_tried_for_again(
    empty_database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that wait behind the migration get their turn meanwhile."""
    monkeypatch.setattr(module, "_LOCK_TIMEOUT", 0.05)
    await migrate(empty_database, folder)
    write(folder, {"0003_change.sql": "ALTER TABLE boats ADD mast text"})
    waits = asyncio.Event()

    async with empty_database.connection() as connection:
        async with empty_database.transaction("SELECT FROM boats"), asyncio.timeout(WITHIN):
            migration = asyncio.create_task(apply(connection, read(folder), say=lambda line: waits.set()))
            await waits.wait()
            assert await empty_database.fetchval("SELECT count(*) FROM app.boats") == 1
        assert len(await migration) == 1


async def test_a_lock_that_is_held_for_too_long_is_an_error(
    empty_database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOCK_TIMEOUT", 0.05)
    monkeypatch.setattr(module, "_LOCKS_WITHIN", 0)
    await migrate(empty_database, folder)
    write(folder, {"0003_change.sql": "ALTER TABLE boats ADD mast text"})

    async with empty_database.transaction("SELECT FROM boats"):
        with pytest.raises(MigrationError, match=r"^0003_change\.sql: canceling .* lock timeout; nothing of it was"):
            await migrate(empty_database, folder)
