"""A migration that breaks the statements of the code that runs is refused, unless its file says so."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from service.migrate.apply import migrate as apply
from service.migrate.files import MigrationError, read
from service.migrate.running_code import RunningCode, ask
from service.rehearsal.statements import statements
from service.resource.queries import FIRST_ANSWER
from tests.probe import things
from tests.service.databases import Database, migrate
from tests.service.migrate.folders import applied, write

SCHEMA = """
    CREATE TABLE ports (id bigint GENERATED ALWAYS AS IDENTITY, name text NOT NULL, depth integer NOT NULL DEFAULT 1,
                        loud integer GENERATED ALWAYS AS (depth * 2) STORED);
    CREATE FUNCTION deepest() RETURNS integer LANGUAGE sql AS 'SELECT 3';
"""
STATEMENTS = [
    ("port_get", "SELECT name, depth FROM ports WHERE id = $1 AND deepest() > depth"),
    ("port_create", "WITH new AS (INSERT INTO ports (name) VALUES ($1) RETURNING id) SELECT id FROM new"),
    ("port_import", "COPY ports (name) FROM STDIN"),
    ("port_deepen", "UPDATE ports SET depth = $1"),
    ("of_later", "SELECT later FROM ports"),
]


async def change(database: Database, folder: Path, sql: str, later: str = "CREATE TABLE more ()") -> list[str]:
    """Applies two files while the code with STATEMENTS runs; returns what a person is told."""
    write(folder, {"0003_ports.sql": SCHEMA})
    await migrate(database, folder)
    write(folder, {"0004_change.sql": sql, "0005_later.sql": later})
    said: list[str] = []
    async with database.connection() as connection:
        await apply(connection, read(folder), say=said.append, running_code=RunningCode(STATEMENTS))
    return said


@pytest.mark.parametrize(
    ("sql", "broken"),
    [
        (
            "ALTER TABLE ports DROP COLUMN depth CASCADE",
            'port_get: column "depth" does not exist; port_deepen: column "depth"',
        ),
        (
            "ALTER TABLE ports RENAME TO harbours",
            "; and 1 more; nothing of it was applied. First save code that works",
        ),
        ("DROP FUNCTION deepest", "port_get: function deepest() does not exist"),
        (
            "ALTER TABLE ports ALTER id DROP IDENTITY; ALTER TABLE ports ALTER id TYPE numeric",
            "port_get: parameter $1 is of type numeric, was int8",
        ),
        (
            "ALTER TABLE ports ADD mast text NOT NULL",
            "port_create: column ports.mast has no default and must not be NULL; port_import: column ports.mast",
        ),
        ("ALTER TABLE ports ALTER depth DROP DEFAULT", "port_create: column ports.depth has no default and must not"),
        (
            "ALTER TABLE ports ADD mast text; ALTER TABLE ports ALTER mast SET NOT NULL",
            "port_create: column ports.mast",
        ),
    ],
)
async def test_what_breaks_the_running_code_is_refused(
    empty_database: Database, folder: Path, sql: str, broken: str
) -> None:
    with pytest.raises(MigrationError, match=r"^0004_change\.sql breaks the running code: ") as error:
        await change(empty_database, folder, sql)

    assert broken in str(error.value)
    assert await applied(empty_database) == [1, 2, 3]
    assert await empty_database.fetchval("SELECT count(*) FROM app.ports WHERE depth = 2") == 0


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE ports ADD mast text, ADD sails integer NOT NULL DEFAULT 3, ADD later text",
        "ALTER TABLE ports ALTER id TYPE integer, ALTER name TYPE varchar(200)",
        "DROP TABLE crew",
        """
        ALTER TABLE ports ADD mast text NOT NULL;
        CREATE FUNCTION masted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.mast := 1; RETURN NEW; END';
        CREATE TRIGGER masted BEFORE INSERT ON ports FOR EACH ROW EXECUTE FUNCTION masted()
        """,
    ],
)
async def test_what_the_running_code_can_work_with_is_applied(
    empty_database: Database, folder: Path, sql: str
) -> None:
    assert await change(empty_database, folder, sql) == []
    assert await applied(empty_database) == [1, 2, 3, 4, 5]


async def test_a_file_that_says_so_may_break_it(empty_database: Database, folder: Path) -> None:
    said = await change(
        empty_database, folder, "-- breaks-old-code: nobody uses it yet\nALTER TABLE ports DROP COLUMN depth CASCADE"
    )

    [line] = said
    assert line.startswith("0004_change.sql breaks the running code, as it says (nobody uses it yet): port_get: ")
    assert await applied(empty_database) == [1, 2, 3, 4, 5]


async def test_what_runs_outside_a_transaction_may_break_it_too(empty_database: Database, folder: Path) -> None:
    """On a copy of the database nothing is lost by it."""
    write(folder, {"0003_ports.sql": SCHEMA})
    await migrate(empty_database, folder)
    await empty_database.execute("CREATE UNIQUE INDEX ports_name ON ports (name)")
    write(folder, {"0004_change.sql": "-- no-transaction: quick\nDROP INDEX CONCURRENTLY ports_name"})
    running = RunningCode([("port_keep", "INSERT INTO ports (name) VALUES ($1) ON CONFLICT (name) DO NOTHING")])

    async with empty_database.connection() as connection:
        with pytest.raises(MigrationError, match=r"^0004_change\.sql breaks .*: port_keep: there is no unique"):
            await apply(connection, read(folder), running_code=running)


async def test_the_file_that_breaks_it_is_named(empty_database: Database, folder: Path) -> None:
    with pytest.raises(MigrationError, match=r"^0004_change\.sql breaks"):
        await change(
            empty_database,
            folder,
            "ALTER TABLE ports DROP COLUMN depth CASCADE",
            later="ALTER TABLE ports ADD depth integer",
        )


async def test_what_an_earlier_file_breaks_is_not_held_against_a_later_one(
    empty_database: Database, folder: Path
) -> None:
    said = await change(
        empty_database,
        folder,
        "-- breaks-old-code: nobody uses it yet\nALTER TABLE ports DROP COLUMN depth CASCADE",
        later="ALTER TABLE ports ADD mast text",
    )

    assert len(said) == 1


async def test_nobody_is_asked_if_nothing_serves(tmp_path: Path) -> None:
    assert await ask(str(tmp_path / "nothing")) is None


def test_all_statements_of_the_running_code_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("service.domains.boats")
    vars(module).update({"GET": things.GET, "IMPORT": things.IMPORT, "NAME": "boats", "nothing": None})
    monkeypatch.setitem(sys.modules, module.__name__, module)

    found = statements()

    assert (things.GET.name, things.GET.sql) in found
    assert ("thing_import", "COPY things (id, name, version) FROM STDIN") in found
    assert (FIRST_ANSWER.name, FIRST_ANSWER.sql) in found
