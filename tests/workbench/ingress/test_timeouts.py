"""How long the gateway waits for replicas and for clients."""

import asyncio
from typing import Any

from tests.workbench.ingress.changed_rules import STREAMS, SetRules
from tests.workbench.ingress.gateway import IDEMPOTENT, StartGateway, assert_problem
from tests.workbench.ingress.stub_replicas import Held, Received, StubReplica, never
from tests.workbench.ingress.translation import routes
from workbench.machine.folders import INGRESS_RULES

SHORT = ("virtualservice.yaml", "spec.http.*.timeout", "200ms")


async def test_a_slow_answer_becomes_504(start_gateway: StartGateway, set_rules: SetRules) -> None:
    replica = StubReplica(never)
    gateway = await start_gateway(replica, rules=set_rules(SHORT))

    for method, headers in (("GET", {}), ("POST", {}), ("POST", IDEMPOTENT)):
        response = await gateway.client.request(method, "/things", headers=headers)
        assert_problem(response, 504)
        assert response.json()["title"] == "Gateway Timeout"
        assert response.json()["request_id"] == replica.received[-1].headers["x-request-id"]
        assert "retry-after" not in response.headers


def test_the_timeouts_of_routes_can_be_left_out() -> None:
    def timeouts(routes: list[dict[str, Any]]) -> set[str]:
        actions = [route["route"] for route in routes if "route" in route]
        retries = [action["retry_policy"].get("per_try_timeout", "0s") for action in actions]
        return {action.get(name, "0s") for action in actions for name in ("timeout", "idle_timeout")} | set(retries)

    assert timeouts(routes(INGRESS_RULES, timeouts=False)) == {"0s"} < timeouts(routes(INGRESS_RULES))


async def test_streams_outlive_the_timeout_of_other_routes(start_gateway: StartGateway, set_rules: SetRules) -> None:
    held = Held(len(STREAMS))

    async def hold_streams(request: Received) -> None:
        await (held(request) if (request.method, request.target) in STREAMS else never(request))

    gateway = await start_gateway(StubReplica(hold_streams), rules=set_rules(SHORT))

    open_streams = [asyncio.create_task(gateway.client.request(*stream)) for stream in STREAMS]
    await held.arrived.wait()
    # It started after the streams and its timeout has expired, so the streams are older than the timeout.
    assert_problem(await gateway.client.get("/things"), 504)
    assert_problem(await gateway.client.delete("/things/events"), 504)  # not a stream with this method
    held.released.set()

    assert [stream.content for stream in await asyncio.gather(*open_streams)] == [b"released"] * 3


async def test_a_client_that_never_ends_its_headers_gets_408(
    start_gateway: StartGateway, set_rules: SetRules
) -> None:
    field = "spec.configPatches.*.patch.value.typed_config.request_headers_timeout"
    rules = set_rules(("envoyfilter-local-replies.yaml", field, "0.1s"))
    gateway = await start_gateway(StubReplica(), rules=rules)

    head, _ = await gateway.raw(b"GET / HTTP/1.1\r\nhost: a\r\nx-slow: 1\r\n")

    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head
