"""Request bodies: which ones the gateway reads completely before it asks a replica, and which ones it streams."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tests.waiting import eventually
from tests.workbench.ingress.changed_rules import SetRules
from tests.workbench.ingress.gateway import IDEMPOTENT, Gateway, StartGateway, assert_problem
from tests.workbench.ingress.stub_replicas import StubReplica
from workbench.ingress.bootstrap import cluster_name

POOL = "spec.trafficPolicy.connectionPool.http"
STREAMS = f"cluster.{cluster_name('streams')}"
PATCH = "spec.configPatches.*.patch.value"


@asynccontextmanager
async def half_sent(gateway: Gateway, method: str, path: str) -> AsyncIterator[asyncio.StreamWriter]:
    """Sends a request with one of the two bytes of its body."""
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(f"{method} {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n1".encode())
    try:
        yield writer
    finally:
        writer.close()


async def test_a_slow_client_takes_no_slot(start_gateway: StartGateway, set_rules: SetRules) -> None:
    replica = StubReplica()
    rules = set_rules(("destinationrule.yaml", f"{POOL}.http2MaxRequests", 1))
    gateway = await start_gateway(replica, rules=rules)

    async with AsyncExitStack() as slow:
        for method, path in (
            ("POST", "/things"),
            ("PUT", "/things/1"),
            ("GET", "/things"),
            ("GET", "/things/export"),
            ("GET", "/things/events"),
            ("POST", "/things/events"),
        ):
            writer = await slow.enter_async_context(half_sent(gateway, method, path))
        await eventually(lambda: gateway.has("downstream_rq_active", 6, "http.ingress"), "Envoy has all six")
        assert (await gateway.client.post("/things", content=b"12")).status_code == 200
        assert [request.body for request in replica.received] == [b"12"]
        assert await gateway.statistic("upstream_rq_active", STREAMS) == 0

        writer.write(b"2")  # the rest of the last request

        await eventually(lambda: gateway.has("downstream_rq_active", 5, "http.ingress"), "one of them is answered")
    assert [(request.target, request.body) for request in replica.received[1:]] == [("/things/events", b"12")]


async def test_an_import_is_streamed(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(StubReplica())

    async with half_sent(gateway, "POST", "/things/import"):
        await eventually(lambda: gateway.has("upstream_rq_active", 1, STREAMS), "a replica has received it")
    large = await gateway.client.post("/things/import", content=b" " * 3_000_000)

    assert large.status_code == 200


async def test_other_bodies_have_a_maximum_size(start_gateway: StartGateway) -> None:
    replica = StubReplica()
    gateway = await start_gateway(replica)

    assert (await gateway.client.put("/things/1", content=b" " * 327_680)).status_code == 200
    for path, headers in (("/things", {}), ("/things", IDEMPOTENT), ("/nothing", {})):
        response = await gateway.client.post(path, content=b" " * 327_681, headers=headers)
        assert_problem(response, 413)
        assert response.json()["title"] == "Content Too Large"

    assert len(replica.received) == 1


async def test_a_client_that_stops_sending_gets_408(start_gateway: StartGateway, set_rules: SetRules) -> None:
    replica = StubReplica()
    rules = set_rules(("envoyfilter-request-buffer.yaml", f"{PATCH}.route.idle_timeout", "0.1s"))
    gateway = await start_gateway(replica, rules=rules)

    head, body = await gateway.raw(b"POST /things HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n1")

    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["title"] == "Request Timeout"
    assert not replica.received


async def test_a_request_that_takes_too_long_gets_408(start_gateway: StartGateway, set_rules: SetRules) -> None:
    rules = set_rules(("envoyfilter-local-replies.yaml", f"{PATCH}.typed_config.request_timeout", "0.2s"))
    gateway = await start_gateway(StubReplica(), rules=rules)

    head, _ = await gateway.raw(b"POST /things/import HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n1")

    assert head.startswith(b"HTTP/1.1 408 ")
