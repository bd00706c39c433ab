"""A dump of the workbench contains the whole database, and can be restored while the service runs."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from tests.notes.ingress.events import subscribed
from tests.notes.ingress.notes import create
from workbench.console import Console
from workbench.machine.folders import ROOT, run_folder
from workbench.parts.pgdata import NOT_DURABLE, open_postgres
from workbench.parts.postgres import SUPERUSER, Postgres
from workbench.stack import Stack


async def backups(data: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workbench.backups", *arguments),
        cwd=ROOT,
        env=os.environ | {"DATA": str(data)} | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def dumped(data: Path) -> str:
    """Makes a dump; returns its name."""
    status, output = await backups(data, "backup")
    assert status == 0, output
    return Path(output.split("backup: ")[1].split(",")[0]).name


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.ingress_url, timeout=30) as client:
        yield client


@pytest.fixture
async def empty(new_data: Callable[[], Path]) -> AsyncIterator[tuple[Path, Postgres]]:
    """A PostgreSQL server that has the roles, but whose database has no tables yet."""
    data = new_data()
    with (data.parent / f"{data.name}.log").open("w") as log, run_folder(data) as run:
        async with await open_postgres(data, run, Console(log), NOT_DURABLE) as postgres:
            yield data, postgres


@asynccontextmanager
async def superuser(postgres: Postgres) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(postgres.url(SUPERUSER))
    try:
        yield connection
    finally:
        await connection.close()


async def contents(postgres: Postgres) -> dict[str, Any]:
    """All rows, sequences, privileges, triggers and constraints."""
    async with superuser(postgres) as connection:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind = 'r'"
        )
        found: dict[str, Any] = {
            name: sorted(
                row[0]
                for row in await connection.fetch(
                    f"SELECT t::text FROM app.{name} AS t"  # noqa: S608 - a name from the catalogue
                )
            )
            for (name,) in tables
        }
        found["sequences"] = await connection.fetch(
            "SELECT schemaname, sequencename, last_value, start_value, increment_by FROM pg_sequences ORDER BY 1, 2"
        )
        found["privileges"] = await connection.fetch(
            "SELECT relname, relkind, relowner::regrole::text, relacl::text FROM pg_class "
            "WHERE relnamespace = 'app'::regnamespace ORDER BY 1"
        )
        found["triggers"] = await connection.fetch(
            "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
        )
        found["constraints"] = await connection.fetch(
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace = 'app'::regnamespace ORDER BY 1, 2"
        )
        return found


async def test_a_restore_into_an_empty_database_makes_a_copy(
    stack: Stack, client: httpx.AsyncClient, empty: tuple[Path, Postgres]
) -> None:
    for title in ("one", "twó \U0001f6a2", "a\tb\\N"):
        await client.post("/notes", json={"title": title}, headers={"idempotency-key": f"restored-{len(title)}"})
    note = await create(client, "changed")
    await client.put(f"/notes/{note['id']}", json={"title": "changed twice", "body": "x" * 10_000})
    await client.delete(f"/notes/{(await create(client, 'gone'))['id']}")
    before = await contents(stack.postgres)
    data, postgres = empty
    (data / "backups").mkdir()
    name = await dumped(stack.options.data)
    shutil.copy(stack.options.data / "backups" / name, data / "backups")

    status, output = await backups(data, "restore", FILE=name)

    assert status == 0, output
    after = await contents(postgres)
    added = set(after["note_events"]) - set(before["note_events"])
    assert len(added) == 1, "a restore adds one event, after which subscribers read the list again"
    assert ",reset," in added.pop()
    after["note_events"] = [row for row in after["note_events"] if row in before["note_events"]]
    numbers = {row["sequencename"]: row["last_value"] for row in after.pop("sequences")}
    expected = {row["sequencename"]: row["last_value"] for row in before.pop("sequences")}
    expected["note_events_id_seq"] += 1
    assert numbers == expected
    assert after == before
    assert before["notes"]


async def test_the_service_continues_with_the_restored_notes(stack: Stack, client: httpx.AsyncClient) -> None:
    kept = await create(client, "before the backup")
    name = await dumped(stack.options.data)
    lost = await create(client, "after the backup")
    pids = [replica.part.pid for replica in stack.replicas if replica.part]

    async with subscribed(client) as subscriber:
        status, output = await backups(stack.options.data, "restore", FILE=name)
        assert status == 0, output
        while (await subscriber.next()).kind != "reset":
            pass

    assert (await client.get(f"/notes/{kept['id']}")).json() == kept
    assert (await client.get(f"/notes/{lost['id']}")).status_code == 404
    for number in range(
        20
    ):  # reaches every connection of every pool, whose statements were prepared for the old tables
        made = await create(client, f"later {number}")
        changed = await client.put(f"/notes/{made['id']}", json={"title": "later still"}, headers={"if-match": '"1"'})
        assert changed.status_code == 200, changed.text
        assert (await client.delete(f"/notes/{made['id']}")).status_code == 204
    assert [replica.part.pid for replica in stack.replicas if replica.part] == pids
    assert json.loads((await client.get("/")).text)["database"]["status"] == "available"


async def test_a_restore_keeps_a_dump_of_what_it_replaces(stack: Stack, client: httpx.AsyncClient) -> None:
    name = await dumped(stack.options.data)
    await backups(stack.options.data, "restore", FILE=name)

    _, listed = await backups(stack.options.data, "restore")

    assert name in listed
    assert "before-restore-" in listed


@pytest.mark.parametrize("file", ["../x.dump", "x.sql", "/etc/passwd"])
async def test_an_invalid_file_name_is_refused(stack: Stack, file: str) -> None:
    status, output = await backups(stack.options.data, "restore", FILE=file)

    assert (status, f"FILE={file}" in output) == (1, True)


async def test_a_backup_without_a_workbench_is_refused(tmp_path: Path) -> None:
    status, output = await backups(tmp_path, "backup")

    assert (status, "make dev" in output) == (1, True)
