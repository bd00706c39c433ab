"""/openapi.json is valid, and the API behaves as it says."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis

from tests.ingress.contract import Contract
from tests.ingress.notes import create

ROOT = Path(__file__).parents[2]

# A deeper search: SCHEMATHESIS_EXAMPLES=1000 make test ARGS="-k openapi".
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES") or "25"

# The error statuses of each operation, in addition to those of OF_ANY.
PROBLEMS = {
    ("get", "/"): {422},
    ("get", "/notes"): {422},
    ("post", "/notes"): {413, 415, 422},
    ("get", "/notes/{note_id}"): {404, 422},
    ("put", "/notes/{note_id}"): {404, 412, 413, 415, 422},
    ("delete", "/notes/{note_id}"): {404, 412, 422},
    ("post", "/notes/import"): {408, 409, 413, 415, 422},
    ("get", "/notes/export"): {422},
    ("get", "/notes/events"): {422},
}
OF_ANY = {400, 429, 503, 504}
HAVE_RETRY_AFTER = {429, 503}


@pytest.fixture
def operations(contract: Contract) -> dict[tuple[str, str], dict[str, Any]]:
    paths = contract.document["paths"]
    return {(method, path): paths[path][method] for path in paths for method in paths[path]}


def test_the_document_is_valid(contract: Contract) -> None:
    assert contract.document["openapi"].startswith("3.1.")

    schemathesis.openapi.from_dict(contract.document).validate()


def test_every_operation_is_described(operations: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert operations.keys() == PROBLEMS.keys()
    assert len({operation["operationId"] for operation in operations.values()}) == len(operations)
    assert all(operation["summary"] for operation in operations.values())


@pytest.mark.parametrize(("method", "path"), PROBLEMS)
def test_every_problem_of_an_operation_is_described(
    operations: dict[tuple[str, str], dict[str, Any]], method: str, path: str
) -> None:
    responses = operations[method, path]["responses"]

    problems = {int(status): response for status, response in responses.items() if int(status) >= 400}
    assert problems.keys() == PROBLEMS[method, path] | OF_ANY
    for status, response in problems.items():
        schema = {"$ref": "#/components/schemas/Problem"}
        assert response["content"] == {"application/problem+json": {"schema": schema}}
        assert ("retry-after" in response.get("headers", {})) == (status in HAVE_RETRY_AFTER)


def test_every_request_header_is_described(operations: dict[tuple[str, str], dict[str, Any]]) -> None:
    described = {
        (method, path, parameter["name"])
        for (method, path), operation in operations.items()
        for parameter in operation["parameters"]
        if parameter["in"] == "header"
    }

    assert described == {
        ("post", "/notes", "idempotency-key"),
        ("get", "/notes/{note_id}", "if-none-match"),
        ("put", "/notes/{note_id}", "if-match"),
        ("delete", "/notes/{note_id}", "if-match"),
        ("get", "/notes/events", "last-event-id"),
    }


async def test_a_throttled_client_gets_a_described_answer(client: httpx.AsyncClient, contract: Contract) -> None:
    for path in ("/", "/notes", "/notes/export", "/notes/events"):
        response = await client.get(path, headers={"user-agent": "curl"})
        contract.check(response)
        assert response.status_code == 429


async def test_the_gateway_refuses_with_a_described_answer(client: httpx.AsyncClient, contract: Contract) -> None:
    response = await client.get("/", extensions={"target": b"/%00"})

    contract.check(response)
    assert response.status_code == 400


async def test_the_stream_of_events_is_described(client: httpx.AsyncClient, contract: Contract) -> None:
    """Generated requests leave out this operation, because its response never ends."""
    async with client.stream("GET", "/notes/events") as response:
        contract.check(response)
        assert response.status_code == 200


async def test_generated_requests_get_described_answers(
    client: httpx.AsyncClient,
    ingress_url: str,
    operations: dict[tuple[str, str], dict[str, Any]],
    word: str,
) -> None:
    others = [await create(client, word) for _ in range(10)]  # the newest notes, so every list contains them
    note = await create(client, word)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", "tests/ingress/schemathesis.toml"),
        *("run", f"{ingress_url}/openapi.json", "--max-examples", EXAMPLES, "--no-color"),
        cwd=ROOT,
        env=os.environ | {"NOTE_ID": note["id"]},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
        await client.delete(f"/notes/{note['id']}")  # it may no longer contain the word

    assert process.returncode == 0, output
    assert f"Tested: {len(operations) - 1}\n" in output, output  # all except the events
    for other in others:
        assert (await client.get(f"/notes/{other['id']}")).json() == other
