"""The errors for ingress rules that the workbench does not support."""

import re
from typing import Any

import pytest

from tests.workbench.ingress.changed_rules import EditRules
from tests.workbench.ingress.translation import (
    BUFFER,
    DESTINATION_RULE,
    GATEWAY,
    KUSTOMIZATION,
    LOCAL_REPLIES,
    VIRTUAL_SERVICE,
    assert_refused,
    http_routes,
)
from workbench.ingress.rules import SERVICE_HOST

PER_TRY = "perTryTimeout: 6s"


# Two lines for each case: the file and the change; then the field in the error, and a word of its reason. A route
# has its name in place of its position, or else `a destination` or `a subset` for the first route that has one.
# fmt: off
UNSUPPORTED = [
    # Fields of Istio that the workbench does not support, at every depth, and fields that do not exist.
    (VIRTUAL_SERVICE, PER_TRY, "retryRemoteLocalities: true",
     "spec.http[reads].retries.retryRemoteLocalities", "remove"),
    (VIRTUAL_SERVICE, "- name: reads", "- name: reads\n      mirror: { host: a }",
     "spec.http[reads].mirror", "remove"),
    (VIRTUAL_SERVICE, "gateways:", "exportTo: ['.']\n  gateways:",
     "spec.exportTo", "remove"),
    (VIRTUAL_SERVICE, "user-agent: { exact:", "user-agent: { exactly:",
     "spec.http[curl-is-throttled].match[0].headers.user-agent.exactly", "remove"),
    (GATEWAY, "mode: SIMPLE", "mode: SIMPLE\n        httpsRedirect: true",
     "spec.servers[1].tls.httpsRedirect", "remove"),
    (DESTINATION_RULE, "interval: 5s", "minHealthPercent: 5",
     "spec.trafficPolicy.outlierDetection.minHealthPercent", "remove"),
    (DESTINATION_RULE, "simple: LEAST_REQUEST", "consistentHash: {}",
     "spec.trafficPolicy.loadBalancer.simple", "missing"),
    (LOCAL_REPLIES, "operation: MERGE", "operation: MERGE\n        filterClass: STATS",
     "spec.configPatches[0].patch.filterClass", "remove"),
    (LOCAL_REPLIES, "request_headers_timeout: 10s", "request_headers_timeout: 10",
     "spec.configPatches[0].patch.value.typed_config.request_headers_timeout", ""),
    (LOCAL_REPLIES, "local_reply_config:", "xff_num_trusted_hops: 1\n            local_reply_config:",
     "spec.configPatches[0].patch.value.typed_config.xff_num_trusted_hops", "remove"),
    (BUFFER, "disabled: true", "config_discovery: {}",
     "spec.configPatches[0].patch.value.config_discovery", "remove"),
    (BUFFER, "idle_timeout: 20s # none", "idle_timeout: 20s\n          metadata: {} # none",
     "spec.configPatches[1].patch.value.metadata", "remove"),
    (BUFFER, "name: creates-with-key", "name: creates",
     "spec.configPatches[1].match.routeConfiguration.vhost.route.name", "'creates'"),
    (BUFFER, "istio: ingressgateway", "istio: other",
     "spec.workloadSelector.labels", "Gateway"),
    # Values that Istio would refuse or read differently, and values that the workbench does not support.
    (VIRTUAL_SERVICE, PER_TRY, "perTryTimeout: 6 s",
     "spec.http[reads].retries.perTryTimeout", "write it like 15s"),
    (VIRTUAL_SERVICE, PER_TRY, "perTryTimeout: 6",
     "spec.http[reads].retries.perTryTimeout", "write it like 15s"),
    (VIRTUAL_SERVICE, PER_TRY, "perTryTimeout: 1m 30s",
     "spec.http[reads].retries.perTryTimeout", "write it like 15s"),
    (VIRTUAL_SERVICE, "timeout: 15s # none", "timeout: 0s # none",
     "spec.http[creates-with-key].timeout", "leave the field out"),
    (VIRTUAL_SERVICE, "refused-stream,reset # reset", "refused-stream, reset # reset",
     "spec.http[reads].retries.retryOn", "spaces"),
    (VIRTUAL_SERVICE, "refused-stream,reset # reset", "conect-failure # reset",
     "spec.http[reads].retries.retryOn", "'conect-failure'"),
    (VIRTUAL_SERVICE, "refused-stream,reset # reset", "refused-stream,503 # reset",
     "spec.http[reads].retries.retryOn", "'503'"),
    (VIRTUAL_SERVICE, "status: 429\n", "status: 199\n",
     "spec.http[curl-is-throttled].directResponse.status", "200"),
    (VIRTUAL_SERVICE, "status: 429\n", "status: 600\n",
     "spec.http[curl-is-throttled].directResponse.status", "599"),
    (VIRTUAL_SERVICE, "status: 429\n", "status: '429'\n",
     "spec.http[curl-is-throttled].directResponse.status", "'429'"),
    (VIRTUAL_SERVICE, "attempts: 2\n        perTryTimeout: 6s", "attempts: many",
     "spec.http[reads].retries.attempts", "'many'"),
    (VIRTUAL_SERVICE, "attempts: 2\n        perTryTimeout: 6s", "perTryTimeout: 6s",
     "spec.http[reads].retries.attempts", "missing"),
    (VIRTUAL_SERVICE, "regex: POST|PUT", "regex: (POST|PUT",
     "spec.http[writes].match[0].method", "regular expression"),
    (VIRTUAL_SERVICE, "{ exact: curl }", "{ exact: curl, prefix: c }",
     "spec.http[curl-is-throttled].match[0].headers.user-agent", "exactly one"),
    (VIRTUAL_SERVICE, "user-agent:", "User-Agent:",
     "spec.http[curl-is-throttled].match[0].headers", "in lower case"),
    (VIRTUAL_SERVICE, "user-agent:", "'@request.auth.claims.a':",
     "spec.http[curl-is-throttled].match[0].headers", "claims"),
    (VIRTUAL_SERVICE, 'retry-after: "60"', "retry-after: 60",
     "spec.http[curl-is-throttled].headers.response.set.retry-after", "string"),
    (VIRTUAL_SERVICE, "retry-after:", "host:",
     "spec.http[curl-is-throttled].headers.response.set", "remove it"),
    (VIRTUAL_SERVICE, "subset: streams", "subset: stream",
     "spec.http[a subset].route[0].destination.subset", "'stream'"),
    (DESTINATION_RULE, "- name: streams", "- name: streams\n      labels: { version: v1 }",
     "spec.subsets[0].labels", "remove"),
    (DESTINATION_RULE, "maxConnections: 4096", "maxConnections: -1",
     "spec.trafficPolicy.connectionPool.tcp.maxConnections", "-1"),
    (DESTINATION_RULE, "maxEjectionPercent: 50", "maxEjectionPercent: 101",
     "spec.trafficPolicy.outlierDetection.maxEjectionPercent", "100"),
    (GATEWAY, "number: 443", "number: 70443",
     "spec.servers[1].port.number", "70443"),
    # Routes that contradict themselves or each other.
    (VIRTUAL_SERVICE, "directResponse:", "redirect: { uri: / }\n      directResponse:",
     "spec.http[curl-is-throttled]", "exactly one"),
    (VIRTUAL_SERVICE, "directResponse:", "timeout: 1s\n      directResponse:",
     "spec.http[curl-is-throttled]", "timeout only works with route"),
    (VIRTUAL_SERVICE, "- name: reads\n", "- name: reads\n      redirect: { uri: / }\n",
     "spec.http[reads]", "exactly one"),
    (VIRTUAL_SERVICE, "match:\n        - method: { regex: POST|PUT|PATCH|DELETE }\n      ", "",
     "spec.http[writes]", "move it to the end"),
    # Destinations, hosts and selectors that do not lead to the service.
    (VIRTUAL_SERVICE, f"host: {SERVICE_HOST}", "host: other.example",
     "spec.http[a destination].route[0].destination.host", SERVICE_HOST),
    (VIRTUAL_SERVICE, "port: { number: 80 }", "port: { number: 8000 }",
     "spec.http[a destination].route[0].destination.port.number", "use 80"),
    (VIRTUAL_SERVICE, " route:\n", " route:\n        - destination: { host: b, port: { number: 80 } }\n",
     "spec.http[a destination].route", "1 item"),
    (VIRTUAL_SERVICE, "gateways: [", "gateways: [other/other, ",
     "spec.gateways", "in the same folder"),
    (VIRTUAL_SERVICE, 'hosts: ["*"]', "hosts: [a.example]",
     "spec.hosts", "Gateway"),
    (DESTINATION_RULE, f"host: {SERVICE_HOST}", "host: other.example",
     "spec.host", SERVICE_HOST),
    (LOCAL_REPLIES, "istio: ingressgateway", "istio: other",
     "spec.workloadSelector.labels", "Gateway"),
    (GATEWAY, 'hosts: ["*"]', 'hosts: ["other/*"]',
     "spec.servers[0].hosts[0]", "namespace"),
    (GATEWAY, "protocol: HTTP\n", "protocol: HTTPS\n",
     "spec.servers[0]", "tls"),
    (GATEWAY, "protocol: HTTP\n", "protocol: TCP\n",
     "spec.servers[0].port.protocol", "'TCP'"),
    # Objects of another version, or with missing or unknown fields.
    (GATEWAY, "networking.istio.io/v1", "networking.istio.io/v1alpha3",
     "apiVersion", "networking.istio.io/v1"),
    (DESTINATION_RULE, "namespace:", "uid:",
     "metadata.namespace", "missing"),
    (KUSTOMIZATION, "resources:", "namePrefix: my-\nresources:",
     "namePrefix", "remove"),
]
# fmt: on


@pytest.mark.parametrize(("file", "old", "new", "field", "word"), UNSUPPORTED)
def test_an_unsupported_rule_is_refused_with_its_file_and_field(
    edited_rules: EditRules, file: str, old: str, new: str, field: str, word: str
) -> None:
    written = http_routes(edited_rules())
    found = re.sub(r"http\[([a-z -]+)\]", lambda which: f"http[{position(written, which[1])}]", field)
    assert_refused(edited_rules((file, old, new)), file, found, word)


def position(written: list[dict[str, Any]], which: str) -> int:
    """The position of a route, which UNSUPPORTED describes."""

    def is_meant(route: dict[str, Any]) -> bool:
        match which:
            case "a destination":
                return "route" in route
            case "a subset":
                return "route" in route and "subset" in route["route"][0]["destination"]
        return bool(route["name"] == which)

    return next(number for number, route in enumerate(written) if is_meant(route))
