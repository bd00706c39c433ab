"""Answers that the gateway gives itself."""

import json
import re

from tests.workbench.ingress.gateway import StartGateway, assert_problem
from tests.workbench.ingress.stub_replicas import StubReplica


async def test_without_a_ready_replica_the_gateway_answers_503(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(StubReplica(ready=503), wait=False)

    response = await gateway.client.get("/things")

    assert_problem(response, 503)
    assert response.headers["retry-after"] == "1"
    assert response.json()["title"] == "Service Unavailable"
    assert response.json()["request_id"]


async def test_a_browser_gets_an_error_page(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(StubReplica(ready=503), wait=False)

    response = await gateway.client.get("/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert "Error 503" in response.text
    assert re.search(r"Request id <code>[0-9a-f-]{36}</code>", response.text)
    assert_problem(await gateway.client.get("/", headers={"accept": "application/json, text/html"}), 503)


async def test_an_invalid_request_gets_a_problem(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(StubReplica())

    head, body = await gateway.raw(b"GET / HTTP/1.1\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["detail"].endswith("missing_host_header")
