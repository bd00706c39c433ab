"""The button that deletes all data, on a real PostgreSQL. kubectl is a script that runs the command here."""

import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.migrate.apply import run as migrate
from service.settings import load
from tests.cluster.test_commands import run
from workbench.console import Console
from workbench.machine.folders import run_folder
from workbench.parts.pgdata import NOT_DURABLE, open_postgres
from workbench.parts.postgres import SUPERUSER, Postgres, program

RUN_HERE = f'while [ "$1" != -- ]; do shift; done; shift; PATH={program("psql").parent}:/usr/bin:/bin exec "$@"'

# Tables that refer to each other, one that has partitions, one with an unusual name, and one with events.
TABLES = """
    CREATE TABLE zz_ships (id uuid PRIMARY KEY DEFAULT uuidv7(), version bigint NOT NULL DEFAULT 1);
    CREATE TABLE zz_voyages (id int PRIMARY KEY, ship uuid NOT NULL REFERENCES zz_ships, next_voyage int);
    CREATE TABLE "Log of ""all"" zz_voyages" (voyage int NOT NULL REFERENCES zz_voyages ON DELETE RESTRICT);
    ALTER TABLE zz_voyages ADD FOREIGN KEY (next_voyage) REFERENCES zz_voyages;
    ALTER TABLE zz_ships ADD first_voyage int REFERENCES zz_voyages DEFERRABLE INITIALLY DEFERRED;
    CREATE TABLE zz_tides (at int NOT NULL) PARTITION BY RANGE (at);
    CREATE TABLE zz_tides_of_today PARTITION OF zz_tides FOR VALUES FROM (0) TO (10);
    SELECT publish_events('zz_ships');

    INSERT INTO zz_ships DEFAULT VALUES;
    INSERT INTO zz_voyages SELECT 1, id, 1 FROM zz_ships;
    UPDATE zz_ships SET first_voyage = 1;
    INSERT INTO "Log of ""all"" zz_voyages" VALUES (1);
    INSERT INTO zz_tides VALUES (1);
"""
# A table with data of an extension.
OF_EXTENSION = "CREATE TABLE app.zz_grids AS SELECT 1; ALTER EXTENSION plpgsql ADD TABLE app.zz_grids"


@pytest.fixture
async def postgres(new_data: Callable[[], Path]) -> AsyncIterator[Postgres]:
    data = new_data()
    with (data.parent / f"{data.name}.log").open("w") as log, run_folder(data) as run:
        async with await open_postgres(data, run, Console(log), NOT_DURABLE) as postgres:
            yield postgres


@pytest.fixture
async def superuser(postgres: Postgres) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(postgres.url(SUPERUSER), server_settings={"search_path": "app"})
    yield connection
    await connection.close()


@pytest.fixture
async def tables(postgres: Postgres, superuser: "asyncpg.Connection[asyncpg.Record]") -> None:
    await migrate(load({"SERVICE_DATABASE_OWNER_URL": postgres.url("app_owner")}))
    owner = await asyncpg.connect(postgres.url("app_owner"))
    await owner.execute(TABLES)
    await owner.close()
    await superuser.execute(OF_EXTENSION)


def delete_data(postgres: Postgres, folder: Path) -> subprocess.CompletedProcess[str]:
    variables = {"programs": str(folder), "PGHOST": str(postgres.sockets), "PGUSER": SUPERUSER}
    return run("cluster.actions", "delete-data", kubectl=RUN_HERE, **variables)


async def rows(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, int]:
    """The number of rows of each table that has any."""
    names = await connection.fetch(
        "SELECT format('%I', relname) AS name FROM pg_class "
        "WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p')"
    )
    counted: dict[str, Any] = {
        name: await connection.fetchval(f"SELECT count(*) FROM {name}")  # noqa: S608 - from the catalogue
        for (name,) in names
    }
    return {name: count for name, count in counted.items() if count}


@pytest.mark.usefixtures("tables")
async def test_it_deletes_the_rows_of_all_tables_and_tells_the_subscribers(
    postgres: Postgres, superuser: "asyncpg.Connection[asyncpg.Record]", tmp_path: Path
) -> None:
    before = await rows(superuser)
    assert before.keys() >= {
        "zz_ships",
        "zz_voyages",
        '"Log of ""all"" zz_voyages"',
        "zz_tides",
        "zz_tides_of_today",
        "zz_grids",
    }

    done = delete_data(postgres, tmp_path)

    assert done.returncode == 0, done.stderr
    assert (await rows(superuser)).keys() == {"schema_migrations", "events", "events_pruned", "zz_grids"}
    newest = "SELECT kind FROM events WHERE resource = 'zz_ships' ORDER BY tx DESC, id DESC LIMIT 1"
    assert await superuser.fetchval(newest) == "reset"
    deleted = set(done.stderr.partition("deleted all rows of: ")[2].strip().split(", "))
    assert deleted >= {"zz_ships", "zz_voyages", '"Log of ""all"" zz_voyages"', "zz_tides", "zz_tides_of_today"}
    assert not deleted & {"schema_migrations", "events", "events_pruned", "zz_grids"}


@pytest.mark.usefixtures("tables")
async def test_it_deletes_nothing_if_it_cannot_do_everything(
    postgres: Postgres, superuser: "asyncpg.Connection[asyncpg.Record]", tmp_path: Path
) -> None:
    before = await rows(superuser)
    await superuser.execute("ALTER FUNCTION reset_events() RENAME TO reset_nothing")

    done = delete_data(postgres, tmp_path)

    assert done.returncode == 1
    assert "reset_events" in done.stderr
    assert await rows(superuser) == before


async def test_it_accepts_a_database_without_tables(postgres: Postgres, tmp_path: Path) -> None:
    done = delete_data(postgres, tmp_path)

    assert (done.returncode, "no table" in done.stderr) == (0, True), done.stderr
