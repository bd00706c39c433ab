"""The routes and HTTP filters that rules are translated to. The other tests show how Envoy treats requests."""

import pytest

from service.settings import Settings
from tests.workbench.ingress.changed_rules import RULES, EditRules
from tests.workbench.ingress.gateway import StartGateway
from tests.workbench.ingress.stub_replicas import StubReplica
from tests.workbench.ingress.translation import (
    BUFFER,
    GATEWAY,
    KUSTOMIZATION,
    VIRTUAL_SERVICE,
    connection_manager,
    route,
    routes,
    seconds,
)
from workbench.ingress.bootstrap import CLUSTER, cluster_name
from workbench.machine.folders import INGRESS_RULES


def test_routes_keep_their_names_and_their_order(edited_rules: EditRules) -> None:
    assert [found["name"] for found in routes(edited_rules())] == ["refused", "streams", "writes", "others"]


def test_a_regular_expression_matches_the_path(edited_rules: EditRules) -> None:
    match = route(edited_rules(), "streams")["match"]
    assert match["safe_regex"] == {"regex": ".*/stream"}
    assert match["headers"] == [{"name": ":method", "string_match": {"exact": "GET"}}]


@pytest.mark.parametrize(
    ("written", "becomes"), [("15s", "15s"), ("2m", "120s"), ("250ms", "0.250000s"), ("1.5h", "5400s")]
)
def test_durations_become_seconds(edited_rules: EditRules, written: str, becomes: str) -> None:
    rules = edited_rules((VIRTUAL_SERVICE, "timeout: 15s", f"timeout: {written}"))
    assert route(rules, "writes")["route"]["timeout"] == becomes


def test_without_retries_istios_defaults_apply(edited_rules: EditRules) -> None:
    policy = route(edited_rules(), "writes")["route"]["retry_policy"]
    # No status code is retriable: 503 is not one of the defaults since Istio 1.24.
    assert policy["retry_on"] == "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
    assert policy["num_retries"] == 2

    none = edited_rules((VIRTUAL_SERVICE, "attempts: 2", "attempts: 0"))
    assert "retry_policy" not in route(none, "others")["route"]


def test_each_alternative_of_a_match_becomes_a_route(edited_rules: EditRules) -> None:
    method = "- method: { regex: POST|PUT }"
    rules = edited_rules((VIRTUAL_SERVICE, method, f"- uri: {{ prefix: /w }}\n        {method}"))
    assert [found["name"] for found in routes(rules)] == ["refused", "streams", "writes", "writes", "others"]
    by_path, by_method = (found for found in routes(rules) if found["name"] == "writes")
    assert by_path["match"] == {"prefix": "/w", "headers": []}
    assert by_method["match"]["prefix"] == "/"
    assert by_path["typed_per_filter_config"] == by_method["typed_per_filter_config"]


async def test_hosts_of_the_gateway_match_with_and_without_a_port(
    edited_rules: EditRules, start_gateway: StartGateway
) -> None:
    rules = edited_rules((GATEWAY, 'hosts: ["*"]', 'hosts: [a.example, "*.b.example"]'))
    gateway = await start_gateway(StubReplica(), rules=rules)
    hosts = ("a.example", "a.example:8080", "c.b.example", "c.b.example:8080", "b.example", "c.a.example:8080")
    statuses = [(await gateway.client.get("/", headers={"host": host})).status_code for host in hosts]
    assert statuses == [200, 200, 200, 200, 404, 404]


def test_an_envoyfilter_changes_single_fields_of_a_route_and_continues_lists(edited_rules: EditRules) -> None:
    patch = "retry_policy: { num_retries: 7, retry_host_predicate: [{ name: another }] }"
    rules = edited_rules((BUFFER, "idle_timeout: 20s", patch))
    before, after = (route(found, "writes")["route"]["retry_policy"] for found in (RULES, rules))
    [predicate] = before["retry_host_predicate"]
    assert after == {**before, "num_retries": 7, "retry_host_predicate": [predicate, {"name": "another"}]}


def test_filters_of_the_same_priority_are_in_the_order_of_the_names_of_their_envoyfilters(
    edited_rules: EditRules,
) -> None:
    rules = edited_rules((KUSTOMIZATION, f"- {BUFFER}", f"- {BUFFER}\n  - first.yaml"))
    text = (rules / BUFFER).read_text().replace("name: request-buffer", "name: before-it")
    (rules / "first.yaml").write_text(text.replace("name: envoy.filters.http.buffer", "name: first"))
    names = [found["name"] for found in connection_manager(rules)["http_filters"]]
    assert names[-3:-1] == ["first", "envoy.filters.http.buffer"]


def test_a_subset_has_a_cluster_of_its_own(edited_rules: EditRules) -> None:
    to = {found["name"]: found["route"]["cluster"] for found in routes(edited_rules()) if "route" in found}
    assert to == {"streams": cluster_name("streams"), "writes": CLUSTER, "others": CLUSTER}


def test_the_rate_limit_comes_before_the_buffer() -> None:
    names = [found["name"] for found in connection_manager(INGRESS_RULES)["http_filters"]]
    assert [name.rpartition(".")[2] for name in names] == ["local_ratelimit", "buffer", "router"]


def test_requests_are_buffered_with_a_size_and_a_time_limit_unless_they_may_last() -> None:
    setting = Settings.model_fields["max_body"]
    unbuffered = {"import", "websockets"}
    for found in (found for found in routes(INGRESS_RULES) if "route" in found and found["name"] not in unbuffered):
        name = found["name"]
        buffer = found["typed_per_filter_config"]["envoy.filters.http.buffer"]["buffer"]
        assert buffer["max_request_bytes"] > setting.default, name
        assert f"The gateway's limit is {buffer['max_request_bytes']:,}" in str(setting.description)
        if found["route"]["cluster"] == CLUSTER:
            # No data flows while the service works, and the client must not be blamed for that.
            assert seconds(found["route"]["idle_timeout"]) > seconds(found["route"]["timeout"]), name
        else:
            assert "idle_timeout" not in found["route"], name


def test_an_import_may_last_longer_than_the_service_allows() -> None:
    setting = Settings.model_fields["import_timeout"]
    limit = seconds(connection_manager(INGRESS_RULES)["request_timeout"])
    assert limit > setting.default
    assert f"The gateway's limit is {limit:g}" in str(setting.description)


@pytest.mark.parametrize("name", ["import", "websockets"])
def test_what_has_no_end_yet_is_not_buffered(name: str) -> None:
    assert "typed_per_filter_config" not in route(INGRESS_RULES, name)
