"""Requests to each route of a collection, so that each metric of the service has a value."""

import json
from collections.abc import Callable, Mapping

import asyncpg
import httpx

from tests.probe.collection import Collection


async def create(
    client: httpx.AsyncClient, collection: Collection, text: str, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    return await client.post(collection.path, json=collection.body(text), headers=headers)


async def import_lines(
    client: httpx.AsyncClient, collection: Collection, *lines: str, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    headers = {"content-type": "application/x-ndjson", **(headers or {})}
    return await client.post(f"{collection.path}/import", content="\n".join(lines), headers=headers)


async def ask_everything(client: httpx.AsyncClient, collection: Collection) -> None:
    """Sends a request to each route, and some that the ingress refuses: two of them only if there are users."""
    path = (await create(client, collection, "Measured")).headers["location"]
    for url in ("/", collection.path, path, "/nowhere", f"{collection.path}/export"):
        await client.get(url)
    await client.put(path, json=collection.body("Changed"))
    await import_lines(client, collection, json.dumps(collection.body("imported")))
    await client.delete(path)
    await client.get("/", headers={"user-agent": "curl"})
    for authorization in ("Bearer invalid", "no token"):
        await client.get(collection.path, auth=sending(authorization))
    async with client.stream("GET", f"{collection.path}/events"):
        pass


def sending(authorization: str) -> Callable[[httpx.Request], httpx.Request]:
    """The `auth=` of a request that shall have another header than the client's own."""

    def change(request: httpx.Request) -> httpx.Request:
        request.headers["authorization"] = authorization
        return request

    return change


async def refuse_by_lock(client: httpx.AsyncClient, collection: Collection, database_url: str) -> None:
    """Makes a statement wait for a lock until it times out: an error of the database, and the status 503."""
    superuser = await asyncpg.connect(database_url)
    try:
        async with superuser.transaction():
            await superuser.execute(f"LOCK TABLE {collection.table} IN ACCESS EXCLUSIVE MODE")
            refused = await client.get(collection.path)
    finally:
        await superuser.close()
    assert refused.status_code == 503
