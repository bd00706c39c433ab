"""The rate limit of the gateway, k8s/istio/envoyfilter-rate-limit.yaml: each x-api-key has its own bucket."""

import asyncio
from uuid import uuid4

import httpx

ENOUGH = 2000  # many times the bucket of a key, including what is refilled during the test
AT_A_TIME = 25


async def until_refused(client: httpx.AsyncClient, key: str) -> tuple[list[httpx.Response], httpx.Response]:
    """Sends requests with a key until one gets 429. Returns the answers that passed before, and the refusal."""
    passed: list[httpx.Response] = []
    while len(passed) < ENOUGH:
        answers = await asyncio.gather(*(client.get("/", headers={"x-api-key": key}) for _ in range(AT_A_TIME)))
        passed += [answer for answer in answers if answer.status_code == 200]
        for answer in answers:
            if answer.status_code == 429:
                return passed, answer
    raise AssertionError(f"{len(passed)} requests passed, and none was refused")


async def test_a_key_that_is_used_too_often_is_refused(client: httpx.AsyncClient) -> None:
    passed, refused = await until_refused(client, uuid4().hex)

    assert len(passed) >= 50
    assert passed[0].headers["x-ratelimit-limit"].startswith("50")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "1"
    problem = refused.json()
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", "Too Many Requests", 429)
    assert problem["request_id"]


async def test_other_clients_are_not_affected(client: httpx.AsyncClient) -> None:
    await until_refused(client, uuid4().hex)

    for headers in ({}, {"x-api-key": uuid4().hex}):
        assert (await client.get("/", headers=headers)).status_code == 200
