"""Which requests the gateway retries, and which it must not retry."""

import asyncio

import pytest

from tests.waiting import WITHIN
from tests.workbench.ingress.changed_rules import SetRules
from tests.workbench.ingress.gateway import IDEMPOTENT, Gateway, StartGateway, assert_problem
from tests.workbench.ingress.stub_replicas import StubReplica, never, reset, unavailable


async def retried(gateway: Gateway, method: str, path: str, headers: dict[str, str], *, on: StubReplica) -> None:
    """Sends requests until this replica has answered one that failed on another replica.

    Envoy picks a replica at random for each try, up to six times until it picks a new one. About one request in four
    thousand therefore has all its three tries on the same of two replicas, and fails.
    """
    async with asyncio.timeout(WITHIN):
        while True:
            response = await gateway.client.request(method, path, headers=headers, content=b"{}")
            if response.status_code == 200 and on.received[-1].headers["x-envoy-attempt-count"] != "1":
                return


async def test_a_write_without_a_key_is_not_retried_after_a_reset(start_gateway: StartGateway) -> None:
    replicas = StubReplica(reset), StubReplica(reset)
    gateway = await start_gateway(*replicas)

    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert_problem(await gateway.client.request(method, "/things"), 503)
    assert_problem(await gateway.client.post("/things", headers={"idempotency-key": ""}), 503)
    assert_problem(await gateway.client.post("/things/import", headers=IDEMPOTENT), 503)

    assert sum(len(replica.received) for replica in replicas) == 6


@pytest.mark.parametrize(("method", "headers"), [("GET", {}), ("HEAD", {}), ("POST", IDEMPOTENT)])
async def test_a_request_that_is_safe_to_retry_goes_to_another_replica_after_a_reset(
    start_gateway: StartGateway, method: str, headers: dict[str, str]
) -> None:
    broken, healthy = StubReplica(reset), StubReplica()
    gateway = await start_gateway(broken, healthy)

    await retried(gateway, method, "/things", headers, on=healthy)

    assert broken.received


@pytest.mark.parametrize(("method", "headers"), [("GET", {}), ("POST", IDEMPOTENT)], ids=["GET", "POST with a key"])
async def test_a_request_to_a_replica_that_hangs_goes_to_another(
    start_gateway: StartGateway, set_rules: SetRules, method: str, headers: dict[str, str]
) -> None:
    hanging, healthy = StubReplica(never), StubReplica()
    rules = set_rules(("virtualservice.yaml", "spec.http.*.retries.perTryTimeout", "100ms"))
    gateway = await start_gateway(hanging, healthy, rules=rules)

    await retried(gateway, method, "/things", headers, on=healthy)

    assert hanging.received


async def test_a_write_whose_connection_is_refused_goes_to_another_replica(start_gateway: StartGateway) -> None:
    refusing, healthy = StubReplica(), StubReplica()
    gateway = await start_gateway(refusing, healthy)
    refusing.refuse()

    for path in ("/things", "/things/import"):
        await retried(gateway, "POST", path, {}, on=healthy)

    assert not refusing.received
    assert {request.body for request in healthy.received} == {b"{}"}


async def test_the_services_503_is_passed_on_and_not_retried(start_gateway: StartGateway) -> None:
    replicas = StubReplica(unavailable), StubReplica(unavailable)
    gateway = await start_gateway(*replicas)

    for method, headers in (("GET", {}), ("POST", {}), ("POST", IDEMPOTENT)):
        response = await gateway.client.request(method, "/things", headers=headers)
        assert (response.status_code, response.content) == (503, b"the service's own 503")

    assert sum(len(replica.received) for replica in replicas) == 3


async def test_a_client_cannot_ask_for_more_retries(start_gateway: StartGateway) -> None:
    replicas = StubReplica(unavailable), StubReplica(unavailable)
    gateway = await start_gateway(*replicas)

    await gateway.client.post("/things", headers={"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "9"})

    assert sum(len(replica.received) for replica in replicas) == 1
