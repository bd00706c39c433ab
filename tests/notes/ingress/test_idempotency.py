"""Repeated creations with the same Idempotency-Key create one note."""

import asyncio
from uuid import uuid4

import httpx
import pytest

from tests.ingress.contract import Contract
from tests.notes.ingress.notes import search


@pytest.fixture
def key() -> dict[str, str]:
    """A header with a new key."""
    return {"idempotency-key": str(uuid4())}


async def test_concurrent_creations_make_one_note(
    client: httpx.AsyncClient, contract: Contract, word: str, key: dict[str, str]
) -> None:
    responses = await asyncio.gather(*(client.post("/notes", json={"title": word}, headers=key) for _ in range(50)))

    for response in responses:
        contract.check(response)
    assert [response.status_code for response in responses] == [201] * 50
    assert len({response.content for response in responses}) == 1
    assert len({response.headers["location"] for response in responses}) == 1
    replayed = [response.headers.get("idempotency-replayed") for response in responses]
    assert sorted(replayed, key=str) == [None, *["true"] * 49]
    assert await search(client, word) == [responses[0].json()]


async def test_different_content_with_the_same_key_is_refused(
    client: httpx.AsyncClient, contract: Contract, word: str, key: dict[str, str]
) -> None:
    first = await client.post("/notes", json={"title": word}, headers=key)

    for content in ({"title": f"{word} again"}, {"title": word, "body": "At high tide."}):
        response = await client.post("/notes", json=content, headers=key)
        contract.check(response)
        assert response.status_code == 422
        assert [error["field"] for error in response.json()["errors"]] == ["idempotency-key"]
    assert await search(client, word) == [first.json()]


async def test_equivalent_json_is_the_same_content(client: httpx.AsyncClient, word: str, key: dict[str, str]) -> None:
    first = await client.post("/notes", json={"title": word}, headers=key)

    again = f'{{ "body": "", "title": "\\u0077{word[1:]}" }}'
    response = await client.post("/notes", content=again, headers=key | {"content-type": "application/json"})

    assert (response.status_code, response.json()) == (201, first.json())


async def test_the_first_answer_is_repeated_even_if_the_note_has_changed(
    client: httpx.AsyncClient, word: str, key: dict[str, str]
) -> None:
    async def post() -> httpx.Response:
        return await client.post("/notes", json={"title": word}, headers=key)

    first = await post()
    path = first.headers["location"]

    assert (await client.put(path, json={"title": f"{word} again"})).status_code == 200
    after_change = await post()
    assert (await client.delete(path)).status_code == 204
    after_deletion = await post()

    for replay in (after_change, after_deletion):
        assert (replay.status_code, replay.json()) == (201, first.json())
        assert replay.headers["idempotency-replayed"] == "true"
        assert {replay.headers[name] for name in ("location", "etag")} == {path, '"1"'}
    assert await search(client, word) == []


async def test_a_failed_creation_does_not_use_up_its_key(
    client: httpx.AsyncClient, word: str, key: dict[str, str]
) -> None:
    assert (await client.post("/notes", json={"title": ""}, headers=key)).status_code == 422

    response = await client.post("/notes", json={"title": word}, headers=key)

    assert response.status_code == 201
    assert "idempotency-replayed" not in response.headers


async def test_keys_of_200_characters_are_distinguished(client: httpx.AsyncClient, word: str) -> None:
    long = uuid4().hex.ljust(199, "~")

    for key in (f"{long}1", f"{long}2"):
        response = await client.post("/notes", json={"title": word}, headers={"idempotency-key": key})
        assert response.status_code == 201
        assert "idempotency-replayed" not in response.headers


@pytest.mark.parametrize("key", ["", "k" * 201, "two words", "é"], ids=["empty", "long", "space", "not ASCII"])
async def test_an_invalid_key_is_refused(client: httpx.AsyncClient, contract: Contract, word: str, key: str) -> None:
    response = await client.post("/notes", json={"title": word}, headers={b"idempotency-key": key.encode()})

    contract.check(response)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["idempotency-key"]
    assert await search(client, word) == []
