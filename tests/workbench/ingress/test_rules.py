"""What the workbench says when it is given ingress rules that it cannot follow."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from service.settings import Settings
from tests.workbench.ingress.gateway import RULES, EditRules
from workbench.ingress.bootstrap import CLUSTER, IngressRuleError, Replica, cluster_name, envoy_bootstrap

VIRTUAL_SERVICE = "virtualservice.yaml"
GATEWAY = "gateway.yaml"
DESTINATION_RULE = "destinationrule.yaml"
ENVOY_FILTER = "envoyfilter-local-replies.yaml"
BUFFER = "envoyfilter-request-buffer.yaml"
KUSTOMIZATION = "kustomization.yaml"


def translate(rules: Path) -> dict[str, Any]:
    return envoy_bootstrap(rules, port=8080, replicas=[Replica(8001, 9001)], admin_socket=Path("admin.sock"))


def connection_manager(rules: Path) -> dict[str, Any]:
    [listener] = translate(rules)["static_resources"]["listeners"]
    [found] = listener["filter_chains"][0]["filters"]
    return dict(found["typed_config"])


def routes(rules: Path) -> dict[str, dict[str, Any]]:
    [virtual_host] = connection_manager(rules)["route_config"]["virtual_hosts"]
    return {route["name"]: route for route in virtual_host["routes"]}


def cluster(rules: Path, subset: str = "") -> dict[str, Any]:
    clusters = translate(rules)["static_resources"]["clusters"]
    [found] = (found for found in clusters if found["name"] == cluster_name(subset))
    return dict(found)


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


def assert_refused(rules: Path, file: str, field: str, *words: str) -> None:
    with pytest.raises(IngressRuleError) as caught:
        translate(rules)
    message = str(caught.value)
    assert (caught.value.file, caught.value.field) == (rules / file, field)
    assert message.startswith(f"{rules / file}: {field}")
    assert "\n" not in message
    for word in words:
        assert word in message


PER_TRY = "perTryTimeout: 6s"


# Two lines a case: what is changed where; then the field that is named, and a word of the reason.
# fmt: off
UNFOLLOWABLE = [
    # Fields that Istio knows and the workbench does not, at every depth, and fields that nobody knows.
    (VIRTUAL_SERVICE, PER_TRY, "retryRemoteLocalities: true",
     "spec.http[6].retries.retryRemoteLocalities", "remove"),
    (VIRTUAL_SERVICE, "- name: reads", "- name: reads\n      mirror: { host: a }",
     "spec.http[6].mirror", "remove"),
    (VIRTUAL_SERVICE, "gateways:", "exportTo: ['.']\n  gateways:",
     "spec.exportTo", "remove"),
    (VIRTUAL_SERVICE, "user-agent: { exact:", "user-agent: { exactly:",
     "spec.http[0].match[0].headers.user-agent.exactly", "remove"),
    (GATEWAY, "mode: SIMPLE", "mode: SIMPLE\n        httpsRedirect: true",
     "spec.servers[1].tls.httpsRedirect", "remove"),
    (DESTINATION_RULE, "interval: 5s", "minHealthPercent: 5",
     "spec.trafficPolicy.outlierDetection.minHealthPercent", "remove"),
    (DESTINATION_RULE, "simple: LEAST_REQUEST", "consistentHash: {}",
     "spec.trafficPolicy.loadBalancer.simple", "missing"),
    (ENVOY_FILTER, "operation: MERGE", "operation: MERGE\n        filterClass: STATS",
     "spec.configPatches[0].patch.filterClass", "remove"),
    (ENVOY_FILTER, "request_headers_timeout: 10s", "request_headers_timeout: 10",
     "spec.configPatches[0].patch.value.typed_config.request_headers_timeout", ""),
    (ENVOY_FILTER, "local_reply_config:", "xff_num_trusted_hops: 1\n            local_reply_config:",
     "spec.configPatches[0].patch.value.typed_config.xff_num_trusted_hops", "remove"),
    (BUFFER, "disabled: true", "config_discovery: {}",
     "spec.configPatches[0].patch.value.config_discovery", "remove"),
    (BUFFER, "idle_timeout: 20s # none", "idle_timeout: 20s\n          metadata: {} # none",
     "spec.configPatches[1].patch.value.metadata", "remove"),
    (BUFFER, "name: creates-with-key", "name: creates",
     "spec.configPatches[1].match.routeConfiguration.vhost.route.name", "'creates'"),
    (BUFFER, "istio: ingressgateway", "istio: other",
     "spec.workloadSelector.labels", "Gateway"),
    # Values that Istio would refuse or read differently.
    (VIRTUAL_SERVICE, PER_TRY, "perTryTimeout: 6 s",
     "spec.http[6].retries.perTryTimeout", "write it like 15s"),
    (VIRTUAL_SERVICE, PER_TRY, "perTryTimeout: 6",
     "spec.http[6].retries.perTryTimeout", "write it like 15s"),
    (VIRTUAL_SERVICE, PER_TRY, "perTryTimeout: 1m 30s",
     "spec.http[6].retries.perTryTimeout", "write it like 15s"),
    (VIRTUAL_SERVICE, "timeout: 15s # none", "timeout: 0s # none",
     "spec.http[4].timeout", "leave the field out"),
    (VIRTUAL_SERVICE, "refused-stream,reset # reset", "refused-stream, reset # reset",
     "spec.http[6].retries.retryOn", "spaces"),
    (VIRTUAL_SERVICE, "refused-stream,reset # reset", "conect-failure # reset",
     "spec.http[6].retries.retryOn", "'conect-failure'"),
    (VIRTUAL_SERVICE, "refused-stream,reset # reset", "799 # reset",
     "spec.http[6].retries.retryOn", "'799'"),
    (VIRTUAL_SERVICE, "status: 429\n", "status: 199\n",
     "spec.http[0].directResponse.status", "200"),
    (VIRTUAL_SERVICE, "status: 429\n", "status: 600\n",
     "spec.http[0].directResponse.status", "599"),
    (VIRTUAL_SERVICE, "status: 429\n", "status: '429'\n",
     "spec.http[0].directResponse.status", "'429'"),
    (VIRTUAL_SERVICE, "attempts: 2\n        perTryTimeout: 6s", "attempts: many",
     "spec.http[6].retries.attempts", "'many'"),
    (VIRTUAL_SERVICE, "attempts: 2\n        perTryTimeout: 6s", "perTryTimeout: 6s",
     "spec.http[6].retries.attempts", "missing"),
    (VIRTUAL_SERVICE, "regex: POST|PUT", "regex: (POST|PUT",
     "spec.http[5].match[0].method", "regular expression"),
    (VIRTUAL_SERVICE, "{ exact: curl }", "{ exact: curl, prefix: c }",
     "spec.http[0].match[0].headers.user-agent", "exactly one"),
    (VIRTUAL_SERVICE, "user-agent:", "User-Agent:",
     "spec.http[0].match[0].headers", "lower case"),
    (VIRTUAL_SERVICE, "user-agent:", "'@request.auth.claims.a':",
     "spec.http[0].match[0].headers", "claims"),
    (VIRTUAL_SERVICE, 'retry-after: "60"', "retry-after: 60",
     "spec.http[0].headers.response.set.retry-after", "string"),
    (VIRTUAL_SERVICE, "retry-after:", "host:",
     "spec.http[0].headers.response.set", "rewrite"),
    (VIRTUAL_SERVICE, "subset: streams", "subset: stream",
     "spec.http[1].route[0].destination.subset", "'stream'"),
    (DESTINATION_RULE, "- name: streams", "- name: streams\n      labels: { version: v1 }",
     "spec.subsets[0].labels", "remove"),
    (DESTINATION_RULE, "maxConnections: 4096", "maxConnections: -1",
     "spec.trafficPolicy.connectionPool.tcp.maxConnections", "-1"),
    (DESTINATION_RULE, "maxEjectionPercent: 50", "maxEjectionPercent: 101",
     "spec.trafficPolicy.outlierDetection.maxEjectionPercent", "100"),
    (GATEWAY, "number: 443", "number: 70443",
     "spec.servers[1].port.number", "70443"),
    # Routes that contradict themselves or one another.
    (VIRTUAL_SERVICE, "directResponse:", "redirect: { uri: / }\n      directResponse:",
     "spec.http[0]", "exactly one"),
    (VIRTUAL_SERVICE, "directResponse:", "timeout: 1s\n      directResponse:",
     "spec.http[0]", "timeout needs a route"),
    (VIRTUAL_SERVICE, "- name: reads\n", "- name: reads\n      redirect: { uri: / }\n",
     "spec.http[6]", "exactly one"),
    (VIRTUAL_SERVICE, "match:\n        - method: { regex: POST|PUT|PATCH|DELETE }\n      ", "",
     "spec.http[5]", "move it to the end"),
    # Places that are not the service's.
    (VIRTUAL_SERVICE, "host: slipway.slipway.svc", "host: other.slipway.svc",
     "spec.http[1].route[0].destination.host", "slipway.slipway.svc.cluster.local"),
    (VIRTUAL_SERVICE, "port: { number: 80 }", "port: { number: 8000 }",
     "spec.http[1].route[0].destination.port.number", "use 80"),
    (VIRTUAL_SERVICE, " route:\n", " route:\n        - destination: { host: b, port: { number: 80 } }\n",
     "spec.http[1].route", "1 item"),
    (VIRTUAL_SERVICE, "slipway/slipway", "slipway/other",
     "spec.gateways", "slipway/slipway"),
    (VIRTUAL_SERVICE, 'hosts: ["*"]', "hosts: [a.example]",
     "spec.hosts", "Gateway"),
    (DESTINATION_RULE, "host: slipway.", "host: other.",
     "spec.host", "slipway.slipway.svc.cluster.local"),
    (ENVOY_FILTER, "istio: ingressgateway", "istio: other",
     "spec.workloadSelector.labels", "Gateway"),
    (GATEWAY, 'hosts: ["*"]', 'hosts: ["slipway/*"]',
     "spec.servers[0].hosts[0]", "namespace"),
    (GATEWAY, "protocol: HTTP\n", "protocol: HTTPS\n",
     "spec.servers[0]", "tls"),
    (GATEWAY, "protocol: HTTP\n", "protocol: TCP\n",
     "spec.servers[0].port.protocol", "'TCP'"),
    # Objects of another version, or with too little or too much in them.
    (GATEWAY, "networking.istio.io/v1", "networking.istio.io/v1alpha3",
     "apiVersion", "networking.istio.io/v1"),
    (DESTINATION_RULE, "namespace: slipway", "uid: slipway",
     "metadata.namespace", "missing"),
    (KUSTOMIZATION, "resources:", "namePrefix: my-\nresources:",
     "namePrefix", "remove"),
]
# fmt: on


@pytest.mark.parametrize(("file", "old", "new", "field", "word"), UNFOLLOWABLE)
def test_a_rule_that_cannot_be_followed_is_named(
    edited_rules: EditRules, file: str, old: str, new: str, field: str, word: str
) -> None:
    assert_refused(edited_rules((file, old, new)), file, field, word)


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (GATEWAY, "kind: Gateway", "kind: Sidecar", ["Gateway", "none"]),
        (GATEWAY, "kind: Gateway", "kind: VirtualService", ["Gateway", "none"]),
        (KUSTOMIZATION, "- destinationrule.yaml", "- destinationrule.yaml\n  - other.yaml", ["other.yaml"]),
        (KUSTOMIZATION, f"- {ENVOY_FILTER}", f"- {ENVOY_FILTER}\n  - envoyfilter.yaml", ["two patches"]),
    ],
)
def test_more_or_fewer_objects_than_can_be_followed_are_named(
    edited_rules: EditRules, file: str, old: str, new: str, words: list[str]
) -> None:
    rules = edited_rules((file, old, new))
    shutil.copy(rules / DESTINATION_RULE, rules / "other.yaml")
    shutil.copy(rules / ENVOY_FILTER, rules / "envoyfilter.yaml")
    assert_refused(rules, KUSTOMIZATION, "resources", *words)


@pytest.mark.parametrize(
    ("old", "new", "place", "word"),
    [
        ("  selector:", "   selector:", "line 13", "expected"),
        ("spec:", "spec:\n\tselector: {}", "line 11", "cannot start any token"),
        ("  servers:", "  selector: { istio: other }\n  servers:", "line 13", "'selector' is here twice"),
        ("spec:", "---\nspec:", "line 10", "one YAML document"),
    ],
)
def test_yaml_that_cannot_be_read_is_named_with_its_line(
    edited_rules: EditRules, old: str, new: str, place: str, word: str
) -> None:
    assert_refused(edited_rules((GATEWAY, old, new)), GATEWAY, place, word)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "a string"])
def test_a_file_that_holds_no_object_is_refused(edited_rules: EditRules, text: str) -> None:
    rules = edited_rules()
    (rules / GATEWAY).write_text(text)
    assert_refused(rules, GATEWAY, "", "valid dictionary")


def test_a_file_that_is_no_text_is_refused(edited_rules: EditRules) -> None:
    rules = edited_rules()
    (rules / GATEWAY).write_bytes(b"\xff")
    assert_refused(rules, GATEWAY, "", "UTF-8")


@pytest.mark.parametrize("file", [GATEWAY, VIRTUAL_SERVICE, DESTINATION_RULE, ENVOY_FILTER])
def test_a_missing_file_is_named(edited_rules: EditRules, file: str) -> None:
    rules = edited_rules()
    (rules / file).unlink()
    assert_refused(rules, file, "", "No such file")


def test_the_administration_socket_has_to_fit_into_a_socket_address() -> None:
    with pytest.raises(ValueError, match="107 bytes"):
        envoy_bootstrap(RULES, port=8080, replicas=[], admin_socket=Path("a" * 108))


# --- what the rules become; what Envoy makes of it is in test_ingress_envoy.py


def test_routes_keep_their_names_and_their_order() -> None:
    assert list(routes(RULES)) == [
        "curl-is-throttled",
        "events",
        "export",
        "import",
        "creates-with-key",
        "writes",
        "reads",
    ]


@pytest.mark.parametrize(
    ("written", "becomes"), [("15s", "15s"), ("1m30s", "90s"), ("250ms", "0.250000s"), ("1.5h", "5400s")]
)
def test_durations_are_gos(edited_rules: EditRules, written: str, becomes: str) -> None:
    rules = edited_rules((VIRTUAL_SERVICE, "timeout: 15s # none", f"timeout: {written} # none"))
    assert routes(rules)["creates-with-key"]["route"]["timeout"] == becomes


def test_without_retries_istios_defaults_apply(edited_rules: EditRules) -> None:
    default = edited_rules((VIRTUAL_SERVICE, "retryOn: connect-failure,refused-stream,reset # reset", "# reset"))
    policy = routes(default)["reads"]["route"]["retry_policy"]
    assert policy["retry_on"] == "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
    assert policy["retriable_status_codes"] == []  # 503 is not one of them since Istio 1.24
    assert policy["num_retries"] == 2

    none = edited_rules((VIRTUAL_SERVICE, "attempts: 2\n        perTry", "attempts: 0\n        perTry"))
    assert "retry_policy" not in routes(none)["reads"]["route"]


def test_status_codes_among_the_retry_conditions_become_retriable(edited_rules: EditRules) -> None:
    rules = edited_rules((VIRTUAL_SERVICE, "refused-stream,reset # reset", "502,refused-stream,503 # reset"))
    policy = routes(rules)["reads"]["route"]["retry_policy"]
    assert policy["retry_on"] == "connect-failure,refused-stream,retriable-status-codes"
    assert policy["retriable_status_codes"] == [502, 503]


def test_the_alternatives_of_a_match_are_routes_of_their_own(edited_rules: EditRules) -> None:
    alternatives = "- name: by-path\n          uri: { prefix: /w }\n        - method: { regex: POST|"
    rules = edited_rules((VIRTUAL_SERVICE, "- method: { regex: POST|", alternatives))
    assert list(routes(rules))[-3:] == ["writes.by-path", "writes", "reads"]


def test_hosts_of_the_gateway_match_with_and_without_a_port(edited_rules: EditRules) -> None:
    rules = edited_rules((GATEWAY, 'hosts: ["*"]', "hosts: [a.example]"))
    assert connection_manager(rules)["route_config"]["virtual_hosts"][0]["domains"] == ["a.example", "a.example:*"]


def test_limits_that_are_not_set_are_istios_not_envoys(edited_rules: EditRules) -> None:
    rules = edited_rules(
        (DESTINATION_RULE, "maxConnections: 4096", "maxConnections: 0"),
        (DESTINATION_RULE, "maxRetries: 128", "maxRequestsPerConnection: 7"),
        (DESTINATION_RULE, "connectTimeout: 1s", ""),
    )
    [limits] = cluster(rules)["circuit_breakers"]["thresholds"]
    assert limits["max_connections"] == limits["max_retries"] == 2**32 - 1
    assert limits["max_pending_requests"] == 1024
    assert cluster(rules)["connect_timeout"] == "10s"
    [options] = cluster(rules)["typed_extension_protocol_options"].values()
    assert options["common_http_protocol_options"] == {"idle_timeout": "60s", "max_requests_per_connection": 7}


def test_the_limits_leave_room_for_the_event_streams() -> None:
    [limits] = cluster(RULES, "streams")["circuit_breakers"]["thresholds"]
    assert min(limits["max_connections"], limits["max_requests"]) > 2500


def test_streams_do_not_count_among_the_requests() -> None:
    to = {name: route["route"]["cluster"] for name, route in routes(RULES).items() if "route" in route}
    streams = {name for name, found in to.items() if found == cluster_name("streams")}

    assert streams == {"events", "export", "import"}
    assert set(to.values()) == {CLUSTER, cluster_name("streams")}


def test_what_is_refused_is_not_read_before() -> None:
    names = [found["name"] for found in connection_manager(RULES)["http_filters"]]
    assert [name.rpartition(".")[2] for name in names] == ["fault", "local_ratelimit", "buffer", "router"]


def test_what_the_cluster_is_not_given_the_workbench_does_without(edited_rules: EditRules) -> None:
    rules = edited_rules((KUSTOMIZATION, f"  - {BUFFER}\n", ""), (KUSTOMIZATION, f"  - {ENVOY_FILTER}\n", ""))
    manager = connection_manager(rules)
    assert "buffer" not in str(manager["http_filters"])
    assert "typed_per_filter_config" not in str(manager["route_config"])
    assert "local_reply_config" not in manager


def test_all_that_is_no_stream_is_read_whole_and_within_a_time() -> None:
    setting = Settings.model_fields["max_body"]
    for name, route in routes(RULES).items():
        if route.get("route", {}).get("cluster") != CLUSTER:
            assert "typed_per_filter_config" not in route, name
            continue
        buffer = route["typed_per_filter_config"]["envoy.filters.http.buffer"]["buffer"]
        assert buffer["max_request_bytes"] > setting.default, name
        assert f"The gateway's limit is {buffer['max_request_bytes']:,}" in str(setting.description)
        # While the service works nothing is sent, and that is not the client's fault.
        assert seconds(route["route"]["idle_timeout"]) > seconds(route["route"]["timeout"]), name


def test_the_longest_request_is_an_import() -> None:
    setting, limit = Settings.model_fields["import_timeout"], seconds(connection_manager(RULES)["request_timeout"])
    assert limit > setting.default
    assert f"The gateway's limit is {limit:g}" in str(setting.description)


def test_what_a_subset_does_not_say_is_as_for_all() -> None:
    assert cluster(RULES, "streams")["outlier_detection"] == cluster(RULES)["outlier_detection"]
    assert cluster(RULES, "streams")["circuit_breakers"] != cluster(RULES)["circuit_breakers"]


def test_the_cluster_has_istios_name() -> None:
    assert cluster(RULES)["name"] == CLUSTER == "outbound|80||slipway.slipway.svc.cluster.local"
