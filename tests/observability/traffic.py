"""Requests to each route of a resource, so that each metric of the service has a value."""

import json
from collections.abc import Mapping

import asyncpg
import httpx

from tests.probe.resource import Resource


async def create(
    client: httpx.AsyncClient, resource: Resource, text: str, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    return await client.post(resource.path, json=resource.body(text), headers=headers)


async def import_lines(
    client: httpx.AsyncClient, resource: Resource, *lines: str, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    headers = {"content-type": "application/x-ndjson", **(headers or {})}
    return await client.post(f"{resource.path}/import", content="\n".join(lines), headers=headers)


async def ask_everything(client: httpx.AsyncClient, resource: Resource) -> None:
    """Sends a request to each route, and one that the ingress refuses."""
    path = (await create(client, resource, "Measured")).headers["location"]
    for url in ("/", resource.path, path, "/nowhere", f"{resource.path}/export"):
        await client.get(url)
    await client.put(path, json=resource.body("Changed"))
    await import_lines(client, resource, json.dumps(resource.body("imported")))
    await client.delete(path)
    await client.get("/", headers={"user-agent": "curl"})
    async with client.stream("GET", f"{resource.path}/events"):
        pass


async def refuse_by_lock(client: httpx.AsyncClient, resource: Resource, database_url: str) -> None:
    """Makes a statement wait for a lock until it times out: an error of the database, and the status 503."""
    superuser = await asyncpg.connect(database_url)
    try:
        async with superuser.transaction():
            await superuser.execute(f"LOCK TABLE {resource.table} IN ACCESS EXCLUSIVE MODE")
            refused = await client.get(resource.path)
    finally:
        await superuser.close()
    assert refused.status_code == 503
