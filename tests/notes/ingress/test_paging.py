"""Notes are listed page by page while other clients write."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from tests.ingress.contract import Contract
from tests.notes.ingress.notes import Note, create, delete_all, import_notes, search


@pytest.fixture(scope="module")
async def mark(client: httpx.AsyncClient) -> AsyncIterator[str]:
    """A word that all notes of this module contain."""
    mark = f"m{uuid4().hex}"
    yield mark
    await delete_all(client, mark)


@pytest.fixture(scope="module")
async def notes(client: httpx.AsyncClient, mark: str) -> list[Note]:
    """200 notes, newest first. No test changes them."""
    await import_notes(client, ({"title": f"{number} {mark}"} for number in range(200)))
    return await search(client, mark)


@pytest.mark.parametrize("searching", [False, True], ids=["list", "search"])
async def test_pages_contain_every_note_once_while_others_write(
    client: httpx.AsyncClient, contract: Contract, mark: str, word: str, notes: list[Note], *, searching: bool
) -> None:
    written = asyncio.Event()

    async def write() -> None:
        made: deque[Note] = deque()
        while True:
            for _ in range(3):
                made.append(await create(client, f"meanwhile {mark} {word}"))
            await client.delete(f"/notes/{made.popleft()['id']}")
            written.set()

    seen: list[str] = []
    path: str | None = f"/notes?limit=40{f'&q={mark}' if searching else ''}"
    async with asyncio.TaskGroup() as tasks:
        writers = [tasks.create_task(write()) for _ in range(2)]
        while path:
            # Notes were created and deleted since the last page, so counting rows (OFFSET) would give wrong pages.
            written.clear()
            await written.wait()
            response = await client.get(path)
            contract.check(response)
            page = response.json()
            seen += [note["id"] for note in page["items"]]
            path = page["next"]
            assert response.links.get("next", {}).get("url") == path
            if not searching and seen[-1] < notes[-1]["id"]:
                break  # all following notes are older
        for writer in writers:
            writer.cancel()

    assert seen == sorted(set(seen), reverse=True)
    expected = [note["id"] for note in notes]
    assert [note_id for note_id in seen if note_id in expected] == expected


async def test_a_page_has_the_requested_number_of_notes(client: httpx.AsyncClient, notes: list[Note]) -> None:
    for parameters, expected in (("", 20), ("?limit=1", 1), ("?limit=100", 100)):
        assert len((await client.get(f"/notes{parameters}")).json()["items"]) == expected


async def test_the_last_page_has_no_next(client: httpx.AsyncClient, word: str) -> None:
    notes = [await create(client, word) for _ in range(3)]

    first = await client.get(f"/notes?q={word}&limit=2")
    last = await client.get(first.json()["next"])

    assert [*first.json()["items"], *last.json()["items"]] == notes[::-1]
    assert last.json()["next"] is None
    assert "link" not in last.headers
    assert (await client.get(f"/notes?q={word}&limit=3")).json()["next"] is None


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        *(("limit", value) for value in ("0", "101", "-1", "1.5", "many", "")),
        *(("after", value) for value in ("", "x", "x" * 21, "x" * 23, "é" * 22, "x" * 22 + "\n", "x" * 21 + "=")),
        *(("q", value) for value in ("", "q" * 201, "\0")),
    ],
)
async def test_a_problem_names_the_invalid_parameter(
    client: httpx.AsyncClient, contract: Contract, parameter: str, value: str
) -> None:
    response = await client.get(f"/notes?{parameter}={quote(value)}")

    contract.check(response)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [parameter]


async def test_a_search_works_like_a_search_engine(client: httpx.AsyncClient, word: str) -> None:
    high = await create(client, f"High tide {word}", "At noon.")
    low = await create(client, "Low tide", f"At night. {word}")

    async def found(query: str) -> list[Note]:
        items: list[Note] = (await client.get("/notes", params={"q": query})).json()["items"]
        return items

    assert await found(word) == [low, high]
    assert await found(f"{word} tides") == [low, high]  # another form of the same word
    assert await found(f"{word} noon") == [high]
    assert await found(f"{word} -noon") == [low]
    assert await found(f'{word} "high tide"') == [high]
    assert await found(f"{word} noon or {word} night") == [low, high]
    assert await found(f"{word} neap") == []
