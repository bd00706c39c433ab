"""The whole workbench as tests use it: through the ingress, and with parts that fail."""

import asyncio
import json
from contextlib import suppress

import httpx
import pytest

from tests.waiting import WITHIN
from tests.workbench.things import ANY, LOAD
from workbench.errors import DataFolderError
from workbench.ingress.discovery import LISTENERS
from workbench.machine.lock import data_lock
from workbench.stack import Stack


async def until_ok(client: httpx.AsyncClient, path: str) -> httpx.Response:
    """Repeats a request, since Envoy and the pool of each replica need a moment after a failure."""
    async with asyncio.timeout(WITHIN):
        while True:
            with suppress(httpx.TransportError):
                response = await client.get(path)
                if response.status_code == 200:
                    return response
            await asyncio.sleep(0.02)


async def instance(stack: Stack) -> str:
    """The replica that answers a request which reads the database."""
    async with httpx.AsyncClient(base_url=stack.ingress_url) as client:
        return str((await until_ok(client, ANY)).headers["x-service-instance"])


async def instances(stack: Stack, count: int) -> set[str]:
    """Sends requests until `count` replicas have answered."""
    seen: set[str] = set()
    async with asyncio.timeout(WITHIN):
        while len(seen) < count:
            seen.add(await instance(stack))
    return seen


async def test_the_ingress_uses_every_replica(stack: Stack) -> None:
    assert await instances(stack, 2) == {"service-1", "service-2"}


async def test_a_replica_that_has_ended_can_be_started_again(stack: Stack) -> None:
    await stack.replicas[0].kill()
    assert await instance(stack) == "service-2"
    await stack.start_replica(0)
    assert await instances(stack, 2) == {"service-1", "service-2"}


async def test_a_replica_drains_after_sigterm(stack: Stack) -> None:
    stack.replicas[1].terminate()
    assert await stack.replicas[1].wait(WITHIN) == 0
    await stack.start_replica(1)


async def test_a_thing_survives_a_crash_of_the_database(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=stack.ingress_url) as client:
        created = await client.post(LOAD.path, json={"name": "kept"})
        assert created.status_code == 201
        await stack.postgres.kill()
        await stack.postgres.start()
        read = await until_ok(client, created.headers["location"])
        assert read.json()["name"] == "kept"


async def test_envoy_listens_on_loopback_addresses_only(stack: Stack) -> None:
    bootstrap, discovered = (
        json.loads((stack.postgres.sockets / file).read_text()) for file in ("envoy.json", LISTENERS)
    )
    listeners = [*bootstrap["static_resources"]["listeners"], *discovered["resources"]]
    assert {listener["name"] for listener in listeners} == {"ingress", "statistics"}
    for listener in listeners:
        assert listener["address"]["socket_address"]["address"] == "127.0.0.1"


def test_a_second_workbench_on_the_same_data_folder_is_refused(stack: Stack) -> None:
    refused = pytest.raises(DataFolderError, match=r"is in use by process \d+ \(.*\): stop it, or .* make dev DATA=")
    with refused, data_lock(stack.options.data):
        pass
