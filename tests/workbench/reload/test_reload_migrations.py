"""A changed migration is tried on a copy, then applied before the new code serves; one that fails changes nothing."""

import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest

from service.database.schema import text
from service.migrate.files import expected_version
from tests.service.commands import run_command
from tests.service.databases import Database
from tests.workbench.reload.live import Live
from tests.workbench.things import ANY
from workbench.parts.postgres import SUPERUSER, Postgres

EXPECTED = expected_version()
NUMBER = EXPECTED.get("", 0) + 1
FILE = f"{NUMBER:04}_zz_moods.sql"
MIGRATION = f"service/migrations/{FILE}"


async def column(postgres: Postgres, sql: str, role: str = "app_owner") -> set[str]:
    connection = await asyncpg.connect(postgres.url(role))
    try:
        return {row[0] for row in await connection.fetch(sql)}
    finally:
        await connection.close()


async def tables(postgres: Postgres) -> set[str]:
    return await column(postgres, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'app'")


async def copies(postgres: Postgres) -> set[str]:
    return await column(postgres, "SELECT datname FROM pg_database WHERE datname LIKE 'trial%'")


async def columns(postgres: Postgres) -> set[str]:
    return await column(
        postgres, "SELECT attname FROM pg_attribute WHERE attrelid = 'things'::regclass AND attnum > 0"
    )


@pytest.fixture
async def undone(postgres: Postgres) -> AsyncIterator[None]:
    """What the test does to the table of things and to the history is undone."""
    yield
    connection = await asyncpg.connect(postgres.url(SUPERUSER))
    try:
        await connection.execute("ALTER TABLE app.things DROP COLUMN IF EXISTS mood")
        await connection.execute("DELETE FROM app.schema_migrations WHERE sequence = '' AND version >= $1", NUMBER)
    finally:
        await connection.close()


async def test_what_breaks_the_running_code_is_refused_unless_the_file_says_so(
    live: Live, postgres: Postgres, undone: None
) -> None:
    await live.get(ANY)
    await Database(postgres).execute("DELETE FROM things")  # those of other tests have no mood
    good, before = live.sources.version, await columns(postgres)

    live.sources.write(MIGRATION, "ALTER TABLE things DROP COLUMN name;\n")
    line = await live.says("the new code does not serve: ")

    assert f'{FILE} breaks the running code: thing_create: column "name" of relation "things" does not exist' in line
    assert f"version {good} keeps serving" in line
    assert live.said("ERROR:") == [], "PostgreSQL need not say it too"
    assert await columns(postgres) == before
    assert await copies(postgres) == set()
    assert (await live.get(ANY)).status_code == 200

    live.forget()
    live.sources.write(
        MIGRATION, "-- breaks-old-code: nothing is created now\nALTER TABLE things ADD mood text NOT NULL;\n"
    )
    await live.reloads()

    assert await columns(postgres) == before | {"mood"}
    [said] = live.said("migrate: trial: .* breaks the running code, as it says")
    assert "(nothing is created now): thing_create: column things.mood" in said
    assert await copies(postgres) == set()


async def test_without_a_copy_a_migration_is_applied_and_a_line_says_why(
    live: Live, postgres: Postgres, undone: None
) -> None:
    async with Database(postgres).transaction("LOCK things"):
        live.sources.write(MIGRATION, "CREATE TABLE mood ();\nDROP TABLE mood;\n")
        await live.says("the migrations are applied without a trial: there is no copy of the database: ")
    await live.reloads()

    assert await copies(postgres) == set()
    assert "zz_moods" in await column(postgres, "SELECT name FROM schema_migrations")


async def test_a_process_that_is_not_forked_gets_its_arguments_too() -> None:
    done = await run_command(sys.executable, "-m", "workbench.reload.new_process", "service.migrate --wait soon")

    assert "argument --wait: invalid float value: 'soon'" in done.stderr


async def test_migrations(live: Live, postgres: Postgres) -> None:
    good = live.sources.version
    before = await tables(postgres)

    live.sources.write(MIGRATION, "CREATE TABLE zz_moods (name text);\nCREATE TABLE zz_moods (name text);\n")
    line = await live.says("the new code does not serve: ")
    assert f'{FILE}: relation "zz_moods" already exists; nothing of it was applied' in line
    assert f"version {good} keeps serving, older than the files" in line
    assert (await live.get(ANY)).status_code == 200
    assert await tables(postgres) == before
    assert await live.metric("reload_code_stale") == 1
    assert await copies(postgres) == set()

    live.forget()
    live.sources.write(MIGRATION, "CREATE TABLE zz_moods (name text);\n")
    await live.reloads()
    assert await tables(postgres) == before | {"zz_moods"}
    found = (await live.ops("/readyz")).json()["checks"]["schema"]["detail"]
    assert found == f"version {text({**EXPECTED, '': NUMBER})}"

    live.forget()
    live.sources.append(MIGRATION, "-- edited after it was applied\n")
    assert f"{FILE} was edited after it had been applied" in await live.says("the new code does not serve: ")
