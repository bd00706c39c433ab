"""What PostgreSQL's pods run, tried on a real PostgreSQL: passwords, backup and restore."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from service.migrate import run as migrate
from service.settings import load
from tests.k8s.kustomization import K8S
from workbench.console import Console
from workbench.machine.folders import run_folder
from workbench.parts.pgdata import NOT_DURABLE, open_postgres
from workbench.parts.postgres import SUPERUSER, Postgres, program

SCRIPTS = K8S / "postgres"
ROLES = {"postgres": "POSTGRES", "app_owner": "APP_OWNER", "app_rw": "APP_RW", "metrics": "METRICS"}


@pytest.fixture
async def postgres(new_data: Callable[[], Path]) -> AsyncIterator[Postgres]:
    data = new_data()
    with (data.parent / f"{data.name}.log").open("w") as log, run_folder(data) as run:
        async with await open_postgres(data, run, Console(log), NOT_DURABLE) as postgres:
            await migrate(load({"SERVICE_DATABASE_OWNER_URL": postgres.url("app_owner")}))
            yield postgres


@dataclass(frozen=True)
class Ended:
    status: int
    errors: str


Script = Callable[..., Awaitable[Ended]]


@pytest.fixture
def script(postgres: Postgres, tmp_path: Path) -> Script:
    """Runs one of k8s/postgres/*.sh as its container would."""
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
    """The names of everything that is there, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


async def titles(postgres: Postgres) -> set[str]:
    connection = await asyncpg.connect(postgres.url("app_rw"))
    try:
        return {row["title"] for row in await connection.fetch("SELECT title FROM notes")}
    finally:
        await connection.close()


async def add(postgres: Postgres, title: str) -> None:
    connection = await asyncpg.connect(postgres.url("app_rw"))
    try:
        await connection.execute("INSERT INTO notes (title, body) VALUES ($1, '')", title)
    finally:
        await connection.close()


async def test_what_was_backed_up_comes_back(postgres: Postgres, script: Script, tmp_path: Path) -> None:
    await add(postgres, "before")
    backup = await script("backup.sh", "monday", PGUSER="app_owner")
    assert backup.status == 0, backup.errors
    await add(postgres, "after")

    restore = await script("restore.sh", "monday.dump")

    assert restore.status == 0, restore.errors
    assert await titles(postgres) == {"before"}
    await add(postgres, "later")  # the service's role may write, and the triggers work
    kept, monday = dumps(tmp_path)
    assert (kept.startswith("before-restore-"), monday) == (True, "monday.dump")
    assert (await script("restore.sh", kept)).status == 0
    assert await titles(postgres) == {"before", "after"}


async def test_who_follows_the_events_is_told(postgres: Postgres, script: Script) -> None:
    await script("backup.sh", "monday")
    connection = await asyncpg.connect(postgres.url("app_rw"))
    try:
        assert (await script("restore.sh", "monday.dump")).status == 0
        newest = await connection.fetchval("SELECT kind FROM note_events ORDER BY tx DESC, id DESC LIMIT 1")
    finally:
        await connection.close()

    assert newest == "reset"


async def test_a_restore_that_fails_changes_nothing(postgres: Postgres, script: Script, tmp_path: Path) -> None:
    for number in range(500):
        await add(postgres, f"note {number}" * 5)
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


async def test_a_schema_that_has_grown_since_goes_back_too(postgres: Postgres, script: Script) -> None:
    await script("backup.sh", "monday")
    owner = await asyncpg.connect(postgres.url("app_owner"))
    try:
        await owner.execute("CREATE TABLE added_later (note uuid REFERENCES notes)")
        assert (await script("restore.sh", "monday.dump")).status == 0
        assert await owner.fetchval("SELECT to_regclass('app.added_later')") is None
    finally:
        await owner.close()


async def test_old_backups_are_removed_and_only_after_a_good_one(
    postgres: Postgres, script: Script, tmp_path: Path
) -> None:
    old = tmp_path / "old.dump"
    old.write_text("")
    os.utime(old, (0, 0))

    assert (await script("backup.sh", PGHOST=str(tmp_path))).status != 0
    assert dumps(tmp_path) == ["old.dump"]  # and no half one
    assert (await script("backup.sh")).status == 0
    [new] = dumps(tmp_path)
    assert new.startswith("app-")


async def test_a_backup_replaces_no_other(script: Script, tmp_path: Path) -> None:
    assert (await script("backup.sh", "monday")).status == 0
    before = (tmp_path / "monday.dump").stat().st_mtime_ns

    assert (await script("backup.sh", "monday")).status != 0
    assert dumps(tmp_path) == ["monday.dump"]
    assert (tmp_path / "monday.dump").stat().st_mtime_ns == before


async def test_the_passwords_are_those_of_the_environment(postgres: Postgres) -> None:
    """Whatever is in them, and at each start anew."""
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
