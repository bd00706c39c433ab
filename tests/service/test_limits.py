"""What requests may contain: everything else is refused with a problem that names what is wrong."""

import json
from typing import Any

import pytest

from tests.service.clients import Clients
from tests.service.problems import errors_of, problem_of
from tests.service.raw import raw_connection
from tests.service.serving import Service

JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}
A_THING = "/things/01890000-0000-7000-8000-000000000000"


# JSON.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"name": "Launch",}',
        b"{'name': 'Launch'}",
        b'{"name": "Launch"} {}',
        b'{"name": NaN}',
        b'{"name": "Launch", "version": Infinity}',
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'{"name": "\\udc00\\ud800"}',
        b'{"name": "\xed\xa0\x80"}',
        b'{"name": "a\nb"}',
        b"\xff\xfe{\x00}\x00",
        b"[" * 100_000,
        b'{"name":' * 20_000,
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_a_body_that_is_not_json_in_utf_8_is_refused(shared_service: Service, body: bytes) -> None:
    for response in (
        await shared_service.api.post("/things", content=body, headers=JSON),
        await shared_service.api.put(A_THING, content=body, headers=JSON),
    ):
        assert errors_of(response)["body"].startswith("not valid JSON: ")


async def test_the_last_value_of_a_repeated_name_counts(shared_service: Service) -> None:
    # As in ECMAScript; RFC 8259 leaves it to the parser.
    response = await shared_service.api.post("/things", content=b'{"name": "first", "name": "last"}', headers=JSON)

    assert response.status_code == 201
    assert response.json()["name"] == "last"


@pytest.mark.parametrize(
    ("thing", "field", "message"),
    [
        ({}, "name", "is missing"),
        ({"name": ""}, "name", "at least 1 character"),
        ({"name": "x" * 201}, "name", "at most 200 characters"),
        ({"name": "a\x00b"}, "name", "must not contain the NUL character"),
        ({"name": None}, "name", "valid string"),
        ({"name": 1}, "name", "valid string"),
        ({"name": True}, "name", "valid string"),
        ({"name": ["Launch"]}, "name", "valid string"),
        ({"name": "Launch", "colour": "red"}, "colour", "is unknown"),
        ({"name": "Launch", "id": "1"}, "id", "is unknown"),
        ({"name": "Launch", "": 1}, "", "is unknown"),
        ([], "body", "must be a JSON object"),
        ("Launch", "body", "must be a JSON object"),
        (1, "body", "must be a JSON object"),
        (None, "body", "must be a JSON object"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_a_wrong_field_is_named(shared_service: Service, thing: Any, field: str, message: str) -> None:
    content = json.dumps(thing).encode()
    for response in (
        await shared_service.api.post("/things", content=content, headers=JSON),
        await shared_service.api.put(A_THING, content=content, headers=JSON),
    ):
        errors = errors_of(response)
        assert errors.keys() == {field or "body"}
        assert message in errors[field or "body"]


async def test_all_wrong_fields_are_named_together(shared_service: Service) -> None:
    response = await shared_service.api.post("/things", json={"name": 1, "colour": "red"})

    assert errors_of(response).keys() == {"name", "colour"}


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "x" * 200,
        "\U0001f6a2" * 200,
        "e\u0301" * 100,
        "\x01\x7f\x85\u2028\ufeff",
        "'; DROP TABLE things; --",
        "\\u0000",
    ],
)
async def test_any_other_text_is_stored_unchanged(shared_service: Service, text: str) -> None:
    response = await shared_service.api.post("/things", json={"name": text})

    assert response.status_code == 201, response.text
    assert (await shared_service.api.get(response.headers["location"])).json()["name"] == text


# Bodies.


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_refused(shared_service: Service, chunked: bool) -> None:
    limit = shared_service.settings.max_body
    for length, status in ((limit, 422), (limit + 1, 413)):
        content = b'"' + b"x" * (length - 2) + b'"'
        async with raw_connection(shared_service) as connection:
            how = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % length
            head = b"POST /things HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n" + how
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
            b"POST /things HTTP/1.1\r\nHost: test\r\n"
            b"Content-Type: application/json\r\nContent-Length: 9999999\r\n\r\n"
        )
        problem = problem_of(await connection.response(), 413)
    assert "/things/import" in problem["detail"]


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        ([b'{"name": "a"}', b"{"], "line 2", "Invalid JSON"),
        ([b'{"name": ""}'], "line 1.name", "at least 1 character"),
        ([b'{"name": "a", "colour": 1}'], "line 1.colour", "is unknown"),
        ([b'{"name": "\xff"}'], "line 1", "Invalid JSON"),
        ([b"[" * 100_000], "line 1", "Invalid JSON"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_a_wrong_line_of_an_import_is_named(
    shared_service: Service, lines: list[bytes], line: str, message: str
) -> None:
    before = (await shared_service.api.get("/things")).json()

    response = await shared_service.api.post("/things/import", content=b"\n".join(lines), headers=NDJSON)

    errors = errors_of(response)
    assert errors.keys() == {line}
    assert message in errors[line]
    assert (await shared_service.api.get("/things")).json() == before, "nothing was imported"


# Media types.


@pytest.mark.parametrize("given", [None, "text/plain", "application/x-www-form-urlencoded", "application/x-ndjson"])
async def test_another_media_type_is_refused(shared_service: Service, given: str | None) -> None:
    headers = {"content-type": given} if given else {}

    response = await shared_service.api.post("/things", content=b'{"name": "Launch"}', headers=headers)

    assert "application/json" in problem_of(response, 415)["detail"]


async def test_an_import_must_be_ndjson(shared_service: Service) -> None:
    response = await shared_service.api.post("/things/import", content=b'{"name": "Launch"}', headers=JSON)

    assert "application/x-ndjson" in problem_of(response, 415)["detail"]


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
async def test_a_compressed_body_is_refused(shared_service: Service, encoding: str) -> None:
    for path, headers in (("/things", JSON), ("/things/import", NDJSON)):
        response = await shared_service.api.post(
            path, content=b'{"name": "Launch"}', headers=headers | {"content-encoding": encoding}
        )

        assert encoding in problem_of(response, 415)["detail"]


@pytest.mark.parametrize("given", ["application/json; charset=utf-8", "Application/JSON"])
async def test_parameters_and_case_of_a_media_type_are_ignored(shared_service: Service, given: str) -> None:
    response = await shared_service.api.post("/things", content=b'{"name": "a"}', headers={"content-type": given})

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
        ("lmit=5", "lmit"),
        ("limit=5&colour=red", "colour"),
    ],
)
async def test_a_wrong_parameter_is_named(shared_service: Service, query: str, field: str) -> None:
    assert errors_of(await shared_service.api.get(f"/things?{query}")).keys() == {field}


async def test_a_repeated_parameter_is_refused(shared_service: Service) -> None:
    assert errors_of(await shared_service.api.get("/things?limit=1&limit=2")).keys() == {"limit"}


@pytest.mark.parametrize("key", [b"", b"a b", b"x" * 201, "schlüssel".encode()])
async def test_a_wrong_header_is_named(shared_service: Service, key: bytes) -> None:
    response = await shared_service.api.post("/things", json={"name": "Launch"}, headers={b"idempotency-key": key})

    assert errors_of(response).keys() == {"idempotency-key"}


@pytest.mark.parametrize(
    "id", ["1", "01890000-0000-7000-8000", "01890000-0000-7000-8000-00000000000g", "%00", "a%0Ab"]
)
async def test_an_id_that_is_not_a_uuid_is_not_found(shared_service: Clients, id: str) -> None:
    problem_of(await shared_service.api.get(f"/things/{id}"), 404)
