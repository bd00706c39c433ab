"""What is read whole before a replica is asked, and what passes as it comes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tests.waiting import eventually
from tests.workbench.ingress.gateway import IDEMPOTENT, EditRules, Gateway, StartGateway, assert_problem
from tests.workbench.ingress.peers import Peer
from workbench.ingress.bootstrap import cluster_name


@asynccontextmanager
async def half_sent(gateway: Gateway, method: str, path: str) -> AsyncIterator[asyncio.StreamWriter]:
    """A request that has sent one of the two bytes of its body."""
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(f"{method} {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n1".encode())
    try:
        yield writer
    finally:
        writer.close()


async def test_who_sends_slowly_takes_no_place(start_gateway: StartGateway, edited_rules: EditRules) -> None:
    peer = Peer()
    rules = edited_rules(("destinationrule.yaml", "http2MaxRequests: 128", "http2MaxRequests: 1"))
    gateway = await start_gateway(peer, rules=rules)

    async with AsyncExitStack() as slow:
        for method, path in (("POST", "/notes"), ("PUT", "/notes/1"), ("GET", "/notes"), ("POST", "/notes/events")):
            writer = await slow.enter_async_context(half_sent(gateway, method, path))
        await eventually(lambda: gateway.has("downstream_rq_active", 4, "http.ingress"), "Envoy has all of them")
        assert (await gateway.client.post("/notes", content=b"12")).status_code == 200
        assert [request.body for request in peer.received] == [b"12"]

        writer.write(b"2")  # the last one sends the rest

        await eventually(lambda: gateway.has("downstream_rq_active", 3, "http.ingress"), "one of them is answered")
    assert [(request.target, request.body) for request in peer.received[1:]] == [("/notes/events", b"12")]


async def test_an_import_passes_as_it_comes(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(Peer())
    of = f"cluster.{cluster_name('streams')}"

    async with half_sent(gateway, "POST", "/notes/import"):
        await eventually(lambda: gateway.has("upstream_rq_active", 1, of), "a replica has got it")
    large = await gateway.client.post("/notes/import", content=b" " * 3_000_000)

    assert large.status_code == 200


async def test_a_body_that_is_no_import_has_an_end(start_gateway: StartGateway) -> None:
    peer = Peer()
    gateway = await start_gateway(peer)

    assert (await gateway.client.put("/notes/1", content=b" " * 327_680)).status_code == 200
    for path, headers in (("/notes", {}), ("/notes", IDEMPOTENT), ("/nothing", {})):
        response = await gateway.client.post(path, content=b" " * 327_681, headers=headers)
        assert_problem(response, 413)
        assert response.json()["title"] == "Content Too Large"

    assert len(peer.received) == 1


async def test_who_stops_sending_is_told(start_gateway: StartGateway, edited_rules: EditRules) -> None:
    peer = Peer()
    rules = edited_rules(("envoyfilter-request-buffer.yaml", "idle_timeout: 20s", "idle_timeout: 0.1s"))
    gateway = await start_gateway(peer, rules=rules)

    head, body = await gateway.raw(b"POST /notes HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n1")

    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["title"] == "Request Timeout"
    assert not peer.received


async def test_a_request_has_an_end(start_gateway: StartGateway, edited_rules: EditRules) -> None:
    rules = edited_rules(("envoyfilter-local-replies.yaml", "request_timeout: 660s", "request_timeout: 0.2s"))
    gateway = await start_gateway(Peer(), rules=rules)

    head, _ = await gateway.raw(b"POST /notes/import HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n1")

    assert head.startswith(b"HTTP/1.1 408 ")
