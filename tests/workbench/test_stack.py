"""The whole workbench as the tests use it: through the ingress, and with parts that fail."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.waiting import WITHIN
from workbench.errors import DataFolderError
from workbench.machine.lock import only_one
from workbench.stack import Stack


async def answers(stack: Stack) -> dict[str, Any]:
    """What / says, once it says it: Envoy and the service's pool need a moment after a failure."""
    async with asyncio.timeout(WITHIN), httpx.AsyncClient(base_url=stack.ingress_url) as client:
        while True:
            try:
                response = await client.get("/")
                answer: dict[str, Any] = response.json()
                if response.status_code == 200 and answer["database"]["status"] == "available":
                    return answer
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.02)


async def instances(stack: Stack, count: int) -> set[str]:
    """Asks until `count` replicas have answered."""
    seen: set[str] = set()
    async with asyncio.timeout(WITHIN):
        while len(seen) < count:
            seen.add((await answers(stack))["instance"])
    return seen


async def test_every_replica_is_behind_the_ingress(stack: Stack) -> None:
    assert await instances(stack, 2) == {"service-1", "service-2"}


async def test_a_killed_replica_is_noticed_and_replaced(stack: Stack) -> None:
    waiting = asyncio.create_task(stack.failure())
    await stack.replicas[0].kill()
    assert "service-1 ended unexpectedly, killed by SIGKILL" in str(await waiting)
    assert (await answers(stack))["instance"] == "service-2"
    await stack.start_replica(0)
    assert await instances(stack, 2) == {"service-1", "service-2"}


async def test_a_replica_that_is_told_to_end_drains(stack: Stack) -> None:
    stack.replicas[1].terminate()
    assert await stack.replicas[1].wait(WITHIN) == 0
    await stack.start_replica(1)


async def test_a_note_survives_a_crash_of_the_database(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=stack.ingress_url) as client:
        created = await client.post("/notes", json={"title": "kept"})
        assert created.status_code == 201
        await stack.postgres.kill()
        await stack.postgres.start()
        await answers(stack)
        assert (await client.get(created.headers["location"])).json()["title"] == "kept"


async def test_envoy_is_configured_from_the_rules_of_the_cluster(stack: Stack) -> None:
    bootstrap = json.loads((stack.postgres.sockets / "envoy.json").read_text())
    for listener in bootstrap["static_resources"]["listeners"]:
        assert listener["address"]["socket_address"]["address"] == "127.0.0.1"


def test_a_second_workbench_on_the_same_data_is_refused(stack: Stack) -> None:
    refused = pytest.raises(DataFolderError, match=r"is in use by process \d+ \(.*\): stop it, or .* make dev DATA=")
    with refused, only_one(stack.options.data):
        pass
