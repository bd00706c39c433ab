"""The rate limit of the gateway, k8s/istio/envoyfilter-rate-limit.yaml: each x-api-key has its own bucket."""

import asyncio
from uuid import uuid4

import httpx

ENOUGH = 2000  # many times the bucket of a key, including what is refilled during the test
AT_A_TIME = 25

# The gateway counts these requests too, and then answers them itself (test_policy.py). So the test does not depend on
# the speed of the service, which could be less than what is refilled.
ANSWERED_BY_THE_GATEWAY = {"user-agent": "curl"}
RETRY_AFTER = "60"


async def until_refused(client: httpx.AsyncClient, key: str) -> tuple[list[httpx.Response], httpx.Response]:
    """Sends requests with a key until its bucket is empty. Returns the answers before that, and the refusal."""
    headers = ANSWERED_BY_THE_GATEWAY | {"x-api-key": key}
    passed: list[httpx.Response] = []
    while len(passed) < ENOUGH:
        answers = await asyncio.gather(*(client.get("/", headers=headers) for _ in range(AT_A_TIME)))
        for answer in answers:
            assert answer.status_code == 429
            if answer.headers["retry-after"] != RETRY_AFTER:
                return passed, answer
            passed.append(answer)
    raise AssertionError(f"{len(passed)} requests passed, and none was refused")


async def test_a_key_that_is_used_too_often_is_refused(client: httpx.AsyncClient) -> None:
    key = uuid4().hex
    first = await client.get("/openapi.json", headers={"x-api-key": key})

    passed, refused = await until_refused(client, key)

    assert first.status_code == 200
    assert first.headers["x-ratelimit-limit"].startswith("50")
    assert len(passed) >= 49
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "1"
    problem = refused.json()
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", "Too Many Requests", 429)
    assert problem["request_id"]


async def test_other_clients_are_not_affected(client: httpx.AsyncClient) -> None:
    await until_refused(client, uuid4().hex)

    for headers in ({}, {"x-api-key": uuid4().hex}):
        assert (await client.get("/openapi.json", headers=headers)).status_code == 200
