"""Requests of every kind, so that each metric has something to tell."""

import asyncpg
import httpx

NDJSON = {"content-type": "application/x-ndjson"}


async def ask_everything(client: httpx.AsyncClient) -> None:
    """A request to each route, and what the ingress refuses."""
    path = (await client.post("/notes", json={"title": "Measured"})).headers["location"]
    for url in ("/", "/notes", "/notes?q=measured", path, "/nowhere", "/notes/export"):
        await client.get(url)
    await client.put(path, json={"title": "Changed"})
    await client.post("/notes/import", content='{"title": "imported"}', headers=NDJSON)
    await client.delete(path)
    await client.get("/", headers={"user-agent": "curl"})
    async with client.stream("GET", "/notes/events"):
        pass


async def refuse_by_lock(client: httpx.AsyncClient, database_url: str) -> None:
    """A statement waits for a lock for longer than it may: an error of the database, and a 503."""
    superuser = await asyncpg.connect(database_url)
    try:
        async with superuser.transaction():
            await superuser.execute("LOCK TABLE app.notes IN ACCESS EXCLUSIVE MODE")
            refused = await client.get("/notes")
    finally:
        await superuser.close()
    assert refused.status_code == 503
