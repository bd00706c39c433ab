"""One request of each operation that a service describes, so that new code is rehearsed with all of them."""

import re
from uuid import UUID

import httpx

from harness.openapi import description
from harness.sign_in import NOBODY, SignIn
from harness.tls import NO_TLS

UNKNOWN = str(UUID(int=7 << 76 | 2 << 62))
"""What no member is called."""

_WITH_BODY = {"post", "put", "patch"}
_METHODS = {"get", "delete"} | _WITH_BODY


async def request_each(url: str, user: SignIn = NOBODY) -> int:
    """Returns how many were sent. Members are unknown and bodies empty, so most that would write answer 4xx."""
    requests = [
        (method, re.sub(r"\{.*?\}", UNKNOWN, path))
        for path, operations in (await description(url))["paths"].items()
        for method in operations
        if method in _METHODS
    ]
    async with httpx.AsyncClient(base_url=url, auth=user, timeout=30, verify=NO_TLS) as client:
        for method, path in requests:
            async with client.stream(method.upper(), path, json={} if method in _WITH_BODY else None) as response:
                async for _ in response.aiter_raw():
                    break  # of a stream, the beginning
    return len(requests)
