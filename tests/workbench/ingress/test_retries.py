"""What the gateway repeats, and what it must not."""

import asyncio

import pytest

from tests.waiting import WITHIN
from tests.workbench.ingress.gateway import IDEMPOTENT, EditRules, Gateway, StartGateway, assert_problem
from tests.workbench.ingress.peers import Peer, never, reset, unavailable


async def repeated(gateway: Gateway, method: str, path: str, headers: dict[str, str], *, on: Peer) -> None:
    """Sends requests until one of them was served by this peer after another one had failed it.

    The first to be asked is drawn by lot. So is each other one, up to six times until a new one comes up: about one
    request in four thousand is tried on the same of two replicas three times over, and has failed then.
    """
    async with asyncio.timeout(WITHIN):
        while True:
            response = await gateway.client.request(method, path, headers=headers, content=b"{}")
            if response.status_code == 200 and on.received[-1].headers["x-envoy-attempt-count"] != "1":
                return


async def test_a_plain_write_is_not_repeated_after_a_reset(start_gateway: StartGateway) -> None:
    peers = Peer(reset), Peer(reset)
    gateway = await start_gateway(*peers)

    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert_problem(await gateway.client.request(method, "/notes"), 503)
    assert_problem(await gateway.client.post("/notes", headers={"idempotency-key": ""}), 503)
    assert_problem(await gateway.client.post("/notes/import", headers=IDEMPOTENT), 503)

    assert sum(len(peer.received) for peer in peers) == 6


@pytest.mark.parametrize(("method", "headers"), [("GET", {}), ("HEAD", {}), ("POST", IDEMPOTENT)])
async def test_what_is_safe_to_repeat_goes_to_another_replica_after_a_reset(
    start_gateway: StartGateway, method: str, headers: dict[str, str]
) -> None:
    broken, healthy = Peer(reset), Peer()
    gateway = await start_gateway(broken, healthy)

    await repeated(gateway, method, "/notes", headers, on=healthy)

    assert broken.received


@pytest.mark.parametrize(
    ("method", "headers", "within"), [("GET", {}, "6s"), ("POST", IDEMPOTENT, "7s")], ids=["GET", "POST with a key"]
)
async def test_a_replica_that_hangs_is_given_up_for_another(
    start_gateway: StartGateway, edited_rules: EditRules, method: str, headers: dict[str, str], within: str
) -> None:
    hanging, healthy = Peer(never), Peer()
    rules = edited_rules(("virtualservice.yaml", f"perTryTimeout: {within}", "perTryTimeout: 100ms"))
    gateway = await start_gateway(hanging, healthy, rules=rules)

    await repeated(gateway, method, "/notes", headers, on=healthy)

    assert hanging.received


async def test_a_refused_write_goes_to_another_replica(start_gateway: StartGateway) -> None:
    refusing, healthy = Peer(), Peer()
    gateway = await start_gateway(refusing, healthy)
    refusing.refuse()

    for path in ("/notes", "/notes/import"):
        await repeated(gateway, "POST", path, {}, on=healthy)

    assert not refusing.received
    assert {request.body for request in healthy.received} == {b"{}"}


async def test_the_services_503_is_passed_on_and_not_repeated(start_gateway: StartGateway) -> None:
    peers = Peer(unavailable), Peer(unavailable)
    gateway = await start_gateway(*peers)

    for method, headers in (("GET", {}), ("POST", {}), ("POST", IDEMPOTENT)):
        response = await gateway.client.request(method, "/notes", headers=headers)
        assert (response.status_code, response.content) == (503, b"the service's own 503")

    assert sum(len(peer.received) for peer in peers) == 3


async def test_a_client_cannot_ask_for_more_retries(start_gateway: StartGateway) -> None:
    peers = Peer(unavailable), Peer(unavailable)
    gateway = await start_gateway(*peers)

    await gateway.client.post("/notes", headers={"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "9"})

    assert sum(len(peer.received) for peer in peers) == 1
