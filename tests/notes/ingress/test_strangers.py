"""What notes add to tests/ingress/test_strangers.py: no search finds the notes of another user."""

from collections.abc import AsyncIterator

import httpx
import pytest

from harness.sign_in import SignIn
from tests.ingress.clients import client_of
from tests.ingress.contract import Contract
from tests.notes.ingress.notes import create, delete_all, search


@pytest.fixture
async def other(ingress_url: str, contract: Contract, admin: SignIn, word: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another user, an admin. Their notes with the word are deleted after the test."""
    if not contract.has_users:
        pytest.skip("the ingress has no users: everything belongs to everyone")
    async with client_of(ingress_url, admin) as client:
        yield client
        await delete_all(client, word)


@pytest.mark.parametrize("query", ["{word}", '"{word} of grace"', "{word} or nothing", "{word} -nothing", "grace"])
async def test_a_search_finds_no_note_of_another_user(
    client: httpx.AsyncClient, other: httpx.AsyncClient, word: str, query: str
) -> None:
    theirs = await create(other, f"{word} of grace", body=word)
    own = await create(client, f"{word} of grace")

    found = await search(client, query.format(word=word))

    assert own in found
    assert theirs not in found
    assert theirs in await search(other, word)
