"""The copy of the database on which live reload tries migrations."""

import io
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from tests.service.databases import Connection, Database
from tests.waiting import PATIENT
from workbench.console import Console
from workbench.machine.folders import run_folder
from workbench.options import StackOptions
from workbench.parts import trial
from workbench.parts.pgdata import NOT_DURABLE, open_postgres
from workbench.parts.postgres import SUPERUSER
from workbench.stack import Stack

RELPAGES = "SELECT relpages FROM pg_class WHERE relname = 'things'"


def environment(database: Database) -> dict[str, str]:
    return {
        "SERVICE_DATABASE_URL": database.url("app_rw"),
        "SERVICE_DATABASE_OWNER_URL": database.url("app_owner"),
        "OTHER": "stays",
    }


async def names(administration: Connection) -> set[str]:
    rows = await administration.fetch("SELECT datname FROM pg_database WHERE datname LIKE 'trial%'")
    return {row["datname"] for row in rows}


async def value(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


@pytest.mark.parametrize(("limit", "rows"), [({}, 300), ({"SMALL": 0}, 0), ({"_ROWS_WITHIN": 0}, 0)])
async def test_the_copy_has_the_schema_the_rights_and_the_rows_if_they_are_few(
    database: Database, administration: Connection, monkeypatch: pytest.MonkeyPatch, limit: dict[str, int], rows: int
) -> None:
    for name, value_ in limit.items():
        monkeypatch.setattr(trial, name, value_)
    await database.execute("INSERT INTO things (name) SELECT 'Ada' FROM generate_series(1, 300)")
    await database.execute("ANALYZE things")
    pages = await database.fetchval(RELPAGES)
    history = await database.fetchval("SELECT count(*) FROM app.schema_migrations")

    async with database.connection("app_rw"), trial.copied(database.url(SUPERUSER), environment(database)) as copy:
        owner, service = copy["SERVICE_DATABASE_OWNER_URL"], copy["SERVICE_DATABASE_URL"]
        assert copy["OTHER"] == "stays"
        assert len(await names(administration)) == 1
        assert await value(service, "SELECT count(*) FROM things") == rows
        assert await value(service, "SELECT count(*) FROM schema_migrations") == history
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await value(service, "ALTER TABLE things ADD mood text")
        assert await value(owner, RELPAGES) == pages
        await value(owner, "DROP TABLE things")

    assert await database.fetchval("SELECT count(*) FROM app.things") == 300
    assert await names(administration) == set()


async def test_an_error_leaves_no_copy_behind(database: Database, administration: Connection) -> None:
    """It is removed although someone is still connected to it."""

    async def fail() -> None:
        async with trial.copied(database.url(SUPERUSER), environment(database)) as copy:
            connected.append(await asyncpg.connect(copy["SERVICE_DATABASE_OWNER_URL"]))
            raise ZeroDivisionError

    connected: list[Connection] = []
    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await names(administration) == set()
    connected[0].terminate()


async def test_a_database_that_cannot_be_copied_is_an_error_that_says_why(database: Database) -> None:
    with pytest.raises(trial.CopyError, match="permission denied"):
        async with trial.copied(database.url("app_owner"), environment(database)):
            pass


async def test_a_dump_that_fails_is_an_error_that_says_why(database: Database, administration: Connection) -> None:
    async with database.transaction("LOCK things"):
        with pytest.raises(trial.CopyError, match="canceling statement due to statement timeout"):
            async with trial.copied(database.url(SUPERUSER), environment(database)):
                pass

    assert await names(administration) == set()


async def test_the_next_start_removes_the_copies_of_killed_supervisors(new_data: Callable[[], Path]) -> None:
    data = new_data()
    with run_folder(data) as run:
        async with await open_postgres(data, run, Console(io.StringIO()), NOT_DURABLE) as postgres:
            for name in ("trial_123", "trial_boats"):
                await value(postgres.url(SUPERUSER), f"CREATE DATABASE {name}")

    options = StackOptions(data=data, postgres=NOT_DURABLE, settings=PATIENT)
    async with Stack(options, Console(io.StringIO())) as stack, Database(stack.postgres).connection() as connection:
        assert await names(connection) == {"trial_boats"}
