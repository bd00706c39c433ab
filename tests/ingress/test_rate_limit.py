"""The rate limit of the gateway: each user has a bucket, or, if there are no users, each x-api-key.

The limits are in k8s/components/identity/envoyfilter-rate-limit-users.yaml and k8s/istio/envoyfilter-rate-limit.yaml.
"""

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from uuid import uuid4

import httpx

SignIn = Callable[[str], httpx.Auth | None]

CONNECTIONS = 25
ENOUGH = 50_000  # many times a bucket: on a busy machine, seconds pass in which more is refilled than is sent

# The gateway counts these requests too, and then answers them itself (test_policy.py). So the test does not depend on
# the speed of the service, which could be less than what is refilled.
ANSWERED_BY_THE_GATEWAY = {"user-agent": "curl"}
RETRY_AFTER = "60"


@dataclass
class Flood:
    """Requests with the same headers until one is refused, over plain connections: httpx would send too few."""

    url: httpx.URL
    headers: Mapping[str, str]
    passed: int = 0
    refused: tuple[dict[str, str], bytes] | None = None
    """The headers and the body of the first refusal."""

    async def until_refused(self) -> tuple[dict[str, str], bytes]:
        await asyncio.gather(*(self._connection() for _ in range(CONNECTIONS)))
        assert self.refused, f"{self.passed} requests passed, and none was refused"
        return self.refused

    async def _connection(self) -> None:
        port = self.url.port or {"http": 80, "https": 443}[self.url.scheme]
        tls = ssl.create_default_context() if self.url.scheme == "https" else None
        reader, writer = await asyncio.open_connection(self.url.host, port, ssl=tls)
        sent = {"host": self.url.host, **ANSWERED_BY_THE_GATEWAY, **self.headers}
        lines = ["GET / HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", ""]
        request = "\r\n".join(lines).encode()
        while self.refused is None and self.passed < ENOUGH:
            writer.write(request)
            status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            body = await reader.readexactly(int(headers["content-length"]))
            assert status.split()[1] == "429"
            if headers["retry-after"] == RETRY_AFTER:
                self.passed += 1
            else:
                self.refused = self.refused or (headers, body)
        writer.close()


async def own_bucket(user: httpx.Auth | None) -> dict[str, str]:
    """The headers of a client with a bucket of its own: of a user, or if there are no users, a new key."""
    if user is None:
        return {"x-api-key": uuid4().hex}
    async with aclosing(user.async_auth_flow(httpx.Request("GET", "http://localhost"))) as flow:
        return {"authorization": (await anext(flow)).headers["authorization"]}


async def test_a_client_that_sends_too_much_is_refused(client: httpx.AsyncClient, sign_in: SignIn) -> None:
    headers = await own_bucket(sign_in("grace"))
    first = await client.get("/openapi.json", headers=headers, auth=None)
    assert first.status_code == 200

    flood = Flood(client.base_url, headers)
    refused, body = await flood.until_refused()

    assert flood.passed >= int(first.headers["x-ratelimit-remaining"]) > 0
    assert refused["x-ratelimit-limit"] == first.headers["x-ratelimit-limit"]
    assert refused["content-type"] == "application/problem+json"
    assert refused["retry-after"] == "1"
    problem = json.loads(body)
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", "Too Many Requests", 429)
    assert problem["request_id"]


async def test_other_clients_are_not_affected(client: httpx.AsyncClient, sign_in: SignIn) -> None:
    await Flood(client.base_url, await own_bucket(sign_in("grace"))).until_refused()

    other = await own_bucket(sign_in("ada"))
    for headers in ({}, other):
        assert (await client.get("/openapi.json", headers=headers, auth=None)).status_code == 200
