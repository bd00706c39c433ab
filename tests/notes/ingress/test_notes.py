"""A note is created, read, replaced and deleted."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.ingress.contract import Contract
from tests.notes.ingress.notes import create

# One character that has two UTF-16 code units, four bytes of UTF-8, and twelve bytes of escaped JSON.
ASTRAL = "\N{ROCKET}"


async def test_a_note_is_created(client: httpx.AsyncClient, contract: Contract, word: str) -> None:
    response = await client.post("/notes", json={"title": word, "body": "At high tide."})

    contract.check(response)
    note = response.json()
    assert response.status_code == 201
    assert (note["title"], note["body"], note["version"]) == (word, "At high tide.", 1)
    assert UUID(note["id"]).version == 7
    assert datetime.fromisoformat(note["created_at"]).tzinfo
    assert note["updated_at"] == note["created_at"]
    assert response.headers["location"] == f"/notes/{note['id']}"
    assert response.headers["etag"] == '"1"'


async def test_a_created_note_is_at_its_location(client: httpx.AsyncClient, contract: Contract, word: str) -> None:
    created = await client.post("/notes", json={"title": word})

    response = await client.get(created.headers["location"])

    contract.check(response)
    assert response.status_code == 200
    assert response.json() == created.json()
    assert response.headers["etag"] == created.headers["etag"]


async def test_the_body_is_empty_by_default(client: httpx.AsyncClient, word: str) -> None:
    response = await client.post("/notes", json={"title": word})

    assert response.json()["body"] == ""


async def test_a_note_with_a_known_etag_is_not_sent_again(
    client: httpx.AsyncClient, contract: Contract, word: str
) -> None:
    path = f"/notes/{(await create(client, word))['id']}"

    for known in ('"1"', 'W/"1"', '"7", "1"', "*"):
        response = await client.get(path, headers={"if-none-match": known})
        contract.check(response)
        assert response.status_code == 304, known
        assert response.headers["etag"] == '"1"'
    assert (await client.get(path, headers={"if-none-match": '"7"'})).status_code == 200


async def test_a_note_is_replaced(client: httpx.AsyncClient, contract: Contract, word: str) -> None:
    note = await create(client, word, "At high tide.")
    path = f"/notes/{note['id']}"

    response = await client.put(path, json={"title": f"{word} again"})

    contract.check(response)
    replaced = response.json()
    assert response.status_code == 200
    assert (replaced["title"], replaced["body"], replaced["version"]) == (f"{word} again", "", 2)
    assert (replaced["id"], replaced["created_at"]) == (note["id"], note["created_at"])
    assert datetime.fromisoformat(replaced["updated_at"]) > datetime.fromisoformat(note["updated_at"])
    assert response.headers["etag"] == '"2"'
    assert (await client.get(path)).json() == replaced
    assert (await client.get(path, headers={"if-none-match": '"1"'})).status_code == 200


async def test_only_the_expected_version_is_replaced(
    client: httpx.AsyncClient, contract: Contract, word: str
) -> None:
    path = f"/notes/{(await create(client, word))['id']}"
    content = {"title": f"{word} again"}

    assert (await client.put(path, json=content, headers={"if-match": '"1"'})).status_code == 200
    for stale in ('"1"', 'W/"2"', '"no version"', ""):
        response = await client.put(path, json={"title": word}, headers={"if-match": stale})
        contract.check(response)
        assert response.status_code == 412, stale
    assert (await client.get(path)).json()["title"] == content["title"]
    for expected in ('"1", "2"', "*"):
        assert (await client.put(path, json=content, headers={"if-match": expected})).status_code == 200


async def test_a_note_is_deleted(client: httpx.AsyncClient, contract: Contract, word: str) -> None:
    path = f"/notes/{(await create(client, word))['id']}"

    response = await client.delete(path)

    contract.check(response)
    assert (response.status_code, response.content) == (204, b"")
    for gone in (
        await client.get(path),
        await client.put(path, json={"title": word}),
        await client.put(path, json={"title": word}, headers={"if-match": '"1"'}),
        await client.delete(path),
    ):
        contract.check(gone)
        assert gone.status_code == 404


async def test_only_the_expected_version_is_deleted(client: httpx.AsyncClient, contract: Contract, word: str) -> None:
    path = f"/notes/{(await create(client, word))['id']}"

    response = await client.delete(path, headers={"if-match": '"2"'})

    contract.check(response)
    assert response.status_code == 412
    assert (await client.delete(path, headers={"if-match": '"1"'})).status_code == 204


async def test_an_unknown_note_is_not_found(client: httpx.AsyncClient, contract: Contract) -> None:
    response = await client.get(f"/notes/{uuid4()}")

    contract.check(response)
    assert response.status_code == 404


@pytest.mark.parametrize("title", ["t", "t" * 200, ASTRAL * 200])
async def test_titles_up_to_200_characters_are_stored(client: httpx.AsyncClient, word: str, title: str) -> None:
    note = await create(client, title, word)

    assert (await client.get(f"/notes/{note['id']}")).json()["title"] == title


@pytest.mark.parametrize("character", ["b", ASTRAL])
async def test_bodies_up_to_10000_characters_are_stored(client: httpx.AsyncClient, word: str, character: str) -> None:
    body = character * 10_000
    note = await create(client, word, body)

    assert (await client.get(f"/notes/{note['id']}")).json()["body"] == body


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "t" * 201}, "title"),
        ({"title": ASTRAL * 201}, "title"),
        ({"title": "t", "body": "b" * 10_001}, "body"),
        ({"title": "t", "body": ASTRAL * 10_001}, "body"),
    ],
    ids=["no title", "long title", "long astral title", "long body", "long astral body"],
)
async def test_longer_titles_and_bodies_are_refused(
    client: httpx.AsyncClient, contract: Contract, word: str, content: dict[str, Any], field: str
) -> None:
    path = f"/notes/{(await create(client, word))['id']}"

    for response in (await client.post("/notes", json=content), await client.put(path, json=content)):
        contract.check(response)
        assert response.status_code == 422
        assert [error["field"] for error in response.json()["errors"]] == [field]
    assert (await client.get(path)).json()["version"] == 1


async def test_the_longest_note_fits_in_a_request_when_fully_escaped(client: httpx.AsyncClient) -> None:
    content = {"title": ASTRAL * 200, "body": ASTRAL * 10_000}
    escaped = json.dumps(content)
    assert len(escaped) > 12 * 10_200

    response = await client.post("/notes", content=escaped, headers={"content-type": "application/json"})
    await client.delete(response.headers["location"])

    assert response.status_code == 201
    assert {name: response.json()[name] for name in content} == content


@pytest.mark.parametrize(
    "text",
    [
        "Ünïcödé, 日本語, עברית",
        f"{ASTRAL} \N{FAMILY}\N{ZERO WIDTH JOINER} e\N{COMBINING ACUTE ACCENT}",
        "\U0010ffff\ufffe\uffff\ue000",  # noncharacters and private use are text too
        " spaces, \t tabs \r\n and lines \u2028 \x01\x1f\x7f ",
        '"quoted" \\ back\\slash / <b>&amp;</b> %00 $1 \' ; --',
    ],
    ids=["scripts", "sequences", "noncharacters", "white space and controls", "syntax of other languages"],
)
async def test_text_is_stored_unchanged(client: httpx.AsyncClient, word: str, text: str) -> None:
    note = await create(client, text, f"{text} {word} {text}")

    read = (await client.get(f"/notes/{note['id']}")).json()

    assert (read["title"], read["body"]) == (text, f"{text} {word} {text}")
