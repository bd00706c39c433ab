"""Each migration is applied once, in order, completely or not at all, and must not be edited afterwards."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import pytest

from service.database.schema import includes
from service.migrate.files import MigrationError, expected_version, read
from tests.service.databases import Database, migrate
from tests.service.migrate.folders import applied, tables, write


async def test_files_are_applied_in_the_order_of_their_numbers(empty_database: Database, folder: Path) -> None:
    write(folder, {"0010_ports.sql": "ALTER TABLE crew ADD port text;"})

    assert [migration.version for migration in await migrate(empty_database, folder)] == [1, 2, 10]
    assert await applied(empty_database) == [1, 2, 10]
    assert expected_version(folder) == {"": 10}


async def test_a_second_run_applies_nothing(empty_database: Database, folder: Path) -> None:
    await migrate(empty_database, folder)

    assert await migrate(empty_database, folder) == []
    assert await empty_database.fetchval("SELECT count(*) FROM app.boats") == 1


async def test_a_later_run_applies_the_new_files(empty_database: Database, folder: Path) -> None:
    await migrate(empty_database, folder)
    write(folder, {"0003_ports.sql": "CREATE TABLE ports ();"})

    assert [migration.version for migration in await migrate(empty_database, folder)] == [3]


async def test_concurrent_runs_apply_each_file_once(empty_database: Database, folder: Path) -> None:
    runs = await asyncio.gather(*(migrate(empty_database, folder) for _ in range(8)))

    assert sorted(len(done) for done in runs) == [0] * 7 + [2]
    assert await empty_database.fetchval("SELECT count(*) FROM app.boats") == 1


async def test_the_migrations_of_the_service_lead_to_the_version_that_its_code_needs(
    empty_database: Database,
) -> None:
    done = await migrate(empty_database)

    assert done == read()
    assert await tables(empty_database) > {"schema_migrations"}
    for sequence, version in expected_version().items():
        newest = "SELECT max(version) FROM app.schema_migrations WHERE sequence = $1"
        assert await empty_database.fetchval(newest, sequence) == version


async def test_folders_come_first_and_have_numbers_of_their_own(empty_database: Database, folder: Path) -> None:
    for name in ("shared", "harbours"):
        (folder / name).mkdir()
    write(folder / "shared", {"0001_ports.sql": "CREATE TABLE ports ();"})
    write(folder / "harbours", {"0001_ports.sql": "ALTER TABLE ports ADD name text"})
    write(folder, {"0001_boats.sql": "CREATE TABLE boats (name text); ALTER TABLE ports DROP name"})

    done = [migration.file for migration in await migrate(empty_database, folder)]

    assert done == ["shared/0001_ports.sql", "harbours/0001_ports.sql", "0001_boats.sql", "0002_crew.sql"]
    assert expected_version(folder) == {"shared": 1, "harbours": 1, "": 2}


async def test_a_later_shared_file_is_applied_whatever_number_the_service_is_at(
    empty_database: Database, folder: Path
) -> None:
    await migrate(empty_database, folder)
    (folder / "shared").mkdir()
    write(folder / "shared", {"0001_ports.sql": "CREATE TABLE ports ();"})

    assert [migration.file for migration in await migrate(empty_database, folder)] == ["shared/0001_ports.sql"]

    write(folder / "shared", {"0001_ports.sql": "CREATE TABLE harbours ();"})
    with pytest.raises(MigrationError, match=r"^shared/0001_ports\.sql was edited"):
        await migrate(empty_database, folder)


async def test_a_folder_that_was_removed_keeps_its_tables(empty_database: Database, folder: Path) -> None:
    (folder / "harbours").mkdir()
    write(folder / "harbours", {"0001_ports.sql": "CREATE TABLE ports ();"})
    await migrate(empty_database, folder)
    shutil.rmtree(folder / "harbours")

    assert await migrate(empty_database, folder) == []
    assert "ports" in await tables(empty_database)


async def test_a_database_of_version_0_1_is_refused_and_keeps_its_data(
    empty_database: Database, folder: Path
) -> None:
    await empty_database.execute("CREATE TABLE schema_migrations (version integer, name text, checksum text)")

    with pytest.raises(MigrationError, match="made by version 0"):
        await migrate(empty_database, folder)

    assert await tables(empty_database) == {"schema_migrations"}


@pytest.mark.parametrize(
    ("found", "enough"),
    [
        ({"shared": 1, "": 2}, True),
        ({"shared": 2, "": 3, "other": 1}, True),
        ({"": 2}, False),
        ({"shared": 1, "": 1}, False),
        ({"shared": 2, "": 1}, False),
        ({}, False),
    ],
)
def test_each_sequence_has_to_be_new_enough(found: dict[str, int], enough: bool) -> None:
    assert includes(found, {"shared": 1, "": 2}) is enough


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0001_boats.sql": "CREATE TABLE boats ();"}, "0001_boats.sql was edited .*; restore it and write a new"),
        (
            {"0001_boats.sql": None, "0001_ships.sql": "SELECT 1"},
            "0001_boats.sql was applied, but 0001_ships.sql is there instead: restore the one",
        ),
        ({"0001_boats.sql": None}, "0001_boats.sql was applied, but the file is missing; restore it"),
        ({"0000_sea.sql": "SELECT 1"}, "0000_sea.sql is new, but 0002 is applied already; use the next free number"),
        ({"0002_ports.sql": "SELECT 1"}, "0002_ports.sql: 0002_crew.sql has number 2 too; use the next free number"),
        ({"3_ports.sql": "SELECT 1"}, "3_ports.sql: the name of a migration must be NNNN_name.sql, such as"),
        ({"ports.sql": "SELECT 1"}, "ports.sql: the name of a migration must be NNNN_name.sql, such as"),
        ({"0003_.sql": "SELECT 1"}, "0003_.sql: the name of a migration must be NNNN_name.sql, such as"),
        ({"0003.sql": "SELECT 1"}, "0003.sql: the name of a migration must be NNNN_name.sql, such as"),
    ],
)
async def test_a_wrong_history_is_an_error_that_says_what_to_do(
    empty_database: Database, folder: Path, change: Mapping[str, str | None], message: str
) -> None:
    await migrate(empty_database, folder)
    for name, sql in change.items():
        (folder / name).write_text(sql) if sql is not None else (folder / name).unlink()
    write(folder, {"0003_never.sql": "CREATE TABLE never ();"})

    with pytest.raises(MigrationError, match=message):
        await migrate(empty_database, folder)

    assert await applied(empty_database) == [1, 2], "nothing is applied to a wrong history"
    assert "never" not in await tables(empty_database)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"0003_ports.sql has no statement: write one, or remove the file"),
        (b"-- later\n;\n/* ; */\n", r"0003_ports.sql has no statement"),
        (b"\xef\xbb\xbfCREATE TABLE ports ();", r"0003_ports.sql begins with a byte order mark: save it"),
        ("CREATE TABLE häfen ();".encode("latin-1"), r"0003_ports.sql is not UTF-8 \(.* at byte 14\): save it"),
        (
            b"CREATE TABLE ports ();\n\nCOMMIT;\nSELECT 1",
            r"0003_ports.sql, line 3: COMMIT: each file is one transaction",
        ),
        (b"BEGIN;\nCREATE TABLE ports ();\nEND", r"0003_ports.sql, line 1: BEGIN: "),
        (b"SELECT ';'; -- ;\nROLLBACK", r"0003_ports.sql, line 2: ROLLBACK: "),
        (b"Start Transaction READ ONLY", r"0003_ports.sql, line 1: START TRANSACTION: "),
    ],
)
async def test_a_file_that_cannot_be_one_transaction_is_refused_before_any_other(
    empty_database: Database, folder: Path, content: bytes, message: str
) -> None:
    (folder / "0003_ports.sql").write_bytes(content)

    with pytest.raises(MigrationError, match=f"^{message}"):
        await migrate(empty_database, folder)

    assert await tables(empty_database) <= {"schema_migrations"}


async def test_what_only_looks_like_the_end_of_a_transaction_is_applied(
    empty_database: Database, folder: Path
) -> None:
    sql = """
        -- COMMIT;
        CREATE TABLE ports (name text DEFAULT 'COMMIT; ROLLBACK;', "COMMIT;" text DEFAULT E'\\'; COMMIT;');
        CREATE FUNCTION one() RETURNS integer LANGUAGE plpgsql AS $body$ BEGIN RETURN 1; END; $body$;
        CREATE FUNCTION two() RETURNS integer BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;
        SAVEPOINT before;
        INSERT INTO ports VALUES ('lost');
        ROLLBACK TO before;
    """
    write(folder, {"0003_ports.sql": sql})

    assert "0003_ports.sql" in [migration.file for migration in await migrate(empty_database, folder)]
    assert await empty_database.fetchval("SELECT app.one() + app.two() + count(*) FROM app.ports") == 3


async def test_the_error_of_a_file_names_its_line_and_the_file_is_rolled_back(
    empty_database: Database, folder: Path
) -> None:
    write(
        folder,
        {
            "0003_ports.sql": "CREATE TABLE ports ();\n\nINSERT INTO boats VALUES ('Bob');\nCREATE TABEL quays ();\n",
            "0004_never.sql": "CREATE TABLE never ();",
        },
    )

    with pytest.raises(MigrationError, match=r"^0003_ports\.sql, line 4: .*TABEL.*; nothing of it was applied$"):
        await migrate(empty_database, folder)

    assert await applied(empty_database) == [1, 2], "the earlier files stay applied"
    assert await tables(empty_database) == {"schema_migrations", "boats", "crew"}
    assert await empty_database.fetchval("SELECT count(*) FROM app.boats") == 1


async def test_an_error_is_one_line_and_includes_postgresqls_detail(empty_database: Database, folder: Path) -> None:
    write(folder, {"0003_ports.sql": "CREATE TABLE ports (name text UNIQUE); INSERT INTO ports VALUES ('A'), ('A');"})

    with pytest.raises(MigrationError) as error:
        await migrate(empty_database, folder)

    assert "\n" not in str(error.value)
    assert "DETAIL: Key (name)=(A) already exists." in str(error.value)


async def test_a_file_and_its_history_row_are_one_transaction(empty_database: Database, folder: Path) -> None:
    write(folder, {"0003_ports.sql": "CREATE TABLE ports (); INSERT INTO schema_migrations VALUES (3, 'mine', '')"})

    with pytest.raises(MigrationError, match=r"^0003_ports\.sql: duplicate key"):
        await migrate(empty_database, folder)

    assert await applied(empty_database) == [1, 2]
    assert "ports" not in await tables(empty_database)


async def test_a_corrected_file_is_applied_after_a_failure(empty_database: Database, folder: Path) -> None:
    write(folder, {"0003_ports.sql": "CREATE TABLE ports (name text); SELECT 1 / 0;"})
    with pytest.raises(MigrationError, match="division by zero"):
        await migrate(empty_database, folder)

    write(folder, {"0003_ports.sql": "CREATE TABLE ports (name text);"})

    assert [migration.version for migration in await migrate(empty_database, folder)] == [3]


async def test_a_schema_newer_than_the_code_is_accepted(empty_database: Database, folder: Path) -> None:
    await migrate(empty_database, folder)
    (folder / "0002_crew.sql").unlink()  # an older release does not have it

    assert await migrate(empty_database, folder) == []


async def test_a_missing_database_is_an_error_that_names_the_variable(empty_database: Database, folder: Path) -> None:
    nowhere = Database(empty_database.server, "nowhere")

    with pytest.raises(MigrationError, match='"nowhere" does not exist; check SERVICE_DATABASE_OWNER_URL'):
        await migrate(nowhere, folder)


async def test_the_role_of_the_service_can_change_neither_the_schema_nor_its_history(database: Database) -> None:
    statements = (
        "CREATE TABLE boats ()",
        "ALTER TABLE things ADD mine text",
        "DROP TABLE things",
        "TRUNCATE things",
        "CREATE FUNCTION mine() RETURNS text LANGUAGE sql AS 'SELECT NULL'",
        "INSERT INTO schema_migrations VALUES (2, 'mine', '')",
        "UPDATE schema_migrations SET version = 2",
        "DELETE FROM schema_migrations",
    )
    async with database.connection("app_rw") as connection:
        for statement in statements:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_an_extension_that_is_not_installed_is_named_with_those_that_are(
    empty_database: Database, folder: Path
) -> None:
    """The PostgreSQL of the workbench has few."""
    write(folder, {"0003_places.sql": "CREATE EXTENSION postgis; CREATE TABLE places (name text);"})

    with pytest.raises(MigrationError) as error:
        await migrate(empty_database, folder)

    assert str(error.value).startswith('0003_places.sql: extension "postgis" is not available')
    assert str(error.value).endswith("This PostgreSQL has only: plpgsql, vector; nothing of it was applied")
    assert await applied(empty_database) == [1, 2]
