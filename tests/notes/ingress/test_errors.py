"""Errors of the notes API, and the requests that cause them. tests/ingress/test_errors.py tests errors in general."""

import json

import httpx
import pytest

from tests.ingress.answers import assert_allows_only, assert_problem, assert_reveals_nothing, assert_secure
from tests.ingress.contract import Contract
from tests.notes.ingress.notes import NDJSON, create

JSON = {"content-type": "application/json"}
BODY_LIMIT = 262_144  # bytes


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/notes/", "/notes/7", "/notes/metrics", "/notes/export/"])
async def test_other_paths_are_not_found(client: httpx.AsyncClient, method: str, path: str) -> None:
    assert_problem(await client.request(method, path), 404)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/notes", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("/notes/019b0000-0000-7000-8000-000000000000", {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}),
        ("/notes/import", {"OPTIONS", "POST"}),
        ("/notes/export", {"GET", "HEAD", "OPTIONS"}),
        ("/notes/events", {"GET", "HEAD", "OPTIONS"}),
    ],
)
async def test_a_405_lists_the_allowed_methods(client: httpx.AsyncClient, path: str, allowed: set[str]) -> None:
    await assert_allows_only(client, path, allowed)


async def test_a_body_that_is_too_large_is_refused(client: httpx.AsyncClient, contract: Contract, word: str) -> None:
    path = f"/notes/{(await create(client, word))['id']}"
    content = json.dumps({"title": word}).encode().ljust(BODY_LIMIT + 1)

    for method, target in (("POST", "/notes"), ("PUT", path)):
        response = await client.request(method, target, content=content, headers=JSON)
        contract.check(response)
        assert_problem(response, 413)
    # A body of exactly the limit is accepted.
    assert (await client.put(path, content=content[:-1], headers=JSON)).status_code == 200


@pytest.mark.parametrize(
    ("path", "headers", "status", "fields"),
    [
        ("/notes/export", JSON, 405, []),
        ("/notes", JSON, 413, []),
        ("/notes/import", JSON, 415, []),
        ("/notes/import", NDJSON, 422, ["line 1"]),
    ],
)
async def test_an_early_answer_reaches_a_client_that_is_still_sending(
    client: httpx.AsyncClient, path: str, headers: dict[str, str], status: int, fields: list[str]
) -> None:
    lines = 200_000 if path == "/notes/import" else 20_000  # 3 MB, or less than the limit of the gateway
    content = b"{\n" + b'{"title": "t"}\n' * lines  # the first line is invalid

    for _ in range(10):  # one after another, because only a few imports may run at the same time
        assert_problem(await client.post(path, content=content, headers=headers), status, *fields)


async def test_the_gateway_refuses_a_very_large_body(client: httpx.AsyncClient) -> None:
    response = await client.post("/notes", content=b" " * 3_000_000, headers=JSON)

    assert response.status_code == 413
    assert response.json()["title"] == "Content Too Large"


@pytest.mark.parametrize(
    "headers",
    [{}, {"content-type": "text/plain"}, {"content-type": "application/x-ndjson"}, JSON | {"content-encoding": "br"}],
    ids=["none", "text", "NDJSON", "compressed"],
)
async def test_another_media_type_is_refused(
    client: httpx.AsyncClient, contract: Contract, word: str, headers: dict[str, str]
) -> None:
    path = f"/notes/{(await create(client, word))['id']}"

    for method, target in (("POST", "/notes"), ("PUT", path)):
        response = await client.request(method, target, content=b'{"title": "t"}', headers=headers)
        contract.check(response)
        assert_problem(response, 415)


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (b"", ["body"]),
        (b"{", ["body"]),
        (b"{'title': 't'}", ["body"]),
        (b'{"title": "t"} {}', ["body"]),
        (b'{"title": NaN}', ["body"]),
        (b'{"title": "\xff"}', ["body"]),
        (b"[" * 100_000, ["body"]),
        (b"[]", ["body"]),
        (b"null", ["body"]),
        (rb'{"title": "\ud800"}', ["body"]),  # half of a surrogate pair is not text
        (b'{"title": "\xed\xa0\x80"}', ["body"]),  # the same as invalid UTF-8
        (rb'{"title": "t", "body": "\udc00\ud800"}', ["body"]),
        (rb'{"title": "\u0000"}', ["title"]),
        (rb'{"title": "t", "body": "\u0000"}', ["body"]),
        (b"{}", ["title"]),
        (b'{"title": null}', ["title"]),
        (b'{"title": 1}', ["title"]),
        (b'{"title": "t", "body": null}', ["body"]),
        (b'{"title": "t", "colour": "red"}', ["colour"]),
        (b'{"title": "", "body": 1, "version": 7}', ["title", "body", "version"]),
    ],
)
async def test_a_problem_names_the_invalid_fields(
    client: httpx.AsyncClient, contract: Contract, word: str, content: bytes, fields: list[str]
) -> None:
    path = f"/notes/{(await create(client, word))['id']}"

    for method, target in (("POST", "/notes"), ("PUT", path)):
        response = await client.request(method, target, content=content, headers=JSON)
        contract.check(response)
        assert_problem(response, 422, *fields)


async def test_a_problem_names_unknown_parameters(client: httpx.AsyncClient, contract: Contract, word: str) -> None:
    path = f"/notes/{(await create(client, word))['id']}"
    for method, target, given in (
        ("GET", "/notes", {}),
        ("POST", "/notes", {"json": {"title": word}}),
        ("GET", path, {}),
        ("PUT", path, {"json": {"title": word}}),
        ("DELETE", path, {}),
        ("POST", "/notes/import", {"content": b"", "headers": NDJSON}),
        ("GET", "/notes/export", {}),
        ("GET", "/notes/events", {}),
    ):
        response = await client.request(method, f"{target}?limits=7", **given)
        contract.check(response)
        assert_problem(response, 422, "limits")
    assert (await client.get(path)).json()["version"] == 1


async def test_a_problem_reveals_nothing_about_the_implementation(client: httpx.AsyncClient) -> None:
    for response in (
        await client.post("/notes", content=b"{", headers=JSON),
        await client.post("/notes", json=[]),
        await client.post("/notes", json={"title": 1}),
        await client.get("/notes?after=x"),
        await client.post("/notes/import", content=b"{}", headers=NDJSON),
    ):
        assert_reveals_nothing(response)
        for word in ("NoteContent", "ImportedNote"):
            assert word not in response.text


async def test_a_refused_request_changes_nothing(client: httpx.AsyncClient, word: str) -> None:
    response = await client.post("/notes", json={"title": word}, headers={"user-agent": "curl"})

    assert response.status_code == 429
    assert (await client.get("/notes", params={"q": word})).json()["items"] == []


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/notes"), ("GET", "/notes?limit=0")])
async def test_every_error_has_security_headers(client: httpx.AsyncClient, method: str, path: str) -> None:
    assert_secure((await client.request(method, path)).headers)
