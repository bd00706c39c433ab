"""Makes Envoy's configuration from the ingress rules in k8s/istio: the workbench's replacement for Istio's gateway.

It behaves as Istio 1.31 does with the same files, with these differences:

- Only the HTTP server of the Gateway is opened. The HTTPS server is checked and left out, because the workbench has
  no certificate.
- The replicas run on this machine, and Envoy connects to them by plain HTTP.
- Kubernetes tells Istio which replicas are ready; here Envoy asks each replica's /readyz. A 200 also ends an ejection
  by outlier detection, while in Istio the replica stays ejected for the whole ejection time.
- Envoy fetches the keys of a `jwksUri` itself, and often; in Istio, istiod does so, every 20 minutes.
- EnvoyFilters of the same priority are in the order of their names. In Istio that is so if they were created in the
  same second, as by one command; otherwise the oldest is the first.
- Istio's own filters (for its metrics, mutual TLS and faults), and what is only for gRPC, are left out.
"""

from collections.abc import Sequence
from pathlib import Path

from workbench.ingress import statistics as envoy_stats
from workbench.ingress.authentication import jwt_filters
from workbench.ingress.authorization import rbac_filters
from workbench.ingress.cluster import Upstream, envoy_cluster, identity_cluster
from workbench.ingress.envoy_json import Json, typed
from workbench.ingress.envoyfilter import merged
from workbench.ingress.istio import MAX_BODY, Destination, HttpRoute
from workbench.ingress.istio_destination import ConsistentHash
from workbench.ingress.istio_values import MAX_REGEX_PROGRAM_SIZE
from workbench.ingress.routes import CORS, envoy_routes, without_timeouts
from workbench.ingress.rule_files import IngressRuleError
from workbench.ingress.rules import IDENTITY_HOST, IDENTITY_PORT, SERVICE_HOST, SERVICE_PORT, IngressRules, read_rules

__all__ = [
    "CLUSTER",
    "IngressRuleError",
    "IngressRules",
    "Upstream",
    "cluster_name",
    "envoy_bootstrap",
    "read_rules",
]


def cluster_name(subset: str) -> str:
    """The name that Istio gives to the cluster, in access logs and statistics."""
    return f"outbound|{SERVICE_PORT}|{subset}|{SERVICE_HOST}"


CLUSTER = cluster_name("")
"""The cluster of all replicas, for the destinations that name no subset."""
IDENTITY_CLUSTER = f"outbound|{IDENTITY_PORT}||{IDENTITY_HOST}"
_UNIX_PATH_MAX = 107  # bytes; sockaddr_un of Linux

# As Istio starts its proxies: a fragment in a path is cut off, where Envoy's default refuses the request, and regular
# expressions may be longer.
_RUNTIME: Json = {
    "envoy.reloadable_features.http_reject_path_with_fragment": False,
    "re2.max_program_size.error_level": MAX_REGEX_PROGRAM_SIZE,
}


def envoy_bootstrap(
    rules: Path | IngressRules,
    *,
    port: int,
    upstreams: Sequence[Upstream],
    admin_socket: Path,
    addresses: Sequence[str] = ("127.0.0.1",),
    stats_port: int | None = None,
    timeouts: bool = True,
    identity_port: int | None = None,
) -> Json:
    """The configuration for `envoy --config-path`, as JSON.

    `rules` is the directory k8s/istio, or what was read from it. Envoy listens on `port` of each of `addresses`;
    include ::1 if the machine has it, since localhost can mean either address. The administration interface listens
    only on the Unix socket `admin_socket`. With `stats_port`, the statistics can be read at that port of 127.0.0.1.
    Without `timeouts`, those of the routes are left out. At `identity_port` of 127.0.0.1 is the identity provider,
    where the keys of a `jwksUri` are fetched; without it no token is valid, and its routes answer 503.

    Raises IngressRuleError if the rules contain anything that this translation does not support, and ValueError if
    `admin_socket` is too long for a socket.
    """
    if len(bytes(admin_socket)) > _UNIX_PATH_MAX:
        raise ValueError(f"{admin_socket} is longer than the maximum of a socket's path ({_UNIX_PATH_MAX} bytes)")
    read = read_rules(rules) if isinstance(rules, Path) else rules
    destination = read.destination_rule.spec
    provider = any(rule.jwks_uri for rule in read.jwt_rules) or any(
        to.host == IDENTITY_HOST for to in read.virtual_service.spec.destinations()
    )
    listener, *more = ({"socket_address": {"address": address, "port_value": port}} for address in addresses)
    return {
        "admin": {"address": {"pipe": {"path": str(admin_socket), "mode": 0o600}}},
        "stats_config": envoy_stats.CONFIG,
        "layered_runtime": {"layers": [{"name": "istio", "static_layer": _RUNTIME}]},
        "static_resources": {
            "listeners": [
                {
                    "name": "ingress",
                    "address": listener,
                    "additional_addresses": [{"address": address} for address in more],
                    # By default a second workbench could bind the same port, and would get half of the requests.
                    "enable_reuse_port": False,
                    "filter_chains": [{"filters": [_connection_manager(read, timeouts)]}],
                },
                *([envoy_stats.listener(stats_port)] if stats_port else []),
            ],
            "clusters": [
                *(
                    envoy_cluster(
                        cluster_name(subset),
                        policy,
                        [upstream for upstream in upstreams if destination.selects(subset, upstream.labels)],
                    )
                    for subset, policy in destination.policies().items()
                ),
                *([identity_cluster(IDENTITY_CLUSTER, identity_port)] if provider else []),
                envoy_stats.cluster(admin_socket),
            ],
        },
    }


def _connection_manager(rules: IngressRules, timeouts: bool) -> Json:
    http_port = rules.server.port.number

    def cluster(to: Destination) -> str:
        return IDENTITY_CLUSTER if to.host == IDENTITY_HOST else cluster_name(to.subset)

    def consistent_hash(to: Destination) -> ConsistentHash | None:
        return None if to.host == IDENTITY_HOST else rules.destination_rule.spec.consistent_hash(to.subset)

    routes = envoy_routes(rules.virtual_service.spec.http, rules.route_patches, cluster, consistent_hash)
    if not timeouts:
        without_timeouts(routes)
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": typed(
            "filters.network.http_connection_manager.v3.HttpConnectionManager",
            stat_prefix="ingress",
            server_name="istio-envoy",
            # Clients are untrusted: their x-request-id is replaced and their x-envoy-* headers are ignored.
            use_remote_address=True,
            normalize_path=True,  # resolves `..` but keeps `//`, as Istio's default does
            stream_idle_timeout="0s",  # Envoy's default would end a silent stream after 5 minutes
            proxy_100_continue=True,  # a replica decides whether a client shall send its body, not Envoy
            upgrade_configs=[{"upgrade_type": "websocket"}],
            http_filters=[
                *(found.model_dump(exclude_unset=True) for found in rules.first_filters),
                *jwt_filters(rules.jwt_rules, IDENTITY_CLUSTER),
                *rbac_filters(rules.authorization_policies),
                *_cors_filter(rules.virtual_service.spec.http),
                *(found.model_dump(exclude_unset=True) for found in rules.last_filters),
                {"name": "envoy.filters.http.router", "typed_config": typed("filters.http.router.v3.Router")},
            ],
            route_config={
                "name": f"http.{http_port}",
                "max_direct_response_body_size_bytes": MAX_BODY,
                "ignore_port_in_host_matching": True,
                "virtual_hosts": [
                    {
                        "name": f"*:{http_port}",
                        "domains": ["*"] if "*" in rules.server.hosts else rules.server.hosts,
                        "include_request_attempt_count": True,
                        "routes": routes,
                    }
                ],
            },
            **merged(rules.connection_manager),
        ),
    }


def _cors_filter(routes: Sequence[HttpRoute]) -> list[Json]:
    """Before the filters of EnvoyFilters, as in Istio, which always has it: without a policy it does nothing."""
    needed = any(route.cors_policy for route in routes)
    return [{"name": CORS, "typed_config": typed("filters.http.cors.v3.Cors")}] if needed else []
