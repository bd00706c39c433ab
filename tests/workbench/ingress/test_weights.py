"""Several destinations in a route, their weights, and subsets that labels select."""

import io
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import eventually
from tests.workbench.ingress.changed_rules import EditRules
from tests.workbench.ingress.gateway import Gateway, StartGateway
from tests.workbench.ingress.stub_replicas import Received, StubReplica
from tests.workbench.ingress.translation import DESTINATION_RULE, VIRTUAL_SERVICE, cluster, route
from workbench.console import Console
from workbench.ingress.bootstrap import cluster_name
from workbench.ingress.rules import SERVICE_HOST
from workbench.machine import ports
from workbench.parts.envoy import Envoy

FIRST = "    - name: refused\n"
SUBSETS = "  subsets:\n"
VERSIONS = ("stable", "canary", "unused", "missing")

WithRoutes = Callable[..., Path]


def to(subset: str, **fields: object) -> str:
    """A destination, as an item of `route`."""
    more = "".join(f", {name}: {value}" for name, value in fields.items())
    return (
        f"        - {{ destination: {{ host: {SERVICE_HOST}, subset: {subset}, port: {{ number: 80 }} }}{more} }}\n"
    )


def http(name: str, match: str, *lines: str) -> str:
    """A route; a line that begins with `- ` is a destination."""
    fields = "".join(f"      {line}\n" for line in lines if not line.startswith(" "))
    destinations = "".join(line for line in lines if line.startswith(" "))
    return f"    - name: {name}\n      match: [{{ {match} }}]\n{fields}      route:\n{destinations}"


@pytest.fixture
def with_routes(edited_rules: EditRules) -> WithRoutes:
    """Copies the rules of these tests, with routes before the others, and with a subset for each of VERSIONS."""

    def make(*routes: str, policy: str = "") -> Path:
        subsets = "".join(f"    - name: {version}\n      labels: {{ version: {version} }}\n" for version in VERSIONS)
        return edited_rules(
            (VIRTUAL_SERVICE, FIRST, "".join(routes) + FIRST),
            (DESTINATION_RULE, SUBSETS, SUBSETS + subsets),
            (DESTINATION_RULE, "simple: LEAST_REQUEST", policy or "simple: LEAST_REQUEST"),
        )

    return make


def clusters_of(rules: Path, name: str = "shares") -> Any:
    """What a route of Envoy does with a request: the name of a cluster, or names and weights."""
    action = route(rules, name)["route"]
    if "cluster" in action:
        return action["cluster"].split("|")[2]
    return [(one["name"].split("|")[2], one["weight"]) for one in action["weighted_clusters"]["clusters"]]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        # Proportions, whose sum is any number.
        ((90, 10), [("stable", 90), ("canary", 10)]),
        ((1, 2), [("stable", 1), ("canary", 2)]),
        ((900, 100), [("stable", 900), ("canary", 100)]),
        # Without a weight, or with 0, a destination gets nothing beside others.
        ((None, 10), [("canary", 10)]),
        ((100, 0), [("stable", 100)]),
        ((1, 1, 1), [("stable", 1), ("canary", 1), ("unused", 1)]),
        # A single destination gets everything, whatever its weight.
        ((None,), "stable"),
        ((0,), "stable"),
        ((7,), "stable"),
    ],
)
def test_weights_mean_what_they_mean_in_istio(
    with_routes: WithRoutes, weights: tuple[int | None, ...], expected: object
) -> None:
    destinations = [
        to(version) if weight is None else to(version, weight=weight)
        for version, weight in zip(VERSIONS, weights, strict=False)
    ]
    assert clusters_of(with_routes(http("shares", "uri: { prefix: / }", *destinations))) == expected


def test_the_other_fields_of_a_route_with_weights(with_routes: WithRoutes) -> None:
    rules = with_routes(
        http(
            "shares",
            "uri: { prefix: / }",
            "timeout: 7s",
            "retries: { attempts: 3, perTryTimeout: 2s, retryOn: reset }",
            f"mirror: {{ host: {SERVICE_HOST}, subset: unused, port: {{ number: 80 }} }}",
            "headers: { request: { set: { x-route: a } } }",
            to("stable", weight=1, headers="{ response: { remove: [server] } }"),
            to("canary", weight=1),
        ),
        policy="consistentHash: { httpHeaderName: x-shard }",
    )

    found = route(rules, "shares")

    action = found["route"]
    assert action["timeout"] == "7s"
    assert action["request_mirror_policies"][0]["cluster"] == cluster_name("unused")
    assert action["hash_policy"] == [{"header": {"header_name": "x-shard"}}] * 2  # one for each destination
    retries = action["retry_policy"]
    assert (retries["num_retries"], retries["per_try_timeout"], retries["retry_on"]) == (3, "2s", "reset")
    # Not so if a single destination has a hash, see test_clusters.py.
    assert retries["retry_host_predicate"]
    [added] = found["request_headers_to_add"]
    assert added["header"] == {"key": "x-route", "value": "a"}
    stable, canary = action["weighted_clusters"]["clusters"]
    assert (stable["response_headers_to_remove"], canary["response_headers_to_remove"]) == (["server"], [])


def test_the_headers_of_a_single_destination_are_those_of_its_route(with_routes: WithRoutes) -> None:
    rules = with_routes(
        http(
            "alone",
            "uri: { prefix: / }",
            "headers: { request: { set: { x-a: route } } }",
            to("stable", headers="{ request: { set: { x-a: destination } } }"),
        )
    )
    assert [added["header"]["value"] for added in route(rules, "alone")["request_headers_to_add"]] == [
        "route",
        "destination",
    ]


def test_a_subset_with_labels_inherits_the_policy_of_the_rule(with_routes: WithRoutes) -> None:
    rules = with_routes()
    for section in ("circuit_breakers", "outlier_detection", "lb_policy", "connect_timeout"):
        assert cluster(rules, "canary")[section] == cluster(rules)[section]


def replica(**labels: str) -> StubReplica:
    """A replica that answers with its version."""

    async def respond(request: Received) -> None:
        await request.respond(200, labels["version"].encode())

    return StubReplica(respond, labels=labels)


async def answers(gateway: Gateway, path: str, requests: int) -> Counter[str]:
    """What was answered, and how often."""
    return Counter([(await gateway.client.get(path)).text for _ in range(requests)])


async def test_versions_get_their_shares(start_gateway: StartGateway, with_routes: WithRoutes) -> None:
    replicas = replica(version="stable"), replica(version="stable", zone="b"), replica(version="canary")
    unused = replica(version="unused")
    mark = "{ request: { set: { x-asked-for: canary } }, response: { set: { x-version: canary } } }"
    rules = with_routes(
        http("asked-for", "headers: { x-canary: {} }", to("canary")),
        http(
            "shares",
            "uri: { prefix: /shares }",
            "timeout: 7s",
            "retries: { attempts: 1, retryOn: connect-failure }",
            to("stable", weight=3),
            to("canary", weight=1, headers=mark),
            to("unused", weight=0),
        ),
        http(
            "half",
            "uri: { prefix: /half }",
            f"mirror: {{ host: {SERVICE_HOST}, subset: unused, port: {{ number: 80 }} }}",
            to("stable", weight=1),
            to("missing", weight=1),
        ),
        http("all", "uri: { prefix: /all }", to("missing")),
        policy="consistentHash: { httpHeaderName: x-shard }",
    )
    gateway = await start_gateway(*replicas, unused, rules=rules)

    # A share of 1/4 is outside of these limits once in 2e13 runs, and both replicas of `stable` get requests.
    shares = await answers(gateway, "/shares", 300)
    assert shares.keys() == {"stable", "canary"}
    assert 16 <= shares["canary"] <= 134
    assert all(found.received for found in replicas)
    assert not unused.received
    assert {request.headers.get("x-asked-for") for request in replicas[0].received} == {None}
    assert {request.headers.get("x-asked-for") for request in replicas[2].received} == {"canary"}

    for _ in range(20):
        assert (await gateway.client.get("/shares", headers={"x-canary": "1"})).text == "canary"

    # Requests with the same hash go to the same replica of a version; once in 1e15 runs one version gets none.
    for found in replicas:
        found.received.clear()
    for _ in range(120):
        await gateway.client.get("/shares", headers={"x-shard": "ada"})
    assert [bool(found.received) for found in replicas] in ([True, False, True], [False, True, True])

    # The share of a subset without a replica gets 503, as in Istio.
    half = Counter([(await gateway.client.get("/half")).status_code for _ in range(60)])
    assert half.keys() == {200, 503}

    async def copies() -> bool:
        return len(unused.received) == half[200]

    await eventually(copies, "each request that reached a replica has been copied")
    assert (await gateway.client.get("/all")).status_code == 503


async def test_make_dev_names_the_subsets_that_get_requests_and_have_no_replica(with_routes: WithRoutes) -> None:
    rules = with_routes(
        http("all", "uri: { prefix: / }", to("missing")),
        http("none", "uri: { prefix: / }", to("stable", weight=1), to("canary", weight=0)),
    )
    console = io.StringIO()
    [port] = ports.free(1)
    with tempfile.TemporaryDirectory(prefix="ingress-") as run:
        async with replica(version="stable").running() as stable:
            envoy = Envoy(port, [stable.upstream], rules, Path(run), Console(console))
            try:
                await envoy.start()  # although GET / is answered with 503
            finally:
                await envoy.stop()

    [line] = [line for line in console.getvalue().splitlines() if "no replica" in line]
    assert line == (
        f"{rules / DESTINATION_RULE}: no replica has the labels of the subset 'missing' (version: missing), so its "
        "requests get 503: correct the labels, or run two versions with `make dev STABLE=main`"
    )
