"""The scripts of PostgreSQL's pods, on a real PostgreSQL: roles, passwords, backup and restore."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from service.migrate.apply import run as migrate
from service.settings import load
from tests.k8s.project import K8S, Object
from workbench.console import Console
from workbench.machine.folders import run_folder
from workbench.parts.pgdata import NOT_DURABLE, open_postgres
from workbench.parts.postgres import SUPERUSER, Postgres, program

SCRIPTS = K8S / "postgres"
ROLES = {"postgres": "POSTGRES", "app_owner": "APP_OWNER", "app_rw": "APP_RW", "metrics": "METRICS"}

# A table of these tests, with a trigger, beside those of the service.
TABLE = """
    CREATE TABLE zz_entries (title text PRIMARY KEY);
    CREATE TABLE zz_entry_log (title text NOT NULL);
    CREATE FUNCTION zz_log_entry() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO zz_entry_log VALUES (NEW.title); RETURN NEW; END
    $$;
    CREATE TRIGGER log AFTER INSERT ON zz_entries FOR EACH ROW EXECUTE FUNCTION zz_log_entry();
"""


@pytest.fixture
async def postgres(new_data: Callable[[], Path]) -> AsyncIterator[Postgres]:
    data = new_data()
    with (data.parent / f"{data.name}.log").open("w") as log, run_folder(data) as run:
        async with await open_postgres(data, run, Console(log), NOT_DURABLE) as postgres:
            await migrate(load({"SERVICE_DATABASE_OWNER_URL": postgres.url("app_owner")}))
            async with connected(postgres, "app_owner") as owner:
                await owner.execute(TABLE)
            yield postgres


@asynccontextmanager
async def connected(postgres: Postgres, role: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres.url(role))
    try:
        yield connection
    finally:
        await connection.close()


@dataclass(frozen=True)
class Ended:
    status: int
    errors: str


Script = Callable[..., Awaitable[Ended]]


@pytest.fixture
def script(postgres: Postgres, tmp_path: Path) -> Script:
    """Runs one of k8s/postgres/*.sh as its container does."""
    environment = {
        "PATH": f"{program('psql').parent}:{os.environ['PATH']}",
        "PGHOST": str(postgres.sockets),
        "PGUSER": SUPERUSER,
        "BACKUPS": str(tmp_path),
    }

    async def run(name: str, *arguments: str, **variables: str) -> Ended:
        process = await asyncio.create_subprocess_exec(
            "bash",
            SCRIPTS / name,
            *arguments,
            env=environment | variables,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        return Ended(process.returncode or 0, errors.decode())

    return run


def dumps(folder: Path) -> list[str]:
    """The names of all files, including hidden ones."""
    return sorted(path.name for path in folder.iterdir())


async def titles(postgres: Postgres, table: str = "zz_entries") -> set[str]:
    async with connected(postgres, "app_rw") as connection:
        return {row["title"] for row in await connection.fetch(f"SELECT title FROM {table}")}  # noqa: S608 - its names


async def add(postgres: Postgres, *added: str) -> None:
    async with connected(postgres, "app_rw") as connection:
        await connection.executemany("INSERT INTO zz_entries VALUES ($1)", [(title,) for title in added])


async def test_a_restore_brings_the_backup_back(postgres: Postgres, script: Script, tmp_path: Path) -> None:
    await add(postgres, "before")
    backup = await script("backup.sh", "monday", PGUSER="app_owner")
    assert backup.status == 0, backup.errors
    await add(postgres, "after")

    restore = await script("restore.sh", "monday.dump")

    assert restore.status == 0, restore.errors
    assert await titles(postgres) == {"before"}
    await add(postgres, "later")  # the service's role can write, and the trigger runs
    assert await titles(postgres, "zz_entry_log") == {"before", "later"}
    kept, monday = dumps(tmp_path)
    assert (kept.startswith("before-restore-"), monday) == (True, "monday.dump")
    assert (await script("restore.sh", kept)).status == 0
    assert await titles(postgres) == {"before", "after"}


async def test_a_restore_adds_a_reset_event_for_each_resource(postgres: Postgres, script: Script) -> None:
    """So that clients that follow the events load the list again."""
    resources = ("zz_ships", "zz_berths")
    async with connected(postgres, "app_owner") as owner:
        for resource in resources:
            await owner.execute(f"CREATE TABLE {resource} (id uuid PRIMARY KEY, version bigint)")
            await owner.execute(f"SELECT publish_events('{resource}')")
        await owner.execute("INSERT INTO events (resource, tx, kind) VALUES ('zz_ships', 1000000000000, 'updated')")
    await script("backup.sh", "monday")
    notified: set[object] = set()
    async with connected(postgres, "app_rw") as connection:
        await connection.add_listener("events", lambda *notification: notified.add(notification[-1]))
        restore = await script("restore.sh", "monday.dump")
        assert restore.status == 0, restore.errors
        events = await connection.fetch("SELECT * FROM events")
        pruned = await connection.fetchval("SELECT tx FROM events_pruned")

    assert {event["kind"] for event in events} == {"reset"}
    assert {event["tx"] for event in events} == {pruned}, "none is in the future, and whoever resumes gets a reset"
    assert {*resources} <= {event["resource"] for event in events}
    assert {*resources} <= notified
    assert "zz_entries" not in {event["resource"] for event in events}, "it has no events"


async def test_a_restore_brings_back_an_extension_and_what_depends_on_it(postgres: Postgres, script: Script) -> None:
    async with connected(postgres, SUPERUSER) as superuser:
        await superuser.execute("CREATE EXTENSION vector SCHEMA app")
    async with connected(postgres, "app_owner") as owner:
        await owner.execute("CREATE TABLE zz_places (at vector(2)); INSERT INTO zz_places VALUES ('[1, 2]')")
        await owner.execute("CREATE INDEX ON zz_places USING hnsw (at vector_l2_ops)")
    assert (await script("backup.sh", "monday", PGUSER="app_owner")).status == 0

    restore = await script("restore.sh", "monday.dump")

    assert restore.status == 0, restore.errors
    async with connected(postgres, "app_rw") as connection:
        assert await connection.fetchval("SELECT at <-> '[1, 3]' FROM zz_places") == 1


async def test_a_migration_may_create_an_extension_only_if_it_is_trusted(postgres: Postgres) -> None:
    """The only trusted extension of the workbench is plpgsql, which exists in a new database."""
    async with connected(postgres, SUPERUSER) as superuser:
        await superuser.execute("DROP EXTENSION plpgsql CASCADE")
    for role in ("app_rw", "metrics"):
        async with connected(postgres, role) as other:
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)):
                await other.execute("CREATE EXTENSION plpgsql")
    async with connected(postgres, "app_owner") as owner:
        await owner.execute("CREATE EXTENSION plpgsql")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute("CREATE EXTENSION vector")


async def test_a_restore_that_fails_changes_nothing(postgres: Postgres, script: Script, tmp_path: Path) -> None:
    await add(postgres, *(f"entry {number}" * 5 for number in range(500)))
    assert (await script("backup.sh", "monday")).status == 0
    whole = (tmp_path / "monday.dump").read_bytes()
    (tmp_path / "half.dump").write_bytes(whole[: len(whole) - 2000])
    (tmp_path / "none.dump").write_text("no dump")
    await add(postgres, "after")

    for name in ("half.dump", "none.dump", "missing.dump"):
        restore = await script("restore.sh", name)
        assert restore.status != 0, name
        assert restore.errors, name
        assert len(await titles(postgres)) == 501, name


async def test_a_restore_removes_a_table_that_the_backup_does_not_have(postgres: Postgres, script: Script) -> None:
    await script("backup.sh", "monday")
    async with connected(postgres, "app_owner") as owner:
        await owner.execute("CREATE TABLE zz_added_later (entry text REFERENCES zz_entries)")
        assert (await script("restore.sh", "monday.dump")).status == 0
        assert await owner.fetchval("SELECT to_regclass('app.zz_added_later')") is None


async def test_old_backups_are_removed_after_a_backup_that_succeeds(
    postgres: Postgres, script: Script, tmp_path: Path
) -> None:
    old = tmp_path / "old.dump"
    old.write_text("")
    os.utime(old, (0, 0))

    assert (await script("backup.sh", PGHOST=str(tmp_path))).status != 0
    assert dumps(tmp_path) == ["old.dump"]  # and no incomplete one
    assert (await script("backup.sh")).status == 0
    [new] = dumps(tmp_path)
    assert new.startswith("app-")


async def test_a_backup_never_replaces_another(script: Script, tmp_path: Path) -> None:
    assert (await script("backup.sh", "monday")).status == 0
    before = (tmp_path / "monday.dump").stat().st_mtime_ns

    assert (await script("backup.sh", "monday")).status != 0
    assert dumps(tmp_path) == ["monday.dump"]
    assert (tmp_path / "monday.dump").stat().st_mtime_ns == before


async def test_passwords_are_set_from_the_environment(postgres: Postgres) -> None:
    """At each start, with any characters in them."""
    for word in ('it\'s a \\ "secret"', "another"):
        variables = {f"{prefix}_PASSWORD": f"{role} {word}" for role, prefix in ROLES.items()}
        process = await asyncio.create_subprocess_exec(
            *(program("psql"), "--no-psqlrc", "--quiet", "--dbname=postgres", "--file", SCRIPTS / "passwords.sql"),
            env={"PGHOST": str(postgres.sockets), "PGUSER": SUPERUSER} | variables,
        )
        assert await process.wait() == 0
        connection = await asyncpg.connect(postgres.url(SUPERUSER, "postgres"))
        try:
            stored = await connection.fetch("SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin")
        finally:
            await connection.close()
        assert {row["rolname"] for row in stored} == ROLES.keys()
        assert all(row["rolpassword"].startswith("SCRAM-SHA-256$") for row in stored)
        assert not any(word in row["rolpassword"] for row in stored)


def test_the_workbench_and_the_cluster_create_the_same_roles(dev: list[Object]) -> None:
    [init] = [item for item in dev if item["kind"] == "ConfigMap" and "10-roles.sql" in item["data"]]

    assert init["data"]["10-roles.sql"] == (SCRIPTS / "roles.sql").read_text()
    assert sorted(init["data"]) == ["10-roles.sql", "20-passwords.sql"]  # PostgreSQL's image runs them in this order
