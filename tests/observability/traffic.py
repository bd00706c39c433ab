"""The example domain. No other module of these tests names its routes, its statements or its table."""

from collections.abc import Mapping

import asyncpg
import httpx

COLLECTION = "/notes"
ITEM = "/notes/<uuid:note_id>"  # as the route is called
IMPORT = "/notes/import"
EXPORT = "/notes/export"
EVENTS = "/notes/events"

# The names of the statements that the routes run.
CREATES, GETS, LISTS, IMPORTS, EXPORTS = "note_create", "note_get", "note_list", "note_import", "note_export"
TABLE = "notes"

_ID = "0190b6a4-0000-7000-8000-000000000001"
DUPLICATES = 2 * f'{{"title": "twice", "id": "{_ID}", "created_at": "2026-01-01T00:00:00Z"}}\n'
"""The body of an import that violates a unique constraint."""


async def create(client: httpx.AsyncClient, title: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
    return await client.post(COLLECTION, json={"title": title}, headers=headers)


async def import_lines(
    client: httpx.AsyncClient, lines: str, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    return await client.post(
        IMPORT, content=lines, headers={"content-type": "application/x-ndjson", **(headers or {})}
    )


async def ask_everything(client: httpx.AsyncClient) -> None:
    """Sends a request to each route, and one that the ingress refuses, so that each metric has a value."""
    path = (await create(client, "Measured")).headers["location"]
    for url in ("/", COLLECTION, f"{COLLECTION}?q=measured", path, "/nowhere", EXPORT):
        await client.get(url)
    await client.put(path, json={"title": "Changed"})
    await import_lines(client, '{"title": "imported"}')
    await client.delete(path)
    await client.get("/", headers={"user-agent": "curl"})
    async with client.stream("GET", EVENTS):
        pass


async def refuse_by_lock(client: httpx.AsyncClient, database_url: str) -> None:
    """Makes a statement wait for a lock until it times out: an error of the database, and the status 503."""
    superuser = await asyncpg.connect(database_url)
    try:
        async with superuser.transaction():
            await superuser.execute(f"LOCK TABLE app.{TABLE} IN ACCESS EXCLUSIVE MODE")
            refused = await client.get(COLLECTION)
    finally:
        await superuser.close()
    assert refused.status_code == 503
