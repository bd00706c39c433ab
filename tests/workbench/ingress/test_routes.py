"""The routes and HTTP filters that the rules are translated to. The other tests show how Envoy treats requests."""

import pytest

from service.settings import Settings
from tests.workbench.ingress.changed_rules import RULES, STREAMS, EditRules
from tests.workbench.ingress.translation import (
    GATEWAY,
    VIRTUAL_SERVICE,
    connection_manager,
    http_names,
    route,
    routes,
    seconds,
)
from workbench.ingress.bootstrap import CLUSTER, cluster_name


def test_routes_keep_their_names_and_their_order(edited_rules: EditRules) -> None:
    rules = edited_rules()
    names = http_names(rules)
    assert [found["name"] for found in routes(rules)] == names
    assert names[-6:] == [*STREAMS, "creates-with-key", "writes", "reads"]


@pytest.mark.parametrize(
    ("written", "becomes"), [("15s", "15s"), ("2m", "120s"), ("250ms", "0.250000s"), ("1.5h", "5400s")]
)
def test_durations_become_seconds(edited_rules: EditRules, written: str, becomes: str) -> None:
    rules = edited_rules((VIRTUAL_SERVICE, "timeout: 15s # none", f"timeout: {written} # none"))
    assert route(rules, "creates-with-key")["route"]["timeout"] == becomes


def test_without_retries_istios_defaults_apply(edited_rules: EditRules) -> None:
    default = edited_rules((VIRTUAL_SERVICE, "retryOn: connect-failure,refused-stream,reset # reset", "# reset"))
    policy = route(default, "reads")["route"]["retry_policy"]
    # No status code is retriable: 503 is not one of the defaults since Istio 1.24.
    assert policy["retry_on"] == "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
    assert policy["num_retries"] == 2

    none = edited_rules((VIRTUAL_SERVICE, "attempts: 2\n        perTry", "attempts: 0\n        perTry"))
    assert "retry_policy" not in route(none, "reads")["route"]


def test_each_alternative_of_a_match_becomes_a_route(edited_rules: EditRules) -> None:
    alternatives = "- uri: { prefix: /w }\n        - method: { regex: POST|"
    rules = edited_rules((VIRTUAL_SERVICE, "- method: { regex: POST|", alternatives))
    names = [found["name"] for found in routes(rules)]
    assert names == [name for name in http_names(rules) for _ in range(2 if name == "writes" else 1)]
    by_path, by_method = (found for found in routes(rules) if found["name"] == "writes")
    assert by_path["match"] == {"prefix": "/w", "headers": []}
    assert by_method["match"]["prefix"] == "/"
    assert by_path["typed_per_filter_config"] == by_method["typed_per_filter_config"]


def test_hosts_of_the_gateway_match_with_and_without_a_port(edited_rules: EditRules) -> None:
    rules = edited_rules((GATEWAY, 'hosts: ["*"]', "hosts: [a.example]"))
    assert connection_manager(rules)["route_config"]["virtual_hosts"][0]["domains"] == ["a.example", "a.example:*"]


def test_a_subset_has_a_cluster_of_its_own(edited_rules: EditRules) -> None:
    to = {found["name"]: found["route"]["cluster"] for found in routes(edited_rules()) if "route" in found}
    assert {to[name] for name in STREAMS} == {cluster_name("streams")}
    assert {to[name] for name in ("creates-with-key", "writes", "reads")} == {CLUSTER}
    assert set(to.values()) == {CLUSTER, cluster_name("streams")}


def test_the_rate_limit_comes_before_the_buffer() -> None:
    names = [found["name"] for found in connection_manager(RULES)["http_filters"]]
    assert [name.rpartition(".")[2] for name in names] == ["local_ratelimit", "buffer", "router"]


def test_requests_that_are_not_streams_are_buffered_with_a_size_and_a_time_limit() -> None:
    setting = Settings.model_fields["max_body"]
    for found in routes(RULES):
        name = found["name"]
        if found.get("route", {}).get("cluster") != CLUSTER:
            assert "typed_per_filter_config" not in found, name
            continue
        buffer = found["typed_per_filter_config"]["envoy.filters.http.buffer"]["buffer"]
        assert buffer["max_request_bytes"] > setting.default, name
        assert f"The gateway's limit is {buffer['max_request_bytes']:,}" in str(setting.description)
        # No data flows while the service works, and the client must not be blamed for that.
        assert seconds(found["route"]["idle_timeout"]) > seconds(found["route"]["timeout"]), name
