"""A client of the ingress. These tests only know its URL, so they run against a workbench or a cluster.

The database may contain other notes, and other clients may use it at the same time. Therefore each test only looks at
its own notes, which contain a word that no other note has.
"""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from tests.ingress.contract import Contract
from tests.ingress.notes import delete_all

ROUTABLE_WITHIN = 60  # seconds; a gateway knows that a replica is ready only some time later


@pytest.fixture(scope="session")
async def client(ingress_url: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"user-agent": "slipway-tests"}
    async with httpx.AsyncClient(base_url=ingress_url, headers=headers, timeout=30) as client:
        await _until_routable(client)
        yield client


async def _until_routable(client: httpx.AsyncClient) -> None:
    answer: object = None
    try:
        async with asyncio.timeout(ROUTABLE_WITHIN):
            while True:
                try:
                    answer = await client.get("/")
                    if answer.status_code == 200:
                        return
                except httpx.TransportError as error:
                    answer = error
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"{client.base_url} did not answer 200 within {ROUTABLE_WITHIN} s; last: {answer!r}")


@pytest.fixture(scope="session")
async def contract(client: httpx.AsyncClient) -> Contract:
    """The responses that /openapi.json describes."""
    return Contract((await client.get("/openapi.json")).json())


@pytest.fixture
async def word(client: httpx.AsyncClient) -> AsyncIterator[str]:
    """A word that no other note contains. Notes that contain it are deleted after the test."""
    word = f"w{uuid4().hex}"
    yield word
    await delete_all(client, word)
