"""Istio features that k8s/istio does not use, but that a service's own rules may use."""

import pytest

from tests.waiting import eventually
from tests.workbench.ingress.changed_rules import EditRules
from tests.workbench.ingress.gateway import StartGateway
from tests.workbench.ingress.stub_replicas import Received, StubReplica
from tests.workbench.ingress.translation import DESTINATION_RULE, VIRTUAL_SERVICE, route
from workbench.ingress.rules import SERVICE_HOST

FIRST = "    - name: refused\n"


async def test_features_that_a_person_may_add(start_gateway: StartGateway, edited_rules: EditRules) -> None:
    added = """\
    - name: redirected
      match: [{ uri: { exact: /old } }]
      redirect: { uri: /new, authority: a.example, scheme: https, redirectCode: 308 }
    - name: rewritten
      match: [{ uri: { prefix: /v1/ }, headers: { x-version: { prefix: "1." } } }]
      rewrite: { uri: / }
      headers:
        request: { set: { x-set: "1" }, add: { accept: text/plain }, remove: [x-removed] }
        response: { add: { x-added: "2" }, remove: [x-internal] }
      route: [{ destination: { host: THE_SERVICE, port: { number: 80 } } }]
    - name: answered
      match: [{ uri: { regex: "/[Aa]nswered" }, method: { exact: GET } }]
      directResponse: { status: 403 }
"""

    async def respond(request: Received) -> None:
        await request.respond(200, b"ok", "x-internal: secret\r\n")

    replica = StubReplica(respond)
    rules = edited_rules((VIRTUAL_SERVICE, FIRST, added.replace("THE_SERVICE", SERVICE_HOST) + FIRST))
    gateway = await start_gateway(replica, rules=rules)
    get = gateway.client.get

    redirected = await get("/old")
    assert (redirected.status_code, redirected.headers["location"]) == (308, "https://a.example/new")

    rewritten = await get("/v1/things?page=1", headers={"x-version": "1.2", "x-removed": "1", "accept": "a/b"})
    assert replica.received[-1].target == "/things?page=1"
    seen = replica.received[-1].headers
    assert (seen["x-set"], seen["accept"]) == ("1", "a/b,text/plain")
    assert "x-removed" not in seen
    assert rewritten.headers["x-added"] == "2"
    assert "x-internal" not in rewritten.headers
    await get("/v1/things", headers={"x-version": "2.0"})
    assert replica.received[-1].target == "/v1/things"

    assert (await get("/Answered")).status_code == 403
    assert (await get("/answered/")).status_code == 200
    assert (await gateway.client.head("/answered")).status_code == 200


async def test_matches_and_rewrites_that_a_person_may_add(
    start_gateway: StartGateway, edited_rules: EditRules
) -> None:
    added = """\
    - name: canary
      match: [{ headers: { x-canary: {} } }]
      directResponse: { status: 418 }
    - name: tenant
      match: [{ authority: { exact: tenant.example } }]
      rewrite: { authority: internal.example }
      route: [{ destination: { host: THE_SERVICE, port: { number: 80 } } }]
    - name: versions
      match: [{ uri: { regex: "/v[0-9]+/.*" } }]
      rewrite: { uriRegexRewrite: { match: "^/v([0-9]+)/(.*)", rewrite: "/\\\\2/of/\\\\1" } }
      route: [{ destination: { host: THE_SERVICE, port: { number: 80 } } }]
"""
    replica = StubReplica()
    rules = edited_rules((VIRTUAL_SERVICE, FIRST, added.replace("THE_SERVICE", SERVICE_HOST) + FIRST))
    gateway = await start_gateway(replica, rules=rules)
    get = gateway.client.get

    assert (await get("/", headers={"x-canary": "1"})).status_code == 418
    assert (await get("/", headers={"x-canary": ""})).status_code == 418
    assert (await get("/", headers={"x-canaries": "1"})).status_code == 200

    await get("/", headers={"host": "tenant.example"})
    assert replica.received[-1].headers["host"] == "internal.example"
    await get("/", headers={"host": "other.example"})
    assert replica.received[-1].headers["host"] == "other.example"

    await get("/v12/things?page=1")
    assert replica.received[-1].target == "/things/of/12?page=1"


@pytest.mark.parametrize("algorithm", ["ringHash: {}", "maglev: { tableSize: 1009 }"])
async def test_requests_with_the_same_hash_go_to_the_same_replica(
    start_gateway: StartGateway, edited_rules: EditRules, algorithm: str
) -> None:
    replicas = [StubReplica(), StubReplica()]
    by_header = f"consistentHash: {{ httpHeaderName: x-shard, {algorithm} }}"
    rules = edited_rules((DESTINATION_RULE, "simple: LEAST_REQUEST", by_header))
    gateway = await start_gateway(*replicas, rules=rules)
    for _ in range(2):
        for user in range(40):
            await gateway.client.get("/", headers={"x-shard": str(user)})
    first, second = ([request.headers["x-shard"] for request in replica.received] for replica in replicas)
    assert len(first) + len(second) == 80
    assert first
    assert second
    assert not set(first) & set(second)


async def test_a_client_without_the_cookie_gets_one_and_stays_with_its_replica(
    start_gateway: StartGateway, edited_rules: EditRules
) -> None:
    replicas = [StubReplica(), StubReplica()]
    by_cookie = "consistentHash: { httpCookie: { name: user, path: /, ttl: 0s } }"
    gateway = await start_gateway(
        *replicas, rules=edited_rules((DESTINATION_RULE, "simple: LEAST_REQUEST", by_cookie))
    )
    first = await gateway.client.get("/")
    assert first.headers["set-cookie"].startswith("user=")
    for _ in range(20):  # the client sends the cookie
        await gateway.client.get("/")
    assert sorted(len(replica.received) for replica in replicas) == [0, 21]


async def test_a_copy_of_each_request_goes_to_the_mirror(
    start_gateway: StartGateway, edited_rules: EditRules
) -> None:
    replica = StubReplica()
    mirror = f"      mirror: {{ host: {SERVICE_HOST}, subset: streams, port: {{ number: 80 }} }}\n"
    others = "    - name: others\n"
    gateway = await start_gateway(replica, rules=edited_rules((VIRTUAL_SERVICE, others, others + mirror)))
    assert (await gateway.client.get("/", headers={"host": "a.example"})).text == "ok"

    async def both() -> bool:
        return len(replica.received) == 2

    await eventually(both, "the request and its copy have arrived")
    assert [request.headers["host"] for request in replica.received] == ["a.example", "a.example"]


@pytest.mark.parametrize(("written", "share"), [("100", 1_000_000), ("0.5", 5000), ("0", None)])
def test_a_share_of_the_requests_is_mirrored(edited_rules: EditRules, written: str, share: int | None) -> None:
    mirror = f"mirror: {{ host: {SERVICE_HOST}, port: {{ number: 80 }} }}"
    added = f"timeout: 5s\n      {mirror}\n      mirrorPercentage: {{ value: {written} }}"
    action = route(edited_rules((VIRTUAL_SERVICE, "timeout: 5s", added)), "others")["route"]
    policies = action.get("request_mirror_policies", [])
    assert [policy["runtime_fraction"]["default_value"]["numerator"] for policy in policies] == [share] * len(
        policies
    )
    assert bool(policies) == (share is not None)
