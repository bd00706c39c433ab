"""The service as an Envoy cluster of upstreams, with the policy of the DestinationRule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workbench.ingress.envoy_json import Json, duration, typed
from workbench.ingress.istio_destination import HttpPool, LoadBalancer, OutlierDetection, TrafficPolicy

_UNLIMITED = 2**32 - 1  # Istio's default for every limit; Envoy's own defaults are 1024, and 3 for retries

_IDENTITY_IDLE = "60s"  # below the provider's keep-alive, see workbench/identity/__main__.py

# Replaces Kubernetes's readinessProbe. One 503 makes an upstream unhealthy and one 200 makes it healthy; only an
# upstream that does not answer gets three tries.
_READINESS: Json = {
    "http_health_check": {"path": "/readyz", "host": "localhost"},
    "interval": "0.25s",
    "no_traffic_interval": "0.25s",  # default 60s: an idle upstream would stay out for a minute after a failed check
    "timeout": "2s",
    "healthy_threshold": 1,
    "unhealthy_threshold": 3,
}


@dataclass(frozen=True)
class Upstream:
    """An address on this machine that Envoy sends requests to: the ports of one replica, or of what replaces it.

    `labels` are what its pod would have in a cluster.
    """

    api_port: int
    ops_port: int
    labels: Mapping[str, str] = field(default_factory=dict)


def envoy_cluster(name: str, policy: TrafficPolicy, upstreams: Sequence[Upstream]) -> Json:
    tcp, http = policy.connection_pool.tcp, policy.connection_pool.http
    cluster: Json = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": duration(tcp.connect_timeout),
        **_load_balancer(policy.load_balancer),
        # An upstream that is not ready gets no request, even if no upstream is ready: Kubernetes's endpoints do not
        # contain it either. It gets none at once: by default Envoy delays a second change by up to a second.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": tcp.max_connections or _UNLIMITED,
                    "max_pending_requests": http.http1_max_pending_requests or _UNLIMITED,
                    "max_requests": http.http2_max_requests or _UNLIMITED,
                    "max_retries": http.max_retries or _UNLIMITED,
                }
            ]
        },
        "health_checks": [_READINESS],
        "typed_extension_protocol_options": _http1(_connections(http)),
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [_endpoint(upstream) for upstream in upstreams]}],
        },
    }
    if policy.outlier_detection:
        cluster["outlier_detection"] = _outlier_detection(policy.outlier_detection)
    return cluster


def _load_balancer(load_balancer: LoadBalancer) -> Json:
    by = load_balancer.consistent_hash
    if by is None:
        return {"lb_policy": load_balancer.simple}
    if by.maglev:
        return {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": by.maglev.table_size}}
    if by.ring_hash:
        size = by.ring_hash.minimum_ring_size
        return {"lb_policy": "RING_HASH", **({"ring_hash_lb_config": {"minimum_ring_size": size}} if size else {})}
    return {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": by.minimum_ring_size or 1024}}


def _http1(connections: Json) -> Json:
    options = typed(
        "upstreams.http.v3.HttpProtocolOptions",
        common_http_protocol_options=connections,
        explicit_http_config={"http_protocol_options": {}},
    )
    return {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}


def _connections(http: HttpPool) -> Json:
    translated: Json = {}
    if http.idle_timeout:
        translated["idle_timeout"] = duration(http.idle_timeout)
    if http.max_requests_per_connection:
        translated["max_requests_per_connection"] = http.max_requests_per_connection
    return translated


def _endpoint(upstream: Upstream) -> Json:
    return {
        "endpoint": {
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": upstream.api_port}},
            "health_check_config": {"port_value": upstream.ops_port},
        }
    }


def _outlier_detection(outlier: OutlierDetection) -> Json:
    translated: Json = {
        "enforcing_success_rate": 0,
        "split_external_local_origin_errors": outlier.split_external_local_origin_errors,
    }
    if (errors := outlier.consecutive_5xx_errors) is not None:
        translated |= {"consecutive_5xx": errors, "enforcing_consecutive_5xx": 100 if errors else 0}
    if outlier.split_external_local_origin_errors:
        translated["enforcing_local_origin_success_rate"] = 0
        if failures := outlier.consecutive_local_origin_failures:
            translated |= {
                "consecutive_local_origin_failure": failures,
                "enforcing_consecutive_local_origin_failure": 100,
            }
    if outlier.interval:
        translated["interval"] = duration(outlier.interval)
    if outlier.base_ejection_time:
        translated["base_ejection_time"] = duration(outlier.base_ejection_time)
    if outlier.max_ejection_percent:
        translated["max_ejection_percent"] = outlier.max_ejection_percent
    return translated


def identity_cluster(name: str, port: int | None) -> Json:
    """The identity provider, a process on this machine, if there is one."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}] if port else []
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": _http1({"idle_timeout": _IDENTITY_IDLE}),
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }
