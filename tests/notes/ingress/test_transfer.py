"""Import and export of many notes as lines of JSON."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.ingress.contract import Contract
from tests.notes.ingress.notes import NDJSON, create, delete_all, import_notes, ndjson, search

BODY_LIMIT = 262_144  # bytes; on this route it limits each line instead of the whole body


async def exported(client: httpx.AsyncClient, word: str) -> list[str]:
    """The lines of the export whose title contains `word`. Every line of the export is parsed."""
    async with client.stream("GET", "/notes/export") as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/x-ndjson"
        return [line async for line in response.aiter_lines() if word in json.loads(line)["title"]]


async def import_lines(client: httpx.AsyncClient, *lines: str | bytes) -> httpx.Response:
    content = b"\n".join(line.encode() if isinstance(line, str) else line for line in lines)
    return await client.post("/notes/import", content=content, headers=NDJSON)


def line(title: str, **fields: Any) -> str:
    return json.dumps({"title": title, **fields})


async def test_an_export_can_be_imported_again(client: httpx.AsyncClient, contract: Contract, word: str) -> None:
    response = await import_lines(client, *(line(f"{number} {word} \N{ROCKET}") for number in range(200)))
    contract.check(response)
    assert response.json() == {"imported": 200}
    imported = await search(client, word)
    assert [note["title"] for note in imported] == [f"{number} {word} \N{ROCKET}" for number in reversed(range(200))]
    for note in imported[:3]:
        await client.put(f"/notes/{note['id']}", json={"title": note["title"], "body": "At high tide.\n"})
    before = await search(client, word)
    assert {note["version"] for note in before} == {1, 2}

    lines = await exported(client, word)
    assert [json.loads(line) for line in lines] == before[::-1]  # oldest first
    await delete_all(client, word)
    assert await search(client, word) == []
    response = await import_lines(client, *lines)

    assert response.json() == {"imported": 200}
    assert await search(client, word) == before


async def test_a_line_may_contain_every_field(client: httpx.AsyncClient, word: str) -> None:
    note = {"id": str(uuid4()), "title": word, "body": "At high tide.", "version": 7}
    times = {"created_at": "2001-02-03T04:05:06.789Z", "updated_at": "2002-02-03T04:05:06+02:00"}

    await import_notes(client, [note | times])

    stored = (await client.get(f"/notes/{note['id']}")).json()
    assert {name: stored[name] for name in note} == note
    for name, time in times.items():
        assert datetime.fromisoformat(stored[name]) == datetime.fromisoformat(time)
    [exported_line] = await exported(client, word)
    assert json.loads(exported_line) == stored


async def test_updated_at_defaults_to_created_at(client: httpx.AsyncClient, word: str) -> None:
    await import_notes(client, [{"title": word, "created_at": "2001-02-03T04:05:06Z"}])

    [note] = await search(client, word)

    assert note["updated_at"] == note["created_at"] == "2001-02-03T04:05:06Z"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n \n"], ids=["none", "LF", "CRLF", "blank lines"])
async def test_the_last_line_may_end_in_any_way(client: httpx.AsyncClient, word: str, end: bytes) -> None:
    response = await import_lines(client, line(word), line(word).encode() + end)

    assert response.json() == {"imported": 2}


async def test_an_empty_import_is_allowed(client: httpx.AsyncClient) -> None:
    assert (await import_lines(client)).json() == {"imported": 0}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (b"{", "line 2"),
        (b"[]", "line 2"),
        (b"", "line 2"),
        (b'{"title": "\xff"}', "line 2"),
        (rb'{"title": "\ud800"}', "line 2"),
        (line("t\0"), "line 2.title"),
        (line(""), "line 2.title"),
        (line("t" * 201), "line 2.title"),
        (line("t", body="b" * 10_001), "line 2.body"),
        (line("t", colour="red"), "line 2.colour"),
        (line("t", id="7"), "line 2.id"),
        (line("t", version=0), "line 2.version"),
        (line("t", version=2**63 - 1), "line 2.version"),  # the version of the next change would overflow
        (line("t", created_at="yesterday"), "line 2.created_at"),
        (line("t", created_at="2001-02-03T04:05:06"), "line 2.created_at"),  # without a time zone
        (line("t", created_at="0001-01-01T00:00:00+01:00"), "line 2.created_at"),  # in UTC this is before the year 1
        (line("t", updated_at="9999-12-31T23:59:59-01:00"), "line 2.updated_at"),
    ],
)
async def test_an_invalid_line_is_named_and_nothing_is_imported(
    client: httpx.AsyncClient, contract: Contract, word: str, wrong: str | bytes, field: str
) -> None:
    response = await import_lines(client, line(word), wrong, line(word))

    contract.check(response)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert await search(client, word) == []


async def test_the_line_of_an_existing_id_is_named_and_nothing_is_imported(
    client: httpx.AsyncClient, contract: Contract, word: str
) -> None:
    note = await create(client, word)

    response = await import_lines(client, line(word), line(word), line(word, id=note["id"]), line(word))

    contract.check(response)
    assert response.status_code == 409
    assert "line 3:" in response.json()["detail"]
    assert await search(client, word) == [note]


async def test_a_line_that_is_too_long_is_named_and_nothing_is_imported(
    client: httpx.AsyncClient, contract: Contract, word: str
) -> None:
    longest = line(word).ljust(BODY_LIMIT)

    response = await import_lines(client, line(word), longest + " ", line(word))

    contract.check(response)
    assert response.status_code == 413
    assert "line 2:" in response.json()["detail"]
    assert await search(client, word) == []
    assert (await import_lines(client, longest, longest)).json() == {"imported": 2}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/json"},
        {"content-type": "text/plain"},
        NDJSON | {"content-encoding": "gzip"},
    ],
    ids=["none", "JSON", "text", "compressed"],
)
async def test_another_media_type_is_refused(
    client: httpx.AsyncClient, contract: Contract, word: str, headers: dict[str, str]
) -> None:
    response = await client.post("/notes/import", content=line(word), headers=headers)

    contract.check(response)
    assert response.status_code == 415
    assert await search(client, word) == []


async def test_lines_may_arrive_in_pieces(client: httpx.AsyncClient, word: str) -> None:
    content = ndjson({"title": f"{number} {word} \N{ROCKET}", "body": "\N{ROCKET}"} for number in range(20))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 7):  # splits lines, escape sequences and characters
            yield content[start : start + 7]

    response = await client.post("/notes/import", content=pieces(), headers=NDJSON)

    assert response.json() == {"imported": 20}
    assert len(await search(client, word)) == 20


async def test_an_upload_of_unknown_length_is_one_transaction(
    client: httpx.AsyncClient, contract: Contract, word: str
) -> None:
    """20,000 notes reach the database, but none is stored, because the last note has the id of the first one."""
    note_id = str(uuid4())

    async def upload() -> AsyncIterator[bytes]:
        yield ndjson([{"title": word, "id": note_id}])
        for start in range(2, 20_000, 100):
            yield ndjson({"title": f"{number} {word}"} for number in range(start, min(start + 100, 20_000)))
        yield ndjson([{"title": word, "id": note_id}])

    response = await client.post("/notes/import", content=upload(), headers=NDJSON)

    assert "content-length" not in response.request.headers
    contract.check(response)
    assert response.status_code == 409
    assert "line 20000:" in response.json()["detail"]
    assert await search(client, word) == []
