"""The ingress rules of k8s/istio as a configuration of Envoy: the workbench's stand-in for Istio's gateway.

What Istio 1.31 would generate for the same files is generated here too, with three differences. Only the HTTP
server of the Gateway is opened: the HTTPS server is read and checked, and left out, because the workbench has no
certificate. The replicas are on this machine, and plain HTTP leads to them. And while Kubernetes tells Istio
which replicas are ready, here Envoy asks each replica's /readyz itself; a replica that outlier detection has
ejected is back when that says 200, where Istio's stays out for the whole ejection time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from workbench.ingress_rules import SERVICE_HOST, SERVICE_PORT, IngressRuleError, IngressRules, read_rules
from workbench.istio import (
    DestinationRuleSpec,
    Fault,
    HeaderOperations,
    HttpRoute,
    OutlierDetection,
    Percentage,
    Redirect,
    RequestMatch,
    Retries,
    StringMatch,
)

__all__ = ["CLUSTER", "IngressRuleError", "Replica", "envoy_bootstrap"]

CLUSTER = f"outbound|{SERVICE_PORT}||{SERVICE_HOST}"  # Istio's name for it, in access logs and statistics
_UNLIMITED = 2**32 - 1
_UNIX_PATH_MAX = 107  # bytes; sockaddr_un of Linux

Json = dict[str, Any]


@dataclass(frozen=True)
class Replica:
    """One process of the service on this machine."""

    api_port: int
    ops_port: int


def envoy_bootstrap(
    rules: Path,
    *,
    port: int,
    replicas: Sequence[Replica],
    admin_socket: Path,
    addresses: Sequence[str] = ("127.0.0.1",),
    access_log: bool = False,
) -> Json:
    """The configuration for `envoy --config-path`, as JSON.

    `rules` is the directory k8s/istio. Envoy listens on `port` of each of `addresses`; add ::1 where the machine
    has it, as localhost may mean either. Its administration listens on the Unix socket `admin_socket` only.
    Raises IngressRuleError when the rules hold anything that this translation would not follow, and ValueError
    when `admin_socket` is too long for a socket.
    """
    if len(bytes(admin_socket)) > _UNIX_PATH_MAX:
        raise ValueError(f"{admin_socket} is longer than a socket's path may be ({_UNIX_PATH_MAX} bytes)")
    read = read_rules(rules)
    listener, *more = ({"socket_address": {"address": address, "port_value": port}} for address in addresses)
    return {
        "admin": {"address": {"pipe": {"path": str(admin_socket), "mode": 0o600}}},
        "static_resources": {
            "listeners": [
                {
                    "name": "ingress",
                    "address": listener,
                    "additional_addresses": [{"address": address} for address in more],
                    # With it a second workbench would share the port, and get every second request, in silence.
                    "enable_reuse_port": False,
                    "filter_chains": [{"filters": [_connection_manager(read, access_log)]}],
                }
            ],
            "clusters": [_cluster(read.destination_rule.spec, replicas)],
        },
    }


def _connection_manager(rules: IngressRules, access_log: bool) -> Json:
    http_port = rules.server.port.number
    [patch] = rules.envoy_filter.spec.config_patches
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": _typed(
            "filters.network.http_connection_manager.v3.HttpConnectionManager",
            stat_prefix="ingress",
            server_name="istio-envoy",
            use_remote_address=True,  # makes up x-request-id and x-forwarded-for, whatever the client sends
            normalize_path=True,  # resolves `..`; like Istio's default it leaves `//` alone
            stream_idle_timeout="0s",  # Envoy's own default would cut a silent stream after 5 minutes
            upgrade_configs=[{"upgrade_type": "websocket"}],
            http_filters=[
                {"name": "envoy.filters.http.fault", "typed_config": _typed("filters.http.fault.v3.HTTPFault")},
                {"name": "envoy.filters.http.router", "typed_config": _typed("filters.http.router.v3.Router")},
            ],
            route_config={
                "name": f"http.{http_port}",
                "virtual_hosts": [
                    {
                        "name": f"*:{http_port}",
                        "domains": _domains(rules.server.hosts),
                        "include_request_attempt_count": True,
                        "routes": [
                            _route(route, match)
                            for route in rules.virtual_service.spec.http
                            for match in route.match or [RequestMatch()]
                        ],
                    }
                ],
            },
            local_reply_config=patch.patch.value.typed_config.local_reply_config,
            access_log=[_ACCESS_LOG] if access_log else [],
        ),
    }


def _domains(hosts: Sequence[str]) -> list[str]:
    return ["*"] if "*" in hosts else [domain for host in hosts for domain in (host, f"{host}:*")]


def _route(route: HttpRoute, match: RequestMatch) -> Json:
    request, response = route.headers.request, route.headers.response
    translated: Json = {
        "name": f"{route.name}.{match.name}" if match.name else route.name,
        "match": _match(match),
        "request_headers_to_add": _headers_to_add(request),
        "request_headers_to_remove": request.remove,
        "response_headers_to_add": _headers_to_add(response),
        "response_headers_to_remove": response.remove,
    }
    if route.fault:
        translated["typed_per_filter_config"] = {"envoy.filters.http.fault": _fault(route.fault)}
    if route.direct_response:
        translated["direct_response"] = {"status": route.direct_response.status}
        if route.direct_response.body:
            translated["direct_response"]["body"] = {"inline_string": route.direct_response.body.string}
    elif route.redirect:
        translated["redirect"] = _redirect(route.redirect)
    else:
        action: Json = {"cluster": CLUSTER, "timeout": _duration(route.timeout or timedelta())}
        # Istio's own defaults apply without `retries`; `attempts: 0` switches them off.
        retries = route.retries or Retries(attempts=2)
        if retries.attempts:
            action["retry_policy"] = _retry_policy(retries)
        if route.rewrite and route.rewrite.uri:
            action["prefix_rewrite"] = route.rewrite.uri
        if route.rewrite and route.rewrite.authority:
            action["host_rewrite_literal"] = route.rewrite.authority
        translated["route"] = action
    return translated


def _match(match: RequestMatch) -> Json:
    translated: Json = {"case_sensitive": not match.ignore_uri_case}
    if match.uri is None:
        translated["prefix"] = "/"
    elif match.uri.exact is not None:
        translated["path"] = match.uri.exact
    elif match.uri.prefix is not None:
        translated["prefix"] = match.uri.prefix
    else:
        translated["safe_regex"] = {"regex": match.uri.regex}

    headers = [{"name": name, **_value_match(value)} for name, value in match.headers.items()]
    for name, value in match.without_headers.items():
        matcher = {"name": name, **_value_match(value), "invert_match": True}
        # A missing header has no value, so it does not have this one.
        headers.append(matcher if "present_match" in matcher else {**matcher, "treat_missing_header_as_empty": True})
    if match.method is not None:
        headers.append({"name": ":method", **_value_match(match.method)})
    translated["headers"] = headers
    translated["query_parameters"] = [
        {"name": name, **_value_match(value)} for name, value in match.query_params.items()
    ]
    return translated


def _value_match(value: StringMatch) -> Json:
    if value.exact is not None:
        return {"string_match": {"exact": value.exact}}
    if value.prefix is not None:
        return {"string_match": {"prefix": value.prefix}}
    if value.regex == "*":  # not a regular expression: Istio's word for "present"
        return {"present_match": True}
    return {"string_match": {"safe_regex": {"regex": value.regex}}}


def _headers_to_add(operations: HeaderOperations) -> list[Json]:
    return [
        {"header": {"key": name, "value": value}, "append_action": action}
        for action, headers in (
            ("OVERWRITE_IF_EXISTS_OR_ADD", operations.set),
            ("APPEND_IF_EXISTS_OR_ADD", operations.add),
        )
        for name, value in headers.items()
    ]


def _retry_policy(retries: Retries) -> Json:
    default = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
    conditions = (retries.retry_on or default).split(",")
    statuses = [int(condition) for condition in conditions if condition.isdigit()]
    names = [condition for condition in conditions if not condition.isdigit()]
    if statuses and "retriable-status-codes" not in names:
        names.append("retriable-status-codes")
    policy: Json = {
        "num_retries": retries.attempts,
        "retry_on": ",".join(names),
        "retriable_status_codes": statuses,
        # Another replica is asked; only when five picks in a row hit one that was asked already, that one again.
        "host_selection_retry_max_attempts": 5,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": _typed("retry.host.previous_hosts.v3.PreviousHostsPredicate"),
            }
        ],
    }
    if retries.per_try_timeout:
        policy["per_try_timeout"] = _duration(retries.per_try_timeout)
    if retries.backoff:
        policy["retry_back_off"] = {"base_interval": _duration(retries.backoff)}
    return policy


def _redirect(redirect: Redirect) -> Json:
    names = {
        301: "MOVED_PERMANENTLY",
        302: "FOUND",
        303: "SEE_OTHER",
        307: "TEMPORARY_REDIRECT",
        308: "PERMANENT_REDIRECT",
    }
    translated: Json = {"response_code": names[redirect.redirect_code]}
    if redirect.uri:
        translated["path_redirect"] = redirect.uri
    if redirect.authority:
        translated["host_redirect"] = redirect.authority
    if redirect.scheme:
        translated["scheme_redirect"] = redirect.scheme
    return translated


def _fault(fault: Fault) -> Json:
    settings: Json = {}
    if fault.abort:
        settings["abort"] = {
            "http_status": fault.abort.http_status,
            "percentage": _fraction(fault.abort.percentage),
        }
    if fault.delay:
        settings["delay"] = {
            "fixed_delay": _duration(fault.delay.fixed_delay),
            "percentage": _fraction(fault.delay.percentage),
        }
    return _typed("filters.http.fault.v3.HTTPFault", **settings)


def _cluster(rule: DestinationRuleSpec, replicas: Sequence[Replica]) -> Json:
    policy = rule.traffic_policy
    tcp, http = policy.connection_pool.tcp, policy.connection_pool.http
    common_http: Json = {}
    if http.idle_timeout:
        common_http["idle_timeout"] = _duration(http.idle_timeout)
    if http.max_requests_per_connection:
        common_http["max_requests_per_connection"] = http.max_requests_per_connection
    cluster: Json = {
        "name": CLUSTER,
        "type": "STATIC",
        "connect_timeout": _duration(tcp.connect_timeout),
        "lb_policy": policy.load_balancer.simple,
        # Never a replica that is not ready, not even when none is: the endpoints of Kubernetes hold no such ones.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
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
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _typed(
                "upstreams.http.v3.HttpProtocolOptions",
                common_http_protocol_options=common_http,
                explicit_http_config={"http_protocol_options": {}},
            )
        },
        "load_assignment": {
            "cluster_name": CLUSTER,
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
        translated["interval"] = _duration(outlier.interval)
    if outlier.base_ejection_time:
        translated["base_ejection_time"] = _duration(outlier.base_ejection_time)
    if outlier.max_ejection_percent:
        translated["max_ejection_percent"] = outlier.max_ejection_percent
    return translated


def _typed(message: str, **fields: object) -> Json:
    return {"@type": f"type.googleapis.com/envoy.extensions.{message}", **fields}


def _duration(value: timedelta) -> str:
    """Protobuf's JSON form of a duration: seconds, with a fraction when there is one."""
    seconds, microseconds = divmod(value // timedelta(microseconds=1), 1_000_000)
    return f"{seconds}.{microseconds:06d}s" if microseconds else f"{seconds}s"


def _fraction(percentage: Percentage) -> Json:
    return {"numerator": round(percentage.value * 10_000), "denominator": "MILLION"}


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

# Istio's keys for `accessLogEncoding: JSON`, so that one query finds the same in the workbench and in the cluster.
_ACCESS_LOG: Json = {
    "name": "envoy.access_loggers.stdout",
    "typed_config": _typed(
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
