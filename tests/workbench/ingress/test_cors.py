"""A corsPolicy: pages of other origins may use the routes that have one, and preflights reach no replica."""

import re

import httpx
import pytest
import yaml

from tests.workbench.ingress.changed_rules import STREAMS, EditRules, SetRules
from tests.workbench.ingress.gateway import Gateway, StartGateway
from tests.workbench.ingress.stub_replicas import StubReplica
from tests.workbench.ingress.translation import VIRTUAL_SERVICE, assert_refused, connection_manager
from workbench.ingress.routes import CORS
from workbench.machine.folders import ROOT

POLICY = """\
      corsPolicy:
        allowOrigins:
          - exact: https://app.example
          - prefix: http://localhost
          - regex: https://[a-z]+\\.preview\\.example
        allowMethods: [GET, POST, PUT, DELETE]
        allowHeaders: [content-type, if-match]
        exposeHeaders: [ETag, Location, Link, x-request-id]
        allowCredentials: true
        maxAge: 10m
"""
ROUTE = "    - name: others\n"
ALLOWED = ["https://app.example", "http://localhost:5173", "https://pr.preview.example"]
OTHERS = ["https://app.example.org", "https://a.b.preview.example", "https://PR.preview.example", "null"]


def with_policy(policy: str = POLICY) -> tuple[str, str, str]:
    return VIRTUAL_SERVICE, ROUTE, ROUTE + policy


async def preflight(gateway: Gateway, origin: str) -> httpx.Response:
    headers = {"origin": origin, "access-control-request-method": "PUT"}
    return await gateway.client.options("/a", headers=headers)


async def test_other_origins_may_use_a_route_with_a_policy(
    start_gateway: StartGateway, edited_rules: EditRules
) -> None:
    replica = StubReplica()
    gateway = await start_gateway(replica, rules=edited_rules(with_policy()))
    for origin in ALLOWED:
        answer = await preflight(gateway, origin)
        assert answer.status_code == 200
        assert cors_headers(answer) == {
            "allow-origin": origin,
            "allow-credentials": "true",
            "allow-methods": "GET,POST,PUT,DELETE",
            "allow-headers": "content-type,if-match",
            "expose-headers": "ETag,Location,Link,x-request-id",
            "max-age": "600",
        }
    assert replica.received == []

    for origin in ALLOWED:
        answer = await gateway.client.get("/a", headers={"origin": origin})
        assert answer.text == "ok"
        assert cors_headers(answer) == {
            "allow-origin": origin,
            "allow-credentials": "true",
            "expose-headers": "ETag,Location,Link,x-request-id",
        }
    for origin in OTHERS:
        assert cors_headers(await preflight(gateway, origin)) == {}
        assert cors_headers(await gateway.client.get("/a", headers={"origin": origin})) == {}
    preflights = [request for request in replica.received if request.method == "OPTIONS"]
    assert len(preflights) == len(OTHERS)  # forwarded, by default
    assert cors_headers(await gateway.client.options("/a")) == {}


async def test_preflights_of_other_origins_reach_no_replica_if_they_are_ignored(
    start_gateway: StartGateway, edited_rules: EditRules
) -> None:
    replica = StubReplica()
    policy = with_policy(f"{POLICY}        unmatchedPreflights: IGNORE\n")
    gateway = await start_gateway(replica, rules=edited_rules(policy))
    for origin in [*ALLOWED, *OTHERS]:
        answer = await preflight(gateway, origin)
        assert answer.status_code == 200
        assert cors_headers(answer).get("allow-origin") == (origin if origin in ALLOWED else None)
    assert replica.received == []
    await gateway.client.options("/a", headers={"origin": ALLOWED[0]})  # not a preflight: it names no method
    assert [request.method for request in replica.received] == ["OPTIONS"]


async def test_a_page_can_read_the_gateways_own_errors(start_gateway: StartGateway, edited_rules: EditRules) -> None:
    gateway = await start_gateway(rules=edited_rules(with_policy()))
    answer = await gateway.client.get("/a", headers={"origin": ALLOWED[0]})
    assert answer.status_code == 503
    assert cors_headers(answer)["allow-origin"] == ALLOWED[0]


async def test_the_documented_policy_works_with_the_services_own_rules(
    start_gateway: StartGateway, set_rules: SetRules
) -> None:
    [example] = re.findall(r"```yaml\n(corsPolicy:.*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL)
    rules = set_rules()
    file = rules / VIRTUAL_SERVICE
    document = yaml.safe_load(file.read_text())
    for route in document["spec"]["http"]:
        if "route" in route:
            route |= yaml.safe_load(example)
    file.write_text(yaml.safe_dump(document))
    replica = StubReplica()
    gateway = await start_gateway(replica, rules=rules)
    origin = "https://app.example.com"
    assert cors_headers(await preflight(gateway, origin))["allow-origin"] == origin
    assert "allow-origin" not in cors_headers(await preflight(gateway, "https://other.example"))
    assert replica.received == []
    for method, path in [*STREAMS, ("PUT", "/things/1"), ("GET", "/things")]:
        answer = await gateway.client.request(method, path, headers={"origin": origin})
        assert cors_headers(answer)["allow-origin"] == origin
        assert "ETag" in cors_headers(answer)["expose-headers"]


async def test_without_a_policy_preflights_are_requests_like_any_other(
    start_gateway: StartGateway, edited_rules: EditRules
) -> None:
    replica = StubReplica()
    rules = edited_rules()
    gateway = await start_gateway(replica, rules=rules)
    assert cors_headers(await preflight(gateway, ALLOWED[0])) == {}
    assert len(replica.received) == 1
    assert CORS not in str(connection_manager(rules))


def test_a_policy_stays_beside_the_settings_of_other_filters(edited_rules: EditRules) -> None:
    route = "    - name: writes\n"
    manager = connection_manager(edited_rules((VIRTUAL_SERVICE, route, route + POLICY)))
    assert [found["name"] for found in manager["http_filters"]][2:4] == [CORS, "envoy.filters.http.buffer"]
    [writes] = (found for found in manager["route_config"]["virtual_hosts"][0]["routes"] if found["name"] == "writes")
    assert set(writes["typed_per_filter_config"]) == {CORS, "envoy.filters.http.buffer"}


@pytest.mark.parametrize(
    ("old", "new", "field", "word"),
    [
        ("allowMethods:", "allowedMethods:", "allowedMethods", "remove"),
        ("GET, POST", "GET, post", "allowMethods[1]", "'post'"),
        ("if-match]", "'if match']", "allowHeaders[1]", "'if match'"),
        ("[ETag,", "['E Tag',", "exposeHeaders[0]", "'E Tag'"),
        ("maxAge: 10m", "maxAge: 1.5s", "maxAge", "whole seconds"),
        ("maxAge: 10m", "maxAge: 600", "maxAge", "write it like"),
        ("exact: https://app.example", "suffix: app.example", "allowOrigins[0].suffix", "remove"),
        ("exact: https://app.example", "exact: ''", "allowOrigins[0]", "empty"),
        ("- exact: https://app.example", "- {}", "allowOrigins[0]", "exactly one"),
        ("[a-z]+", "(?=a)", "allowOrigins[2].regex", "RE2"),
        ("maxAge: 10m", "unmatchedPreflights: REFUSE", "unmatchedPreflights", "'REFUSE'"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_field(
    edited_rules: EditRules, old: str, new: str, field: str, word: str
) -> None:
    assert old in POLICY
    rules = edited_rules(with_policy(POLICY.replace(old, new)))
    assert_refused(rules, VIRTUAL_SERVICE, f"spec.http[3].corsPolicy.{field}", word)


def cors_headers(answer: httpx.Response) -> dict[str, str]:
    prefix = "access-control-"
    return {name.removeprefix(prefix): value for name, value in answer.headers.items() if name.startswith(prefix)}
