"""What notes, the lines of an import, and the parameters and headers of their routes may contain."""

import json
from typing import Any

import pytest

from tests.service.problems import errors_of, problem_of
from tests.service.serving import Service

JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}
A_NOTE = "/notes/01890000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("note", "field", "message"),
    [
        ({}, "title", "is missing"),
        ({"title": ""}, "title", "at least 1 character"),
        ({"title": "x" * 201}, "title", "at most 200 characters"),
        ({"title": "Launch", "body": "x" * 10_001}, "body", "at most 10000 characters"),
        ({"title": "a\x00b"}, "title", "must not contain the NUL character"),
        ({"title": "Launch", "body": "\x00"}, "body", "must not contain the NUL character"),
        ({"title": None}, "title", "valid string"),
        ({"title": 1}, "title", "valid string"),
        ({"title": True}, "title", "valid string"),
        ({"title": ["Launch"]}, "title", "valid string"),
        ({"title": "Launch", "body": None}, "body", "valid string"),
        ({"title": "Launch", "colour": "red"}, "colour", "is unknown"),
        ({"title": "Launch", "id": "1"}, "id", "is unknown"),
        ({"title": "Launch", "": 1}, "", "is unknown"),
        ([], "body", "must be a JSON object"),
        ("Launch", "body", "must be a JSON object"),
        (1, "body", "must be a JSON object"),
        (None, "body", "must be a JSON object"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_a_wrong_field_is_named(shared_service: Service, note: Any, field: str, message: str) -> None:
    content = json.dumps(note).encode()
    for response in (
        await shared_service.api.post("/notes", content=content, headers=JSON),
        await shared_service.api.put(A_NOTE, content=content, headers=JSON),
    ):
        errors = errors_of(response)
        assert errors.keys() == {field or "body"}
        assert message in errors[field or "body"]


async def test_all_wrong_fields_are_named_together(shared_service: Service) -> None:
    response = await shared_service.api.post("/notes", json={"body": 1, "colour": "red"})

    assert errors_of(response).keys() == {"title", "body", "colour"}


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "x" * 200,
        "\U0001f6a2" * 200,
        "e\u0301" * 100,
        "\x01\x7f\x85\u2028\ufeff",
        "'; DROP TABLE notes; --",
        "\\u0000",
    ],
)
async def test_any_other_text_is_stored_unchanged(shared_service: Service, text: str) -> None:
    response = await shared_service.api.post("/notes", json={"title": text, "body": text * 50})

    assert response.status_code == 201, response.text
    note = (await shared_service.api.get(response.headers["location"])).json()
    assert (note["title"], note["body"]) == (text, text * 50)


async def test_a_note_that_is_too_large_is_refused_with_a_better_way(shared_service: Service) -> None:
    response = await shared_service.api.post(
        "/notes", content=b"x" * (shared_service.settings.max_body + 1), headers=JSON
    )

    assert "/notes/import" in problem_of(response, 413)["detail"]


async def test_a_line_of_an_import_over_the_limit_is_refused_and_named(shared_service: Service) -> None:
    lines = [b'{"title": "fits"}', b'{"title": "' + b"x" * shared_service.settings.max_body + b'"}']

    response = await shared_service.api.post("/notes/import", content=b"\n".join(lines), headers=NDJSON)

    assert problem_of(response, 413)["detail"].startswith("line 2: ")


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        ([b'{"title": "a"}', b"{"], "line 2", "Invalid JSON"),
        ([b'{"title": "a"}', b"", b'{"title": "b"}'], "line 2", "is empty"),
        ([b'{"title": ""}'], "line 1.title", "at least 1 character"),
        ([b'{"title": "a", "colour": 1}'], "line 1.colour", "is unknown"),
        ([b'{"title": "a\\u0000"}'], "line 1.title", "must not contain the NUL character"),
        ([b'{"title": "\xff"}'], "line 1", "Invalid JSON"),
        ([b'{"title": "\\ud800"}'], "line 1", "Invalid JSON"),
        ([b'{"title": "a", "created_at": "2026-01-01"}'], "line 1.created_at", ""),
        ([b'{"title": "a", "created_at": "2026-01-01T00:00:00"}'], "line 1.created_at", "timezone"),
        ([b'{"title": "a", "created_at": "0001-01-01T00:00:00+14:00"}'], "line 1.created_at", "years 1 to 9999"),
        ([b'{"title": "a", "version": 0}'], "line 1.version", ""),
        ([b'{"title": "a", "id": "1"}'], "line 1.id", "UUID"),
        ([b"[" * 100_000], "line 1", "Invalid JSON"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_a_wrong_line_of_an_import_is_named(
    shared_service: Service, lines: list[bytes], line: str, message: str
) -> None:
    before = (await shared_service.api.get("/notes")).json()

    response = await shared_service.api.post("/notes/import", content=b"\n".join(lines), headers=NDJSON)

    errors = errors_of(response)
    assert errors.keys() == {line}
    assert message in errors[line]
    assert (await shared_service.api.get("/notes")).json() == before, "nothing was imported"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=1.5", "limit"),
        ("limit=9999999999999999999999", "limit"),
        ("after=", "after"),
        ("after=AAAAAAAAAAAAAAAAAAAAA", "after"),
        ("after=AAAAAAAAAAAAAAAAAAAAAA%3D%3D", "after"),
        ("q=", "q"),
        ("q=%00", "q"),
        ("q=" + "x" * 201, "q"),
        ("lmit=5", "lmit"),
        ("limit=5&colour=red", "colour"),
    ],
)
async def test_a_wrong_parameter_is_named(shared_service: Service, query: str, field: str) -> None:
    assert errors_of(await shared_service.api.get(f"/notes?{query}")).keys() == {field}
