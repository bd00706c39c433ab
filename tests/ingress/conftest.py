from collections.abc import AsyncIterator

import httpx
import pytest

from tests.ingress.clients import client_of


@pytest.fixture
async def nobody(ingress_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sends no token."""
    async with client_of(ingress_url) as client:
        yield client
