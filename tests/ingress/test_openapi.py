"""/openapi.json is valid and complete, and the service answers as it says."""

from pathlib import Path
from typing import Any

import httpx
import schemathesis

from harness.sign_in import SignIn
from tests.ingress import generated
from tests.ingress.contract import OF_ANY, Contract

HAVE_RETRY_AFTER = {429, 503}


def test_the_document_is_valid(contract: Contract) -> None:
    assert contract.document["openapi"].startswith("3.1.")

    schemathesis.openapi.from_dict(contract.document).validate()


def test_every_operation_is_described(contract: Contract) -> None:
    operations = contract.operations.values()

    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] for operation in operations)


def test_every_problem_of_an_operation_is_described(contract: Contract) -> None:
    for method, path in contract.operations:
        problems = contract.problems(method, path)
        assert problems.keys() >= OF_ANY, (method, path)
        for status, response in problems.items():
            schema = {"$ref": "#/components/schemas/Problem"}
            assert response["content"] == {"application/problem+json": {"schema": schema}}, (method, path, status)
            has_retry_after = "retry-after" in response.get("headers", {})
            assert has_retry_after == (status in HAVE_RETRY_AFTER), (method, path, status)


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


async def test_generated_requests_get_described_answers(
    client: httpx.AsyncClient, ingress_url: str, ada: SignIn, contract: Contract
) -> None:
    """Tries all operations that only read, except streams of events, which never end.

    Operations that write are tried by the tests of their domain, which can delete what they create.
    """
    reading = {path: operation for (method, path), operation in contract.operations.items() if method == "get"}
    endless = [path for path, operation in reading.items() if is_endless(operation["responses"]["200"])]
    options = ["--include-method=GET", *(f"--exclude-path={path}" for path in endless)]
    config = Path(__file__).with_name("schemathesis.toml")
    if len(reading) == len(endless):
        return  # a service without a domain; Schemathesis fails if there is nothing to test

    assert await generated.send(ingress_url, ada, config, *options) == len(reading) - len(endless)


def is_endless(response: dict[str, Any]) -> bool:
    return "text/event-stream" in response.get("content", {})
