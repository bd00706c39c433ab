"""The clusters that the DestinationRule is translated to, and the limits in them."""

from pathlib import Path

import pytest

from tests.workbench.ingress.changed_rules import RULES, EditRules
from tests.workbench.ingress.translation import DESTINATION_RULE, cluster
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


def test_the_cluster_has_istios_name() -> None:
    assert cluster(RULES)["name"] == CLUSTER == f"outbound|80||{NAME}.{NAME}.svc.cluster.local"


def test_the_path_of_the_administration_socket_must_not_be_too_long() -> None:
    with pytest.raises(ValueError, match="107 bytes"):
        envoy_bootstrap(RULES, port=8080, upstreams=[], admin_socket=Path("a" * 108))
