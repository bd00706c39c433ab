"""Errors, headers and description of the routes of the page: `/`, `/docs` and `/static/<name>`."""

import httpx
import pytest

from tests.ingress.answers import assert_allows_only, assert_problem, assert_secure
from tests.ingress.contract import Contract


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_a_folder_is_not_found(client: httpx.AsyncClient, method: str) -> None:
    assert_problem(await client.request(method, "/static/"), 404)


@pytest.mark.parametrize("name", ["app.py", "docs.html", "..%2fmodels.py", "%2e%2e%2froutes.py"])
async def test_other_files_are_not_found(client: httpx.AsyncClient, name: str) -> None:
    assert_problem(await client.get(f"/static/{name}"), 404)


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_a_405_lists_the_allowed_methods(client: httpx.AsyncClient, path: str) -> None:
    await assert_allows_only(client, path, {"GET", "HEAD", "OPTIONS"})


async def test_a_problem_names_unknown_parameters(client: httpx.AsyncClient, contract: Contract) -> None:
    response = await client.get("/?limits=7")

    contract.check(response)
    assert_problem(response, 422, "limits")


@pytest.mark.parametrize("path", ["/docs", "/static/docs.js"])
async def test_every_answer_has_the_headers_of_the_service(client: httpx.AsyncClient, path: str) -> None:
    first, second = (await client.get(path)).headers, (await client.get(path)).headers

    assert_secure(first)
    assert first["x-service-version"]
    assert first["x-service-instance"]
    assert first["x-request-id"] != second["x-request-id"]


@pytest.mark.parametrize("path", ["/docs", "/static/docs.js"])
async def test_exactly_curl_is_refused(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path, headers={"user-agent": "curl"})).status_code == 429


def test_the_root_is_described(contract: Contract) -> None:
    assert contract.problems("get", "/").keys() == {422} | contract.of_any("get", "/")
    assert contract.request_headers("get", "/") == set()
    assert not contract.needs_user("get", "/")
