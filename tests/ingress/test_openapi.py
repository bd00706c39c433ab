"""/openapi.json is valid and complete, and the service answers as it says."""

from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import schemathesis

from tests.ingress import generated
from tests.ingress.contract import Contract

HEADERS = {401: {"www-authenticate"}, 429: {"retry-after"}, 503: {"retry-after"}}
"""Those of problems, by status."""
SCHEMES = {("http", "bearer"), ("openIdConnect", None)}


def test_the_document_is_valid(contract: Contract, ingress_url: str) -> None:
    document = deepcopy(contract.document)
    for scheme in document["components"].get("securitySchemes", {}).values():
        if "openIdConnectUrl" in scheme:  # it may be relative, which the schema of Schemathesis does not know yet
            scheme["openIdConnectUrl"] = urljoin(ingress_url, scheme["openIdConnectUrl"])

    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()


def test_every_operation_is_described(contract: Contract) -> None:
    operations = contract.operations.values()

    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] for operation in operations)


def test_every_problem_of_an_operation_is_described(contract: Contract) -> None:
    for method, path in contract.operations:
        problems = contract.problems(method, path)
        assert problems.keys() >= contract.of_any(method, path), (method, path)
        for status, response in problems.items():
            schema = {"$ref": "#/components/schemas/Problem"}
            assert response["content"] == {"application/problem+json": {"schema": schema}}, (method, path, status)
            assert response.get("headers", {}).keys() == HEADERS.get(status, set()), (method, path, status)


def test_without_users_nothing_is_said_of_them(contract: Contract) -> None:
    """And with them, each requirement names one of the ways to sign in."""
    schemes = contract.document["components"].get("securitySchemes", {})
    required = [operation.get("security", []) for operation in contract.operations.values()]
    refusals = {401, 403} & {status for operation in contract.operations for status in contract.problems(*operation)}

    assert {(scheme["type"], scheme.get("scheme")) for scheme in schemes.values()} == (SCHEMES if schemes else set())
    assert {name for needed in required for way in needed for name in way} <= schemes.keys()
    assert not refusals or schemes


async def test_the_gateway_wants_a_token_where_the_description_says_so(
    contract: Contract, nobody: httpx.AsyncClient
) -> None:
    """Asks for each operation without a token, so that nothing is written."""
    for method, path in contract.operations if contract.has_users else ():
        async with nobody.stream(method, contract.some_path(path)) as response:
            await response.aread() if response.status_code >= 400 else None  # else it may be a stream that never ends
            assert (response.status_code == 401) == contract.needs_user(method, path), (method, path)
            if response.status_code == 401:
                contract.check(response)
                assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_token_that_is_not_valid_gets_a_described_answer_everywhere(
    contract: Contract, nobody: httpx.AsyncClient
) -> None:
    for method, path in contract.operations if contract.has_users else ():
        response = await nobody.request(method, contract.some_path(path), headers={"authorization": "Bearer a.b.c"})
        contract.check(response)
        assert response.status_code == 401, (method, path)
        assert 'error="invalid_token"' in response.headers["www-authenticate"]


async def test_a_throttled_client_gets_a_described_answer(client: httpx.AsyncClient, contract: Contract) -> None:
    for path in contract.readable:
        response = await client.get(path, headers={"user-agent": "curl"})
        contract.check(response)
        assert response.status_code == 429


async def test_the_gateway_refuses_with_a_described_answer(client: httpx.AsyncClient, contract: Contract) -> None:
    for path in contract.readable:
        response = await client.get(path, extensions={"target": b"/%00"})
        contract.check(response)
        assert response.status_code == 400


async def test_generated_requests_get_described_answers(client: httpx.AsyncClient, contract: Contract) -> None:
    """Tries all operations that only read, except streams of events, which never end.

    Operations that write are tried by the tests of their domain, which can delete what they create.
    """
    reading = {path: operation for (method, path), operation in contract.operations.items() if method == "get"}
    endless = [path for path, operation in reading.items() if is_endless(operation["responses"]["200"])]
    options = ["--include-method=GET", *(f"--exclude-path={path}" for path in endless)]
    config = Path(__file__).with_name("schemathesis.toml")
    if len(reading) == len(endless):
        return  # a service without a domain; Schemathesis fails if there is nothing to test

    assert await generated.send(client, config, *options) == len(reading) - len(endless)


def is_endless(response: dict[str, Any]) -> bool:
    return "text/event-stream" in response.get("content", {})
