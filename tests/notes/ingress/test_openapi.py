"""The notes API is described completely, and behaves as described."""

from pathlib import Path

import httpx
import pytest

from tests.ingress import generated
from tests.ingress.contract import Contract
from tests.notes.ingress.notes import create

# The error statuses of each operation, in addition to those of any operation.
PROBLEMS = {
    ("get", "/notes"): {422},
    ("post", "/notes"): {413, 415, 422},
    ("get", "/notes/{note_id}"): {404, 422},
    ("put", "/notes/{note_id}"): {404, 413, 415, 422},
    ("delete", "/notes/{note_id}"): {404, 422},
    ("post", "/notes/import"): {408, 409, 413, 415, 422},
    ("get", "/notes/export"): {422},
    ("get", "/notes/events"): {422},
}
REQUEST_HEADERS = {
    ("post", "/notes"): {"idempotency-key"},
    ("get", "/notes/{note_id}"): {"if-match", "if-none-match"},
    ("put", "/notes/{note_id}"): {"if-match", "if-none-match"},
    ("delete", "/notes/{note_id}"): {"if-match", "if-none-match"},
    ("get", "/notes/events"): {"last-event-id"},
}


def test_every_operation_is_described(contract: Contract) -> None:
    assert {(method, path) for method, path in contract.operations if path.startswith("/notes")} == PROBLEMS.keys()


@pytest.mark.parametrize(("method", "path"), PROBLEMS)
def test_every_problem_of_an_operation_is_described(contract: Contract, method: str, path: str) -> None:
    assert contract.problems(method, path).keys() == PROBLEMS[method, path] | contract.of_any(method, path)
    assert contract.needs_user(method, path) == contract.has_users


@pytest.mark.parametrize(("method", "path"), PROBLEMS)
def test_every_request_header_is_described(contract: Contract, method: str, path: str) -> None:
    assert contract.request_headers(method, path) == REQUEST_HEADERS.get((method, path), set())


async def test_the_stream_of_events_is_described(client: httpx.AsyncClient, contract: Contract) -> None:
    """Generated requests leave out this operation, because its response never ends."""
    async with client.stream("GET", "/notes/events") as response:
        contract.check(response)
        assert response.status_code == 200


async def test_generated_requests_get_described_answers(client: httpx.AsyncClient, word: str) -> None:
    others = [await create(client, word) for _ in range(10)]  # the newest notes, so every list contains them
    note = await create(client, word)
    config = Path(__file__).with_name("schemathesis.toml")
    try:
        tested = await generated.send(
            client, config, "--include-path-regex=^/notes", variables={"NOTE_ID": note["id"]}
        )
    finally:
        await client.delete(f"/notes/{note['id']}")  # it may no longer contain the word

    assert tested == len(PROBLEMS) - 1  # all except the events
    for other in others:
        assert (await client.get(f"/notes/{other['id']}")).json() == other
