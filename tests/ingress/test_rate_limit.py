"""The rate limit of the gateway: each user has a bucket, or, if there are no users, each x-api-key.

The answers tell its size. tests/workbench/ingress/test_rate_limits.py has small buckets, and uses them up: these are
refilled faster than a busy machine sends requests.
"""

from uuid import uuid4

import httpx

from harness.sign_in import NOBODY, SignIn
from tests.ingress.clients import client_of


async def test_who_is_known_has_another_bucket_than_who_is_not(client: httpx.AsyncClient, admin: SignIn) -> None:
    known = {"x-api-key": uuid4().hex} if admin is NOBODY else admin.headers()
    limits = {}

    async with client_of(str(client.base_url)) as plain:
        for name, headers in (("known", known), ("unknown", {})):
            response = await plain.get("/openapi.json", headers=headers)
            assert response.status_code == 200
            limit, remaining, reset = (
                int(response.headers[f"x-ratelimit-{part}"].partition(",")[0])
                for part in ("limit", "remaining", "reset")
            )
            assert 0 <= remaining <= limit
            assert 0 <= reset <= 1
            limits[name] = limit

    assert limits["known"] != limits["unknown"]
