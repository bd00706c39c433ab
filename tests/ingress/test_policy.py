"""The ingress refuses requests whose User-Agent is exactly `curl`, and no others."""

import asyncio
import shutil

import httpx
import pytest

from tests.ingress.contract import Contract


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_exactly_curl_is_refused_on_every_path(
    client: httpx.AsyncClient, contract: Contract, method: str
) -> None:
    for path in ("/", "/openapi.json", "/nothing", *contract.paths):
        response = await client.request(method, path, headers={"user-agent": "curl"})

        assert response.status_code == 429, path
        assert response.headers["content-type"] == "application/problem+json"
        assert int(response.headers["retry-after"]) > 0
        if method == "HEAD":
            assert response.content == b""
        else:
            problem = response.json()
            assert (problem["type"], problem["status"]) == ("about:blank", 429)
            assert problem["title"] == "Too Many Requests"
            assert "User-Agent" in problem["detail"]


@pytest.mark.parametrize("agent", ["curl/8.5.0", "curl/", "Curl", "CURL", "curl, other", "a curl", "Mozilla/5.0", ""])
async def test_any_other_user_agent_passes(client: httpx.AsyncClient, agent: str) -> None:
    response = await client.get("/openapi.json", headers={"user-agent": agent})

    assert response.status_code == 200


async def test_no_user_agent_passes(client: httpx.AsyncClient) -> None:
    request = client.build_request("GET", "/openapi.json")
    del request.headers["user-agent"]

    assert (await client.send(request)).status_code == 200


async def test_the_real_curl_passes(client: httpx.AsyncClient, ingress_url: str) -> None:
    curl = shutil.which("curl")
    if curl is None:  # sends the same headers instead
        response = await client.get("/openapi.json", headers={"user-agent": "curl/8.5.0", "accept": "*/*"})
        assert response.status_code == 200
        return

    options = ["--disable", "--silent", "--insecure", "--output", "/dev/null", "--write-out", "%{http_code}"]
    process = await asyncio.create_subprocess_exec(
        curl, *options, f"{ingress_url}/openapi.json", stdout=asyncio.subprocess.PIPE
    )
    status, _ = await process.communicate()

    assert status == b"200"
