"""A dump contains everything about notes, and can be restored while clients follow their events."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from harness.sign_in import to_stack
from tests.faults.dumps import backups, contents, dumped, ready
from tests.notes.ingress.events import subscribed
from tests.notes.ingress.notes import create
from workbench.parts.postgres import Postgres
from workbench.stack import Stack


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.ingress_url, auth=to_stack(stack), timeout=30) as client:
        yield client


async def test_a_restore_into_an_empty_database_makes_a_copy_without_the_events(
    stack: Stack, client: httpx.AsyncClient, empty: tuple[Path, Postgres]
) -> None:
    """Including keys and the number of the next event. The only event tells subscribers to read the list again."""
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
    [event] = after.pop("events")
    assert ",reset," in event
    assert len(before.pop("events")) > 1
    del before["events_pruned"], after["events_pruned"]
    numbers = {row["sequencename"]: row["last_value"] for row in after.pop("sequences")}
    expected = {row["sequencename"]: row["last_value"] for row in before.pop("sequences")}
    expected["events_id_seq"] += 1
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
    # Reaches every connection of every pool, whose statements were prepared for the old tables.
    for number in range(20):
        made = await create(client, f"later {number}")
        changed = await client.put(f"/notes/{made['id']}", json={"title": "later still"}, headers={"if-match": '"1"'})
        assert changed.status_code == 200, changed.text
        assert (await client.delete(f"/notes/{made['id']}")).status_code == 204
    assert [replica.part.pid for replica in stack.replicas if replica.part] == pids
    assert await ready(stack)
