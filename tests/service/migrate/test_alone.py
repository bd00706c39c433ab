"""A file with `-- no-transaction` is applied outside a transaction, and again after it failed half-way."""

import asyncio
import signal
from pathlib import Path

import pytest

from service.migrate.apply import migrate as apply
from service.migrate.files import MigrationError, read
from tests.service.commands import ended, running
from tests.service.databases import Database, migrate
from tests.service.migrate.folders import applied, write
from tests.service.migrate.test_command import MIGRATE
from tests.waiting import eventually

INDEX = "-- no-transaction: the table is large\nCREATE UNIQUE INDEX CONCURRENTLY boats_name ON boats (name);\n"
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'app.boats_name'::regclass"


async def lines_of(database: Database, folder: Path) -> list[str]:
    """What a person is told while the folder is applied."""
    said: list[str] = []
    async with database.connection() as connection:
        await apply(connection, read(folder), say=said.append)
    return said


async def test_an_index_is_built_while_others_write(empty_database: Database, folder: Path) -> None:
    await migrate(empty_database, folder)
    write(folder, {"0003_index.sql": INDEX})

    assert await lines_of(empty_database, folder) == []

    assert await empty_database.fetchval(VALID) is True
    assert await applied(empty_database) == [1, 2, 3]


async def test_two_runs_at_the_same_time_do_not_wait_for_each_other_for_ever(
    empty_database: Database, folder: Path
) -> None:
    await migrate(empty_database, folder)
    write(folder, {"0003_index.sql": INDEX})

    done = await asyncio.gather(*(migrate(empty_database, folder) for _ in range(3)))

    assert sorted(len(files) for files in done) == [0, 0, 1]


async def test_an_index_that_fails_half_way_is_named_and_built_by_the_next_run(
    empty_database: Database, folder: Path
) -> None:
    await migrate(empty_database, folder)
    await empty_database.execute("INSERT INTO boats VALUES ('Ada')")
    write(folder, {"0003_index.sql": INDEX, "0004_never.sql": "CREATE TABLE never ();"})

    with pytest.raises(
        MigrationError,
        match=r"^0003_index\.sql: could not create unique index .*Ada.*; it left the invalid index boats_name, since "
        r"it runs outside a transaction; the next run drops it$",
    ):
        await migrate(empty_database, folder)

    assert await empty_database.fetchval(VALID) is False
    assert await applied(empty_database) == [1, 2]

    await empty_database.execute("DELETE FROM boats WHERE ctid = (SELECT min(ctid) FROM boats)")
    said = await lines_of(empty_database, folder)

    assert said == ["0003_index.sql: dropped the invalid index boats_name, which an earlier run had left"]
    assert await empty_database.fetchval(VALID) is True
    assert await applied(empty_database) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            INDEX,
            'relation "boats_name" already exists; a run may have been killed after .*: see whether it is the right',
        ),
        (INDEX.replace("CONCURRENTLY", "CONCURRENTLY IF NOT EXISTS"), None),
    ],
)
async def test_an_index_that_a_killed_run_had_built_is_found(
    empty_database: Database, folder: Path, sql: str, message: str | None
) -> None:
    """It was killed before it recorded the file."""
    await migrate(empty_database, folder)
    await empty_database.execute("CREATE UNIQUE INDEX boats_name ON boats (name)")
    write(folder, {"0003_index.sql": sql})

    if message:
        with pytest.raises(MigrationError, match=message):
            await migrate(empty_database, folder)
    else:
        await migrate(empty_database, folder)

    assert await applied(empty_database) == ([1, 2] if message else [1, 2, 3])


async def test_the_run_after_a_killed_one_waits_until_its_statement_has_ended(
    empty_database: Database, folder: Path
) -> None:
    """It would drop an index that is still being built."""
    await migrate(empty_database, folder)
    write(folder, {"0003_index.sql": INDEX})
    script = (
        "import asyncio, pathlib, sys; from service.migrate.apply import run; from service.settings import load;"
        "import os; asyncio.run(run(load(os.environ, strict=False), pathlib.Path(sys.argv[1])))"
    )
    command = (*MIGRATE[:1], "-c", script, str(folder))
    building = "state = 'active' AND query LIKE '%INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'"

    async def builds() -> bool:
        sql = f"SELECT count(*) FROM pg_stat_activity WHERE usename = 'app_owner' AND {building}"  # noqa: S608
        return await empty_database.fetchval(sql) == 1

    async def waits() -> bool:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_try_advisory_lock%'"
        return await empty_database.fetchval(sql) == 1

    async with empty_database.transaction("INSERT INTO boats VALUES ('Bob')"):
        async with running(*command, SERVICE_DATABASE_OWNER_URL=empty_database.url("app_owner")) as process:
            await eventually(builds, "the index waits for the open transaction")
            process.send_signal(signal.SIGKILL)
            await ended(process)
        next_run = asyncio.create_task(migrate(empty_database, folder))
        await eventually(waits, "the next run waits for the killed one")
        assert await builds()

    # The statement of the killed process ended well, so there is an index, and the file is not recorded.
    with pytest.raises(MigrationError, match="already exists; a run may have been killed"):
        await next_run
    assert await empty_database.fetchval(VALID) is True


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (f"{INDEX}SELECT 1;", r"0003_index\.sql, line 3: a file with the line `-- no-transaction` may have only one"),
        (INDEX.replace(" the table is large", ""), r"0003_index\.sql: the line `-- no-transaction:` gives no reason"),
        (
            INDEX.partition("\n")[2],
            r"0003_index\.sql: CREATE INDEX CONCURRENTLY cannot run inside a transaction block; nothing of it was "
            r"applied\. A file with only this statement and a line `-- no-transaction: REASON` runs without one",
        ),
        (
            INDEX.replace("boats (", "ports ("),
            r'0003_index\.sql: relation "ports" does not exist; nothing of',
        ),
    ],
)
async def test_what_cannot_be_done_without_a_transaction_is_refused(
    empty_database: Database, folder: Path, sql: str, message: str
) -> None:
    await migrate(empty_database, folder)
    write(folder, {"0003_index.sql": sql})

    with pytest.raises(MigrationError, match=f"^{message}"):
        await migrate(empty_database, folder)

    assert await applied(empty_database) == [1, 2]
