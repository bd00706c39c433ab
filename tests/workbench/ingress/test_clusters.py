"""The clusters that the DestinationRule is translated to, and the limits in them."""

from pathlib import Path

import pytest

from tests.workbench.ingress.changed_rules import RULES, EditRules
from tests.workbench.ingress.translation import DESTINATION_RULE, cluster, route
from workbench.ingress.bootstrap import CLUSTER, envoy_bootstrap
from workbench.machine.folders import INGRESS_RULES
from workbench.project import NAME


def test_limits_that_are_not_set_have_istios_defaults(edited_rules: EditRules) -> None:
    rules = edited_rules(
        (DESTINATION_RULE, "maxConnections: 40", "maxConnections: 0"),
        (DESTINATION_RULE, "maxRetries: 10", ""),
        (DESTINATION_RULE, "connectTimeout: 1s", ""),
    )
    [limits] = cluster(rules)["circuit_breakers"]["thresholds"]
    assert limits["max_connections"] == limits["max_retries"] == 2**32 - 1
    assert limits["max_pending_requests"] == 30
    assert cluster(rules)["connect_timeout"] == "10s"
    [options] = cluster(rules)["typed_extension_protocol_options"].values()
    assert options["common_http_protocol_options"] == {"idle_timeout": "60s"}


def test_the_limits_leave_room_for_the_event_streams() -> None:
    [limits] = cluster(INGRESS_RULES, "streams")["circuit_breakers"]["thresholds"]
    assert min(limits["max_connections"], limits["max_requests"]) > 2500


def test_a_subset_inherits_the_sections_that_it_does_not_have() -> None:
    assert cluster(RULES, "streams")["outlier_detection"] == cluster(RULES)["outlier_detection"]
    assert cluster(RULES, "streams")["circuit_breakers"] != cluster(RULES)["circuit_breakers"]


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ("httpHeaderName: x-user", {"header": {"header_name": "x-user"}}),
        ("httpQueryParameterName: user", {"query_parameter": {"name": "user"}}),
        ("useSourceIp: true", {"connection_properties": {"source_ip": True}}),
        ("httpCookie: { name: user }", {"cookie": {"name": "user", "path": ""}}),
        ("httpCookie: { name: user, path: /a, ttl: 0s }", {"cookie": {"name": "user", "path": "/a", "ttl": "0s"}}),
        ("httpCookie: { name: user, ttl: 1h }", {"cookie": {"name": "user", "path": "", "ttl": "3600s"}}),
    ],
)
def test_a_consistent_hash_becomes_what_istiod_makes_of_it(
    edited_rules: EditRules, written: str, policy: dict[str, object]
) -> None:
    rules = edited_rules((DESTINATION_RULE, "simple: LEAST_REQUEST", f"consistentHash: {{ {written} }}"))
    for subset in ("", "streams"):
        found = cluster(rules, subset)
        assert (found["lb_policy"], found["ring_hash_lb_config"]) == ("RING_HASH", {"minimum_ring_size": 1024})
    for name in ("streams", "others"):
        action = route(rules, name)["route"]
        assert action["hash_policy"] == [policy]
        # A retry stays with the replica of the hash.
        assert "retry_host_predicate" not in action["retry_policy"]


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("maglev: { tableSize: 1009 }", {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 1009}}),
        ("ringHash: {}", {"lb_policy": "RING_HASH"}),
        ("ringHash: { minimumRingSize: 0 }", {"lb_policy": "RING_HASH"}),
        (
            "ringHash: { minimumRingSize: 64 }",
            {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 64}},
        ),
        ("minimumRingSize: 64", {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 64}}),
        ("minimumRingSize: 0", {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 1024}}),
    ],
)
def test_the_algorithm_of_a_hash_becomes_what_istiod_makes_of_it(
    edited_rules: EditRules, written: str, becomes: dict[str, object]
) -> None:
    by = f"consistentHash: {{ useSourceIp: true, {written} }}"
    found = cluster(edited_rules((DESTINATION_RULE, "simple: LEAST_REQUEST", by)))
    assert {name: value for name, value in found.items() if name.startswith("lb_") or name.endswith("lb_config")} == {
        "common_lb_config": found["common_lb_config"],
        **becomes,
    }


def test_a_subset_may_have_a_hash_of_its_own(edited_rules: EditRules) -> None:
    own = "trafficPolicy:\n        loadBalancer: { consistentHash: { useSourceIp: true } }"
    rules = edited_rules((DESTINATION_RULE, "name: streams\n      trafficPolicy:", f"name: streams\n      {own}"))
    assert cluster(rules)["lb_policy"] == "LEAST_REQUEST"
    assert cluster(rules, "streams")["lb_policy"] == "RING_HASH"
    assert "hash_policy" in route(rules, "streams")["route"]
    assert "hash_policy" not in route(rules, "others")["route"]
    assert "retry_host_predicate" in route(rules, "others")["route"]["retry_policy"]


def test_the_cluster_has_istios_name() -> None:
    assert cluster(RULES)["name"] == CLUSTER == f"outbound|80||{NAME}.{NAME}.svc.cluster.local"


def test_the_path_of_the_administration_socket_must_not_be_too_long() -> None:
    with pytest.raises(ValueError, match="107 bytes"):
        envoy_bootstrap(RULES, port=8080, upstreams=[], admin_socket=Path("a" * 108))
