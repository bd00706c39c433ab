"""The rate limit of the gateway: each user has a bucket, or, if there are no users, each x-api-key.

The headers of the answers tell. tests/workbench/ingress/test_rate_limits.py has small buckets, and uses them up.
"""

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from harness.sign_in import NOBODY, SignIn, UserOf

TRIES = 50  # a new second fills the bucket; it does not begin between all of so many pairs of requests


def own_bucket(user: SignIn) -> dict[str, str]:
    """The headers of a client that shares its bucket with no other test: of a user, or else with a new key."""
    return {"x-api-key": uuid4().hex} if user is NOBODY else user.headers()


@pytest.fixture
async def plain(client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A client that is nobody in particular."""
    async with httpx.AsyncClient(base_url=client.base_url, timeout=client.timeout) as plain:
        yield plain


async def remaining(client: httpx.AsyncClient, headers: dict[str, str]) -> int:
    response = await client.get("/openapi.json", headers=headers)
    assert response.status_code == 200
    left, limit = int(response.headers["x-ratelimit-remaining"]), response.headers["x-ratelimit-limit"]
    assert 0 <= left <= int(limit.partition(",")[0])
    return left


async def test_each_request_of_a_client_takes_a_token(plain: httpx.AsyncClient, user_of: UserOf) -> None:
    headers = own_bucket(user_of("grace"))

    pairs = [(await remaining(plain, headers), await remaining(plain, headers)) for _ in range(TRIES)]

    assert any(second == first - 1 for first, second in pairs), pairs
