"""Operations on notes that several tests need."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import httpx

Note = dict[str, Any]

NDJSON = {"content-type": "application/x-ndjson"}


async def create(client: httpx.AsyncClient, title: str, body: str = "") -> Note:
    response = await client.post("/notes", json={"title": title, "body": body})
    assert response.status_code == 201, response.text
    note: Note = response.json()
    return note


async def import_notes(client: httpx.AsyncClient, notes: Iterable[Note]) -> None:
    response = await client.post("/notes/import", content=ndjson(notes), headers=NDJSON)
    assert response.status_code == 200, response.text


def ndjson(notes: Iterable[Note]) -> bytes:
    return b"".join(json.dumps(note).encode() + b"\n" for note in notes)


async def search(client: httpx.AsyncClient, word: str) -> list[Note]:
    """All notes that contain `word`, newest first."""
    found: list[Note] = []
    path = f"/notes?q={word}&limit=100"
    while path:
        response = await client.get(path)
        assert response.status_code == 200, response.text
        found += response.json()["items"]
        path = response.json()["next"]
    return found


async def delete_all(client: httpx.AsyncClient, word: str) -> None:
    """Deletes the notes that contain `word`."""
    at_once = asyncio.Semaphore(10)

    async def delete(note: Note) -> None:
        async with at_once:
            response = await client.delete(f"/notes/{note['id']}")
        assert response.status_code in {204, 404}, response.text

    await asyncio.gather(*map(delete, await search(client, word)))
