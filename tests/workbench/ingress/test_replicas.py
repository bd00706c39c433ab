"""Replicas that become ready, leave, hang or die."""

import asyncio
from functools import partial

import httpx

from tests.waiting import WITHIN, eventually
from tests.workbench.ingress.gateway import StartGateway, assert_problem
from tests.workbench.ingress.stub_replicas import Held, StubReplica, never, unavailable

FAILURES_IN_A_ROW = 5  # consecutiveLocalOriginFailures in k8s/istio/destinationrule.yaml


async def test_only_ready_replicas_get_requests(start_gateway: StartGateway) -> None:
    leaving, staying = StubReplica(), StubReplica()
    gateway = await start_gateway(leaving, staying)

    leaving.ready = 503
    await eventually(lambda: gateway.is_unusable(leaving), "Envoy has found the replica not ready")
    before = len(leaving.received)
    for _ in range(20):
        assert (await gateway.client.get("/")).status_code == 200
    assert len(leaving.received) == before

    leaving.ready = 200
    await eventually(lambda: gateway.is_usable(leaving), "Envoy has found the replica ready again")
    async with asyncio.timeout(WITHIN):
        while len(leaving.received) == before:
            assert (await gateway.client.get("/")).status_code == 200


async def test_replicas_that_leave_one_after_the_other_get_no_more_requests(start_gateway: StartGateway) -> None:
    *leaving, staying = StubReplica(), StubReplica(), StubReplica()
    gateway = await start_gateway(*leaving, staying)

    for replica in leaving:
        replica.ready = 503
        await eventually(partial(gateway.is_unusable, replica), "Envoy has found the replica not ready")
    before = [len(replica.received) for replica in leaving]
    for _ in range(20):
        assert (await gateway.client.get("/")).status_code == 200

    assert [len(replica.received) for replica in leaving] == before


async def test_a_replica_that_starts_later_gets_requests(start_gateway: StartGateway) -> None:
    late = StubReplica(ready=503)
    gateway = await start_gateway(late, wait=False)
    await eventually(lambda: late.was_checked(3), "Envoy has found it not ready three times")

    late.ready = 200
    await eventually(lambda: gateway.is_usable(late), "Envoy has found the late replica ready")

    assert (await gateway.client.get("/")).status_code == 200


async def test_requests_in_flight_finish_on_a_replica_that_leaves(start_gateway: StartGateway) -> None:
    held = Held(1)
    replica = StubReplica(held)
    gateway = await start_gateway(replica)

    request = asyncio.create_task(gateway.client.get("/"))
    await held.arrived.wait()
    replica.ready = 503
    await eventually(lambda: gateway.is_unusable(replica), "Envoy has found the replica not ready")
    held.released.set()

    assert (await request).content == b"released"


async def test_a_replica_that_dies_with_requests_in_flight_is_ejected(start_gateway: StartGateway) -> None:
    held = Held(1)
    dying, healthy = StubReplica(never), StubReplica(held)
    gateway = await start_gateway(dying, healthy)

    requests: list[asyncio.Task[httpx.Response]] = []

    async def all_arrived() -> bool:
        return len(dying.received) + len(healthy.received) == len(requests)

    # LEAST_REQUEST compares two replicas that it picks at random, so the share of each is not known in advance.
    while len(dying.received) < FAILURES_IN_A_ROW or not healthy.received:
        requests.append(asyncio.create_task(gateway.client.post("/things")))
        await eventually(all_arrived, "the request is in flight")
    assert await gateway.statistic("outlier_detection.ejections_enforced_total") == 0
    for request in dying.received:
        await request.reset()
    held.released.set()
    statuses = [response.status_code for response in await asyncio.gather(*requests)]

    assert statuses.count(503) == len(dying.received)
    assert statuses.count(200) == len(healthy.received)
    assert await gateway.statistic("outlier_detection.ejections_enforced_consecutive_local_origin_failure") == 1
    # Its /readyz answers 200, which ends the ejection.
    await eventually(lambda: gateway.is_usable(dying), "the next readiness check ends the ejection")


async def test_replicas_that_refuse_connections_are_ejected_but_never_all(
    start_gateway: StartGateway,
) -> None:
    replicas = StubReplica(), StubReplica()
    gateway = await start_gateway(*replicas)
    for replica in replicas:
        replica.refuse()

    for response in await asyncio.gather(*(gateway.client.post("/things") for _ in range(20))):
        assert_problem(response, 503)

    assert await gateway.statistic("outlier_detection.ejections_enforced_consecutive_local_origin_failure") > 0
    assert await gateway.statistic("outlier_detection.ejections_overflow") > 0
    assert await gateway.statistic("outlier_detection.ejections_active") <= 1


async def test_error_answers_never_eject_a_replica(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(StubReplica(unavailable), StubReplica(unavailable))

    for _ in range(30):
        assert (await gateway.client.get("/")).status_code == 503

    assert await gateway.statistic("outlier_detection.ejections_detected_consecutive_5xx") == 0
    assert await gateway.statistic("outlier_detection.ejections_enforced_total") == 0
