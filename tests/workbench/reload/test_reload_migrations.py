"""A changed migration is applied before the new code serves; one that fails changes nothing."""

import asyncpg

from service.database.schema import text
from service.migrate.files import expected_version
from tests.workbench.reload.live import Live
from tests.workbench.things import ANY
from workbench.parts.postgres import Postgres

EXPECTED = expected_version()
NUMBER = EXPECTED.get("", 0) + 1
FILE = f"{NUMBER:04}_zz_moods.sql"
MIGRATION = f"service/migrations/{FILE}"


async def tables(postgres: Postgres) -> set[str]:
    connection = await asyncpg.connect(postgres.url("app_owner"))
    try:
        rows = await connection.fetch("SELECT table_name FROM information_schema.tables WHERE table_schema = 'app'")
    finally:
        await connection.close()
    return {row["table_name"] for row in rows}


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

    live.forget()
    live.sources.write(MIGRATION, "CREATE TABLE zz_moods (name text);\n")
    await live.reloads()
    assert await tables(postgres) == before | {"zz_moods"}
    found = (await live.ops("/readyz")).json()["checks"]["schema"]["detail"]
    assert found == f"version {text({**EXPECTED, '': NUMBER})}"

    live.forget()
    live.sources.append(MIGRATION, "-- edited after it was applied\n")
    assert f"{FILE} was edited after it had been applied" in await live.says("the new code does not serve: ")
