"""The limits on connections and on requests in flight."""

import asyncio

from tests.waiting import eventually
from tests.workbench.ingress.changed_rules import STREAMS, SetRules
from tests.workbench.ingress.gateway import StartGateway, assert_problem
from tests.workbench.ingress.stub_replicas import Held, StubReplica

POOL = "spec.trafficPolicy.connectionPool"


async def test_requests_over_the_limits_are_refused_at_once(start_gateway: StartGateway, set_rules: SetRules) -> None:
    held = Held(1)
    replica = StubReplica(held)
    rules = set_rules(
        ("destinationrule.yaml", f"{POOL}.tcp.maxConnections", 1),
        ("destinationrule.yaml", f"{POOL}.http.http1MaxPendingRequests", 1),
    )
    gateway = await start_gateway(replica, rules=rules)

    served = asyncio.create_task(gateway.client.get("/"))
    await held.arrived.wait()
    waiting = asyncio.create_task(gateway.client.get("/"))
    await eventually(lambda: gateway.has("upstream_rq_pending_active", 1), "a request waits")
    refused = await gateway.client.get("/")
    held.released.set()

    assert_problem(refused, 503)
    assert refused.headers["retry-after"] == "1"
    assert (await served).status_code == (await waiting).status_code == 200
    assert len(replica.received) == 2


async def test_requests_over_their_limit_are_refused_and_streams_are_not(
    start_gateway: StartGateway, set_rules: SetRules
) -> None:
    held = Held(4)
    rules = set_rules(("destinationrule.yaml", f"{POOL}.http.http2MaxRequests", 1))
    gateway = await start_gateway(StubReplica(held), rules=rules)

    targets = (("GET", "/"), *STREAMS)
    served = [asyncio.create_task(gateway.client.request(method, path)) for method, path in targets]
    await held.arrived.wait()
    refused = await gateway.client.get("/")
    held.released.set()

    assert_problem(refused, 503)
    assert refused.headers["retry-after"] == "1"
    assert {response.status_code for response in await asyncio.gather(*served)} == {200}
