"""The service as Envoy's cluster of replicas, with the policy of the DestinationRule."""

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.ingress.envoy_json import Json, duration, typed
from workbench.ingress.istio import OutlierDetection, TrafficPolicy

_UNLIMITED = 2**32 - 1  # Istio's default for every limit; Envoy's own are 1024, and 3 retries

# The readiness that Kubernetes would find with the readinessProbe. A 503 takes a replica out at once, a first
# answer of 200 takes it in; only a replica that does not answer is given three tries.
_READINESS: Json = {
    "http_health_check": {"path": "/readyz", "host": "localhost"},
    "interval": "0.25s",
    "no_traffic_interval": "0.25s",  # 60 s by default: after a failed check an idle replica would be out for a minute
    "timeout": "2s",
    "healthy_threshold": 1,
    "unhealthy_threshold": 3,
}


@dataclass(frozen=True)
class Replica:
    """One process of the service on this machine."""

    api_port: int
    ops_port: int


def envoy_cluster(name: str, policy: TrafficPolicy, replicas: Sequence[Replica]) -> Json:
    tcp, http = policy.connection_pool.tcp, policy.connection_pool.http
    common_http: Json = {}
    if http.idle_timeout:
        common_http["idle_timeout"] = duration(http.idle_timeout)
    if http.max_requests_per_connection:
        common_http["max_requests_per_connection"] = http.max_requests_per_connection
    cluster: Json = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": duration(tcp.connect_timeout),
        "lb_policy": policy.load_balancer.simple,
        # Never a replica that is not ready, not even when none is: the endpoints of Kubernetes hold no such ones.
        # Nor for a moment longer: by default a change waits for up to a second if it follows on another one.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": tcp.max_connections or _UNLIMITED,
                    "max_pending_requests": http.http1_max_pending_requests or _UNLIMITED,
                    "max_requests": http.http2_max_requests or _UNLIMITED,
                    "max_retries": http.max_retries or _UNLIMITED,
                    "track_remaining": True,
                }
            ]
        },
        "health_checks": [_READINESS],
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
                "upstreams.http.v3.HttpProtocolOptions",
                common_http_protocol_options=common_http,
                explicit_http_config={"http_protocol_options": {}},
            )
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [_endpoint(replica) for replica in replicas]}],
        },
    }
    if policy.outlier_detection:
        cluster["outlier_detection"] = _outlier_detection(policy.outlier_detection)
    return cluster


def _endpoint(replica: Replica) -> Json:
    return {
        "endpoint": {
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": replica.api_port}},
            "health_check_config": {"port_value": replica.ops_port},
        }
    }


def _outlier_detection(outlier: OutlierDetection) -> Json:
    translated: Json = {
        "enforcing_success_rate": 0,
        "split_external_local_origin_errors": outlier.split_external_local_origin_errors,
    }
    if (errors := outlier.consecutive_5xx_errors) is not None:
        translated |= {"consecutive_5xx": errors, "enforcing_consecutive_5xx": 100 if errors else 0}
    if (errors := outlier.consecutive_gateway_errors) is not None:
        translated |= {
            "consecutive_gateway_failure": errors,
            "enforcing_consecutive_gateway_failure": 100 if errors else 0,
        }
    if outlier.split_external_local_origin_errors:
        translated["enforcing_local_origin_success_rate"] = 0
        if errors := outlier.consecutive_local_origin_failures:
            translated |= {
                "consecutive_local_origin_failure": errors,
                "enforcing_consecutive_local_origin_failure": 100,
            }
    if outlier.interval:
        translated["interval"] = duration(outlier.interval)
    if outlier.base_ejection_time:
        translated["base_ejection_time"] = duration(outlier.base_ejection_time)
    if outlier.max_ejection_percent:
        translated["max_ejection_percent"] = outlier.max_ejection_percent
    return translated
