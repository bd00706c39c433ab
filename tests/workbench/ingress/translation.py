"""The files of ingress rules, and parts of the Envoy configuration that they are translated to."""

from pathlib import Path
from typing import Any

import pytest

from workbench.ingress.bootstrap import IngressRuleError, Upstream, cluster_name, envoy_bootstrap

VIRTUAL_SERVICE = "virtualservice.yaml"
GATEWAY = "gateway.yaml"
DESTINATION_RULE = "destinationrule.yaml"
CONNECTIONS = "envoyfilter-connections.yaml"
BUFFER = "envoyfilter-request-buffer.yaml"
AUTHORIZATION_POLICY = "authorizationpolicy-gateway.yaml"
REQUEST_AUTHENTICATION = "requestauthentication.yaml"
KUSTOMIZATION = "kustomization.yaml"


def translate(rules: Path, *, timeouts: bool = True) -> dict[str, Any]:
    return envoy_bootstrap(
        rules,
        port=8080,
        upstreams=[Upstream(8001, 9001)],
        admin_socket=Path("admin.sock"),
        timeouts=timeouts,
    )


def connection_manager(rules: Path, *, timeouts: bool = True) -> dict[str, Any]:
    [listener] = translate(rules, timeouts=timeouts)["static_resources"]["listeners"]
    [found] = listener["filter_chains"][0]["filters"]
    return dict(found["typed_config"])


def routes(rules: Path, *, timeouts: bool = True) -> list[dict[str, Any]]:
    [virtual_host] = connection_manager(rules, timeouts=timeouts)["route_config"]["virtual_hosts"]
    return list(virtual_host["routes"])


def route(rules: Path, name: str) -> dict[str, Any]:
    [found] = (found for found in routes(rules) if found["name"] == name)
    return found


def cluster(rules: Path, subset: str = "") -> dict[str, Any]:
    clusters = translate(rules)["static_resources"]["clusters"]
    [found] = (found for found in clusters if found["name"] == cluster_name(subset))
    return dict(found)


def assert_refused(rules: Path, file: str, field: str, *words: str) -> None:
    with pytest.raises(IngressRuleError) as caught:
        translate(rules)
    message = str(caught.value)
    assert (caught.value.file, caught.value.field) == (rules / file, field)
    assert message.startswith(f"{rules / file}: {field}")
    assert "\n" not in message
    for word in words:
        assert word in message


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))
