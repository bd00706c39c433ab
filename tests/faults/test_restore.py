"""A dump of the workbench contains the whole database, and can be restored while the service runs."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.faults.dumps import backups, contents, dumped, ready
from tests.faults.site import Site
from workbench.parts.postgres import Postgres


@pytest.fixture
async def client(workbench: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=workbench.url, timeout=30) as client:
        yield client


async def create(client: httpx.AsyncClient, name: str) -> str:
    """Creates a thing; returns its path."""
    made = await client.post("/things", json={"name": name})
    assert made.status_code == 201, made.text
    return made.headers["location"]


async def test_a_restore_into_an_empty_database_makes_a_copy(
    workbench: Site, client: httpx.AsyncClient, empty: tuple[Path, Postgres]
) -> None:
    stack = workbench.stack
    for name in ("one", "twó \U0001f6a2", "a\tb\\N"):
        await client.post("/things", json={"name": name}, headers={"idempotency-key": f"restored-{len(name)}"})
    await client.put(await create(client, "changed"), json={"name": "changed twice"})
    await client.delete(await create(client, "gone"))
    before = await contents(stack.postgres)
    data, postgres = empty
    (data / "backups").mkdir()
    name = await dumped(stack.options.data)
    shutil.copy(stack.options.data / "backups" / name, data / "backups")

    status, output = await backups(data, "restore", FILE=name)

    assert status == 0, output
    after = await contents(postgres)
    for part in ("events", "events_pruned", "sequences"):  # a restore replaces the events
        before.pop(part), after.pop(part)
    assert after == before
    assert before["things"]


async def test_the_service_continues_with_the_restored_things(workbench: Site, client: httpx.AsyncClient) -> None:
    stack = workbench.stack
    kept = await create(client, "before the backup")
    name = await dumped(stack.options.data)
    lost = await create(client, "after the backup")
    pids = [replica.part.pid for replica in stack.replicas if replica.part]

    status, output = await backups(stack.options.data, "restore", FILE=name)
    assert status == 0, output

    answer = await client.get(kept)
    assert answer.status_code == 200, answer.text
    assert answer.json()["name"] == "before the backup"
    assert (await client.get(lost)).status_code == 404
    # Reaches every connection of every pool, whose statements were prepared for the old tables.
    for number in range(20):
        made = await create(client, f"later {number}")
        changed = await client.put(made, json={"name": "later still"}, headers={"if-match": '"1"'})
        assert changed.status_code == 200, changed.text
        assert (await client.delete(made)).status_code == 204
    assert [replica.part.pid for replica in stack.replicas if replica.part] == pids
    assert await ready(stack)


async def test_a_restore_keeps_a_dump_of_what_it_replaces(workbench: Site) -> None:
    data = workbench.stack.options.data
    name = await dumped(data)
    await backups(data, "restore", FILE=name)

    _, listed = await backups(data, "restore")

    assert name in listed
    assert "before-restore-" in listed


@pytest.mark.parametrize("file", ["../x.dump", "x.sql", "/etc/passwd"])
async def test_an_invalid_file_name_is_refused(workbench: Site, file: str) -> None:
    status, output = await backups(workbench.stack.options.data, "restore", FILE=file)

    assert (status, f"FILE={file}" in output) == (1, True)


async def test_a_backup_without_a_workbench_is_refused(tmp_path: Path) -> None:
    status, output = await backups(tmp_path, "backup")

    assert (status, "make dev" in output) == (1, True)
