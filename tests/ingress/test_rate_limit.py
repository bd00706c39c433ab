"""The rate limit of the gateway, k8s/istio/envoyfilter-rate-limit.yaml: each x-api-key has its own bucket."""

import asyncio
import json
import ssl
from dataclasses import dataclass, field
from uuid import uuid4

import httpx

ENOUGH = 20_000  # many times the bucket of a key, including what is refilled during the test
CONNECTIONS = 25

# The gateway counts these requests too, and then answers them itself (test_policy.py). So the test does not depend on
# the speed of the service, which could be less than what is refilled.
ANSWERED_BY_THE_GATEWAY = "user-agent: curl"
RETRY_AFTER = "60"


@dataclass
class Flood:
    """Requests with a key until one is refused, over plain connections: a busy machine sends too few with httpx."""

    url: httpx.URL
    key: str
    passed: int = 0
    refused: tuple[dict[str, str], bytes] | None = None
    """The headers and the body of the first refusal."""
    _request: bytes = field(init=False)

    def __post_init__(self) -> None:
        lines = (
            "GET / HTTP/1.1",
            f"host: {self.url.host}",
            ANSWERED_BY_THE_GATEWAY,
            f"x-api-key: {self.key}",
            "",
            "",
        )
        self._request = "\r\n".join(lines).encode()

    async def until_refused(self) -> tuple[dict[str, str], bytes]:
        await asyncio.gather(*(self._connection() for _ in range(CONNECTIONS)))
        assert self.refused, f"{self.passed} requests passed, and none was refused"
        return self.refused

    async def _connection(self) -> None:
        port = self.url.port or {"http": 80, "https": 443}[self.url.scheme]
        tls = ssl.create_default_context() if self.url.scheme == "https" else None
        reader, writer = await asyncio.open_connection(self.url.host, port, ssl=tls)
        while self.refused is None and self.passed < ENOUGH:
            writer.write(self._request)
            status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            body = await reader.readexactly(int(headers["content-length"]))
            assert status.split()[1] == "429"
            if headers["retry-after"] == RETRY_AFTER:
                self.passed += 1
            else:
                self.refused = self.refused or (headers, body)
        writer.close()


async def test_a_key_that_is_used_too_often_is_refused(client: httpx.AsyncClient) -> None:
    key = uuid4().hex
    first = await client.get("/openapi.json", headers={"x-api-key": key})

    flood = Flood(client.base_url, key)
    headers, body = await flood.until_refused()

    assert first.status_code == 200
    assert first.headers["x-ratelimit-limit"].startswith("50")
    assert flood.passed >= 49
    assert headers["content-type"] == "application/problem+json"
    assert headers["retry-after"] == "1"
    problem = json.loads(body)
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", "Too Many Requests", 429)
    assert problem["request_id"]


async def test_other_clients_are_not_affected(client: httpx.AsyncClient) -> None:
    await Flood(client.base_url, uuid4().hex).until_refused()

    for headers in ({}, {"x-api-key": uuid4().hex}):
        assert (await client.get("/openapi.json", headers=headers)).status_code == 200
