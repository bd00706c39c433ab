"""Targets that are no plain path, and WebSocket handshakes: the ingress passes them on at once, or refuses them."""

import asyncio
import ssl

import httpx
import pytest

from tests.ingress.answers import assert_problem
from tests.ingress.contract import Contract
from tests.service.websockets import UPGRADE, handshake
from tests.waiting import WITHIN


async def ask(url: str, request: bytes) -> httpx.Response:
    """Sends these bytes and receives a response with a Content-Length."""
    target = httpx.URL(url)
    tls = ssl.create_default_context() if target.scheme == "https" else None
    if tls:
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    async with asyncio.timeout(WITHIN):
        reader, writer = await asyncio.open_connection(target.host, target.port or (443 if tls else 80), ssl=tls)
        try:
            writer.write(request)
            status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
            headers = httpx.Headers([(name, value) for name, _, value in (line.partition(": ") for line in lines)])
            length = 0 if request.startswith(b"HEAD ") else int(headers.get("content-length", 0))
            body = await reader.readexactly(length)
        finally:
            writer.transport.abort()
    return httpx.Response(int(status.split(" ")[1]), headers=headers, content=body)


@pytest.fixture
async def user(client: httpx.AsyncClient) -> str:
    """The line of a request that says whose it is; empty without users."""
    authorization = (await client.get("/")).request.headers.get("authorization")
    return f"Authorization: {authorization}\r\n" if authorization else ""


async def test_a_handshake_is_refused_at_once_on_every_path(ingress_url: str, contract: Contract, user: str) -> None:
    for path in ("/", "/nothing", "/openapi.json", "/any/events", "/any/export", "/any/import", *contract.paths):
        response = await ask(ingress_url, handshake(path, user))

        assert_problem(response, 404)
        assert "WebSocket" in response.json()["detail"], "it is the service's answer"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/openapi.json", "/any/import", "/any/events"])
async def test_an_incomplete_handshake_is_refused_at_once(
    ingress_url: str, user: str, method: str, path: str
) -> None:
    request = f"{method} {path} HTTP/1.1\r\nHost: test\r\n{UPGRADE}{user}\r\n"
    response = await ask(ingress_url, request.encode())

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("header", ["Upgrade: websocket\r\n", "Connection: upgrade\r\nUpgrade: irc\r\n"])
async def test_a_request_that_asks_for_no_websocket_does_not_wait(ingress_url: str, header: str) -> None:
    response = await ask(ingress_url, f"GET /openapi.json HTTP/1.1\r\nHost: test\r\n{header}\r\n".encode())

    assert response.status_code in {200, 403}, "Envoy refuses to upgrade to what it does not know"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_target_can_be_an_http_url(ingress_url: str, contract: Contract, user: str, method: str) -> None:
    for path in ("/openapi.json", *(path for path in contract.paths if "{" not in path)):
        target = f"http://a.example{path}"
        plain, absolute = [
            await ask(ingress_url, f"{method} {target} HTTP/1.1\r\nHost: a.example\r\n{user}\r\n".encode())
            for target in (path, target)
        ]

        assert absolute.status_code == plain.status_code, path
        assert absolute.status_code < 500


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "target", ["*", "//a.example/openapi.json", "//openapi.json", "openapi.json", "ftp://a.example/", "http:///docs"]
)
async def test_any_other_target_is_refused(ingress_url: str, user: str, method: str, target: str) -> None:
    response = await ask(ingress_url, f"{method} {target} HTTP/1.1\r\nHost: test\r\n{user}\r\n".encode())

    assert 400 <= response.status_code < 500 or (method, target) == ("OPTIONS", "*"), response.text
