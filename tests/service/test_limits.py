"""What a request may hold: everything else is refused with a problem that names what is wrong."""

import json
from typing import Any

import httpx
import pytest

from tests.service.clients import Clients
from tests.service.problems import problem_of
from tests.service.raw import raw_connection
from tests.service.serving import Service

JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}
A_NOTE = "/notes/01890000-0000-7000-8000-000000000000"


def errors_of(response: httpx.Response) -> dict[str, str]:
    """The wrong fields of a 422 and what is wrong with them."""
    return {error["field"]: error["message"] for error in problem_of(response, 422)["errors"]}


# JSON.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"title": "Launch",}',
        b"{'title': 'Launch'}",
        b'{"title": "Launch"} {}',
        b'{"title": NaN}',
        b'{"title": "Launch", "body": Infinity}',
        b'{"title": "\xff"}',
        b'{"title": "\\ud800"}',
        b'{"title": "\\udc00\\ud800"}',
        b'{"title": "\xed\xa0\x80"}',
        b'{"title": "a\nb"}',
        b"\xff\xfe{\x00}\x00",
        b"[" * 100_000,
        b'{"title":' * 20_000,
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_what_is_no_json_in_utf_8_is_refused(shared_service: Service, body: bytes) -> None:
    for response in (
        await shared_service.api.post("/notes", content=body, headers=JSON),
        await shared_service.api.put(A_NOTE, content=body, headers=JSON),
    ):
        assert errors_of(response)["body"].startswith("not valid JSON: ")


async def test_of_a_repeated_name_the_last_value_counts(shared_service: Service) -> None:
    # As in ECMAScript; RFC 8259 leaves it to the parser.
    response = await shared_service.api.post("/notes", content=b'{"title": "first", "title": "last"}', headers=JSON)

    assert response.status_code == 201
    assert response.json()["title"] == "last"


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


async def test_all_wrong_fields_are_named_at_once(shared_service: Service) -> None:
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
async def test_any_other_text_is_kept_as_it_is(shared_service: Service, text: str) -> None:
    response = await shared_service.api.post("/notes", json={"title": text, "body": text * 50})

    assert response.status_code == 201, response.text
    note = (await shared_service.api.get(response.headers["location"])).json()
    assert (note["title"], note["body"]) == (text, text * 50)


# Bodies.


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_refused(shared_service: Service, chunked: bool) -> None:
    limit = shared_service.settings.max_body
    for length, status in ((limit, 422), (limit + 1, 413)):
        content = b'"' + b"x" * (length - 2) + b'"'
        async with raw_connection(shared_service) as connection:
            how = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % length
            head = b"POST /notes HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n" + how
            await connection.send(head + b"\r\n\r\n")
            if chunked:
                await connection.send_chunk(content)
                await connection.send_chunk(b"")
            else:
                await connection.send(content)
            problem_of(await connection.response(), status)


@pytest.mark.usefixtures("no_linger")
async def test_a_declared_length_over_the_limit_is_refused_without_the_body(shared_service: Service) -> None:
    async with raw_connection(shared_service) as connection:
        await connection.send(
            b"POST /notes HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 9999999\r\n\r\n"
        )
        problem = problem_of(await connection.response(), 413)
    assert "/notes/import" in problem["detail"]


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


# Media types.


@pytest.mark.parametrize("given", [None, "text/plain", "application/x-www-form-urlencoded", "application/x-ndjson"])
async def test_another_media_type_is_refused(shared_service: Service, given: str | None) -> None:
    headers = {"content-type": given} if given else {}

    response = await shared_service.api.post("/notes", content=b'{"title": "Launch"}', headers=headers)

    assert "application/json" in problem_of(response, 415)["detail"]


async def test_an_import_is_ndjson_and_nothing_else(shared_service: Service) -> None:
    response = await shared_service.api.post("/notes/import", content=b'{"title": "Launch"}', headers=JSON)

    assert "application/x-ndjson" in problem_of(response, 415)["detail"]


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
async def test_a_compressed_body_is_refused(shared_service: Service, encoding: str) -> None:
    for path, headers in (("/notes", JSON), ("/notes/import", NDJSON)):
        response = await shared_service.api.post(
            path, content=b'{"title": "Launch"}', headers=headers | {"content-encoding": encoding}
        )

        assert encoding in problem_of(response, 415)["detail"]


@pytest.mark.parametrize("given", ["application/json; charset=utf-8", "Application/JSON"])
async def test_parameters_and_case_of_a_media_type_do_not_matter(shared_service: Service, given: str) -> None:
    response = await shared_service.api.post("/notes", content=b'{"title": "a"}', headers={"content-type": given})

    assert response.status_code == 201


# Parameters and headers.


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


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("POST", "/notes"),
        ("GET", A_NOTE),
        ("PUT", A_NOTE),
        ("DELETE", A_NOTE),
        ("POST", "/notes/import"),
        ("GET", "/notes/export"),
        ("GET", "/notes/events"),
    ],
)
async def test_an_unknown_parameter_is_refused_everywhere(shared_service: Service, method: str, path: str) -> None:
    response = await shared_service.api.request(f"{method}", f"{path}?colour=red", json={"title": "Launch"})

    assert errors_of(response) == {"colour": "is unknown"}


async def test_a_repeated_parameter_is_refused(shared_service: Service) -> None:
    assert errors_of(await shared_service.api.get("/notes?limit=1&limit=2")).keys() == {"limit"}


@pytest.mark.parametrize("key", ["", "a b", "x" * 201, "schlüssel".encode()])
async def test_a_wrong_idempotency_key_is_refused(shared_service: Service, key: str | bytes) -> None:
    value = key.encode() if isinstance(key, str) else key

    response = await shared_service.api.post("/notes", json={"title": "Launch"}, headers={b"idempotency-key": value})

    assert errors_of(response).keys() == {"idempotency-key"}


@pytest.mark.parametrize(
    "id", ["1", "01890000-0000-7000-8000", "01890000-0000-7000-8000-00000000000g", "%00", "a%0Ab"]
)
async def test_what_is_no_id_is_not_found(shared_service: Clients, id: str) -> None:
    problem_of(await shared_service.api.get(f"/notes/{id}"), 404)
