"""The ingress rules of k8s/istio as a configuration of Envoy: the workbench's stand-in for Istio's gateway.

For the same files it does what Istio 1.31's would do, with three differences. Only the HTTP
server of the Gateway is opened: the HTTPS server is read and checked, and left out, because the workbench has no
certificate. The replicas are on this machine, and plain HTTP leads to them. And while Kubernetes tells Istio
which replicas are ready, here Envoy asks each replica's /readyz itself; a replica that outlier detection has
ejected is back when that says 200, where Istio's stays out for the whole ejection time.
"""

from collections.abc import Sequence
from pathlib import Path

from workbench.ingress import statistics as envoy_stats
from workbench.ingress.cluster import Replica, envoy_cluster
from workbench.ingress.envoy_json import Json, typed
from workbench.ingress.routes import envoy_routes
from workbench.ingress.rules import SERVICE_HOST, SERVICE_PORT, IngressRuleError, IngressRules, read_rules

__all__ = ["CLUSTER", "IngressRuleError", "Replica", "cluster_name", "envoy_bootstrap"]


def cluster_name(subset: str) -> str:
    """Istio's name for it, in access logs and statistics."""
    return f"outbound|{SERVICE_PORT}|{subset}|{SERVICE_HOST}"


CLUSTER = cluster_name("")
"""Of all that is no stream."""
_UNIX_PATH_MAX = 107  # bytes; sockaddr_un of Linux

# What Istio's proxies are started with: a fragment in a path is cut off, Envoy's own default refuses the request.
_RUNTIME: Json = {"envoy.reloadable_features.http_reject_path_with_fragment": False}

# Istio's keys for `accessLogEncoding: JSON`, so that one query finds the same in the workbench and in the cluster.
_ACCESS_LOG: Json = {
    "name": "envoy.access_loggers.stdout",
    "typed_config": typed(
        "access_loggers.stream.v3.StdoutAccessLog",
        log_format={
            "json_format": {
                "authority": "%REQ(:AUTHORITY)%",
                "bytes_received": "%BYTES_RECEIVED%",
                "bytes_sent": "%BYTES_SENT%",
                "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
                "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
                "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
                "duration": "%DURATION%",
                "method": "%REQ(:METHOD)%",
                "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
                "protocol": "%PROTOCOL%",
                "request_id": "%REQ(X-REQUEST-ID)%",
                "response_code": "%RESPONSE_CODE%",
                "response_code_details": "%RESPONSE_CODE_DETAILS%",
                "response_flags": "%RESPONSE_FLAGS%",
                "route_name": "%ROUTE_NAME%",
                "start_time": "%START_TIME%",
                "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
                "upstream_host": "%UPSTREAM_HOST%",
                "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
                "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
                "user_agent": "%REQ(USER-AGENT)%",
                "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
            }
        },
    ),
}


def envoy_bootstrap(
    rules: Path,
    *,
    port: int,
    replicas: Sequence[Replica],
    admin_socket: Path,
    addresses: Sequence[str] = ("127.0.0.1",),
    access_log: bool = False,
    stats_port: int | None = None,
) -> Json:
    """The configuration for `envoy --config-path`, as JSON.

    `rules` is the directory k8s/istio. Envoy listens on `port` of each of `addresses`; add ::1 where the machine
    has it, as localhost may mean either. Its administration listens on the Unix socket `admin_socket` only; on
    `stats_port` of 127.0.0.1 its statistics can be read.
    Raises IngressRuleError when the rules hold anything that this translation would not follow, and ValueError
    when `admin_socket` is too long for a socket.
    """
    if len(bytes(admin_socket)) > _UNIX_PATH_MAX:
        raise ValueError(f"{admin_socket} is longer than a socket's path may be ({_UNIX_PATH_MAX} bytes)")
    read = read_rules(rules)
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
                    # With it a second workbench would share the port, and get every second request, in silence.
                    "enable_reuse_port": False,
                    "filter_chains": [{"filters": [_connection_manager(read, access_log)]}],
                },
                *([envoy_stats.listener(stats_port)] if stats_port else []),
            ],
            "clusters": [
                *(
                    envoy_cluster(cluster_name(subset), policy, replicas)
                    for subset, policy in read.destination_rule.spec.policies().items()
                ),
                envoy_stats.cluster(admin_socket),
            ],
        },
    }


def _connection_manager(rules: IngressRules, access_log: bool) -> Json:
    http_port = rules.server.port.number
    patch = rules.connection_manager
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": typed(
            "filters.network.http_connection_manager.v3.HttpConnectionManager",
            stat_prefix="ingress",
            server_name="istio-envoy",
            # Clients are outside: their x-request-id is replaced, their x-envoy-* headers are not obeyed.
            use_remote_address=True,
            normalize_path=True,  # resolves `..`; like Istio's default it leaves `//` alone
            stream_idle_timeout="0s",  # Envoy's own default would cut a silent stream after 5 minutes
            upgrade_configs=[{"upgrade_type": "websocket"}],
            http_filters=[
                {"name": "envoy.filters.http.fault", "typed_config": typed("filters.http.fault.v3.HTTPFault")},
                *(found.model_dump(exclude_unset=True) for found in rules.http_filters),
                {"name": "envoy.filters.http.router", "typed_config": typed("filters.http.router.v3.Router")},
            ],
            route_config={
                "name": f"http.{http_port}",
                "virtual_hosts": [
                    {
                        "name": f"*:{http_port}",
                        "domains": _domains(rules.server.hosts),
                        "include_request_attempt_count": True,
                        "routes": envoy_routes(rules.virtual_service.spec.http, rules.route_patches, cluster_name),
                    }
                ],
            },
            access_log=[_ACCESS_LOG] if access_log else [],
            **(patch.model_dump(exclude={"type"}, exclude_unset=True) if patch else {}),
        ),
    }


def _domains(hosts: Sequence[str]) -> list[str]:
    return ["*"] if "*" in hosts else [domain for host in hosts for domain in (host, f"{host}:*")]
