"""Errors are problems (RFC 9457) that help the client and reveal nothing about the implementation."""

import httpx
import pytest

from tests.ingress.answers import assert_allows_only, assert_problem, assert_reveals_nothing, assert_secure
from tests.ingress.contract import Contract

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/nothing", "/nothing/", "/openapi.json/"])
async def test_other_paths_are_not_found(client: httpx.AsyncClient, method: str, path: str) -> None:
    assert_problem(await client.request(method, path), 404)


async def test_a_405_lists_the_allowed_methods(client: httpx.AsyncClient) -> None:
    await assert_allows_only(client, "/openapi.json", {"GET", "HEAD", "OPTIONS"})


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/openapi.json", 405)])
async def test_an_early_answer_reaches_a_client_that_is_still_sending(
    client: httpx.AsyncClient, path: str, status: int
) -> None:
    for _ in range(10):
        response = await client.post(path, content=b" " * 300_000, headers=JSON)  # less than the gateway's limit
        assert_problem(response, status)


async def test_the_gateway_refuses_a_very_large_body(client: httpx.AsyncClient) -> None:
    for path in ("/nothing", "/openapi.json"):
        response = await client.post(path, content=b" " * 3_000_000, headers=JSON)
        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["title"] == "Content Too Large"
        assert response.json()["request_id"]


async def test_a_problem_reveals_nothing_about_the_implementation(client: httpx.AsyncClient) -> None:
    for method, path in (("GET", "/nothing"), ("DELETE", "/openapi.json")):
        assert_reveals_nothing(await client.request(method, path))


async def test_every_request_has_a_unique_id(client: httpx.AsyncClient, contract: Contract) -> None:
    paths = ["/openapi.json", "/openapi.json", "/nothing", "/nothing", *contract.readable]

    ids = [(await headers_of(client, "GET", path))["x-request-id"] for path in paths]

    assert len(set(ids)) == len(paths)


async def test_every_answer_names_its_replica_and_version(client: httpx.AsyncClient, contract: Contract) -> None:
    for path in ("/openapi.json", "/nothing", *contract.readable):
        headers = await headers_of(client, "GET", path)
        assert headers["x-service-version"]
        assert headers["x-service-instance"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_every_answer_has_security_headers_and_does_not_name_its_server(
    client: httpx.AsyncClient, contract: Contract, method: str
) -> None:
    for path in ("/openapi.json", "/nothing", *contract.readable):
        for query in ("", "?unknown=1"):  # which operations refuse
            assert_secure(await headers_of(client, method, path + query))


async def test_a_405_has_security_headers_too(client: httpx.AsyncClient) -> None:
    assert_secure(await headers_of(client, "DELETE", "/openapi.json"))


async def headers_of(client: httpx.AsyncClient, method: str, path: str) -> httpx.Headers:
    """Reads only the headers, because a body can be long or endless."""
    async with client.stream(method, path) as response:
        return response.headers


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
async def test_answers_of_the_gateway_have_security_headers_too(client: httpx.AsyncClient, accept: str) -> None:
    response = await client.get("/", headers={"accept": accept}, extensions={"target": b"/%00"})

    assert response.status_code == 400
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert accept != "text/html" or "default-src 'none'" in response.headers["content-security-policy"]
