"""The part of Istio's rules that the workbench understands, read strictly.

Every model forbids fields it does not name: a rule that the workbench cannot follow stops it, because one that
it silently ignored would make the workbench a different place from the cluster. What a field means is said in
https://istio.io/latest/docs/reference/config/networking/.
"""

import re
from datetime import timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|m|s|ms|us|ns))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(h|m(?!s)|s|ms|us|ns)")
_UNIT_SECONDS = {
    "h": Decimal(3600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("1e-3"),
    "us": Decimal("1e-6"),
    "ns": Decimal("1e-9"),
}


def _parse_duration(value: object) -> timedelta:
    """Go's duration, as in 15s, 1m30s or 250ms; Istio's CRDs accept nothing below 1ms."""
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError(f"{value!r} is not a duration; write it like 15s, 1m30s or 250ms")
    seconds = sum(Decimal(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION_PART.findall(value))
    if seconds < Decimal("1e-3"):
        raise ValueError(f"{value!r} is below 1ms, which Istio refuses; leave the field out for Istio's default")
    return timedelta(seconds=float(seconds))


# https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-retry-on
_RETRY_CONDITIONS = frozenset(
    {
        "5xx",
        "cancelled",
        "connect-failure",
        "deadline-exceeded",
        "envoy-ratelimited",
        "gateway-error",
        "http3-post-connect-failure",
        "internal",
        "refused-stream",
        "reset",
        "reset-before-request",
        "resource-exhausted",
        "retriable-4xx",
        "retriable-headers",
        "retriable-status-codes",
        "unavailable",
    }
)


def _check_retry_on(value: str) -> str:
    for condition in value.split(","):
        if condition != condition.strip():
            raise ValueError(f"{value!r} has spaces, which Istio refuses; separate the conditions by commas only")
        known = condition in _RETRY_CONDITIONS or (condition.isdigit() and int(condition) in set(HTTPStatus))
        if not known:
            names = ", ".join(sorted(_RETRY_CONDITIONS))
            raise ValueError(f"{condition!r} is not a retry condition; use a status code or one of {names}")
    return value


def _check_settable(headers: dict[str, str]) -> dict[str, str]:
    for name in headers:
        if name.startswith(":") or name.lower() == "host":
            raise ValueError(f"{name!r} cannot be changed here; use rewrite (authority, uri)")
    return headers


def _check_port(port: int) -> int:
    if not 0 < port < 65536:
        raise ValueError(f"{port} is not a port")
    return port


Duration = Annotated[timedelta, BeforeValidator(_parse_duration)]
RetryOn = Annotated[str, AfterValidator(_check_retry_on)]
Port = Annotated[int, AfterValidator(_check_port)]
Limit = Annotated[int, Field(ge=0)]  # 0 is Istio's way to say "not set"
SettableHeaders = Annotated[dict[str, str], AfterValidator(_check_settable)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)


class Metadata(Strict):
    name: str
    namespace: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


# --- Gateway


class ServerPort(Strict):
    number: Port
    name: str
    protocol: Literal["HTTP", "HTTPS"]


class ServerTls(Strict):
    mode: Literal["SIMPLE"]
    credential_name: str
    min_protocol_version: Literal["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"] = "TLS_AUTO"


class Server(Strict):
    port: ServerPort
    hosts: Annotated[list[str], Field(min_length=1)]
    tls: ServerTls | None = None

    @model_validator(mode="after")
    def _tls_goes_with_https(self) -> Self:
        if (self.port.protocol == "HTTPS") != (self.tls is not None):
            raise ValueError("tls belongs to a server with protocol HTTPS, and to no other")
        return self


class GatewaySpec(Strict):
    selector: Annotated[dict[str, str], Field(min_length=1)]
    servers: list[Server]


class Gateway(Strict):
    api_version: Literal["networking.istio.io/v1"]
    kind: Literal["Gateway"]
    metadata: Metadata
    spec: GatewaySpec


# --- VirtualService


class StringMatch(Strict):
    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None  # RE2, and the whole value has to match

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if len(self.model_fields_set) != 1 or None in (getattr(self, name) for name in self.model_fields_set):
            raise ValueError("give exactly one of exact, prefix and regex, with a value")
        if self.regex is not None and self.regex != "*":  # which is Istio's word for "present"
            try:
                re.compile(self.regex)
            except re.error as error:
                raise ValueError(f"{self.regex!r} is not a regular expression: {error}") from None
        return self


class RequestMatch(Strict):
    """All conditions of one match hold together; the matches of a route are alternatives."""

    name: str = ""
    uri: StringMatch | None = None
    ignore_uri_case: bool = False
    method: StringMatch | None = None
    headers: dict[str, StringMatch] = {}
    without_headers: dict[str, StringMatch] = {}
    query_params: dict[str, StringMatch] = {}

    @field_validator("headers", "without_headers")
    @classmethod
    def _headers_only(cls, headers: dict[str, StringMatch]) -> dict[str, StringMatch]:
        for name in headers:
            if name != name.lower():
                raise ValueError(f"{name!r} has to be lower case in Istio, whatever case the client writes")
            if not re.fullmatch(r"[a-z0-9_.-]+", name):
                raise ValueError(f"{name!r} is not the name of a header; claims and pseudo-headers are not supported")
        return headers


class Body(Strict):
    string: str


class DirectResponse(Strict):
    status: Annotated[int, Field(ge=200, le=599)]
    body: Body | None = None


class Redirect(Strict):
    uri: str | None = None
    authority: str | None = None
    scheme: Literal["http", "https"] | None = None
    redirect_code: Literal[301, 302, 303, 307, 308] = 301


class Rewrite(Strict):
    uri: str | None = None
    authority: str | None = None


class HeaderOperations(Strict):
    set: SettableHeaders = {}
    add: SettableHeaders = {}
    remove: list[str] = []


class Headers(Strict):
    request: HeaderOperations = HeaderOperations()
    response: HeaderOperations = HeaderOperations()


class Percentage(Strict):
    value: Annotated[float, Field(ge=0, le=100)]


class Abort(Strict):
    http_status: Annotated[int, Field(ge=200, le=599)]
    percentage: Percentage  # Istio lets it be left out, and then aborts nothing


class Delay(Strict):
    fixed_delay: Duration
    percentage: Percentage


class Fault(Strict):
    abort: Abort | None = None
    delay: Delay | None = None


class Retries(Strict):
    attempts: Annotated[int, Field(ge=0)]  # Istio lets it be left out, and then never retries
    per_try_timeout: Duration | None = None
    retry_on: RetryOn | None = None
    backoff: Duration | None = None


class DestinationPort(Strict):
    number: Port


class Destination(Strict):
    host: str
    port: DestinationPort


class RouteDestination(Strict):
    destination: Destination


class HttpRoute(Strict):
    name: str = ""
    match: list[RequestMatch] = []
    direct_response: DirectResponse | None = None
    redirect: Redirect | None = None
    route: Annotated[list[RouteDestination], Field(max_length=1)] = []
    rewrite: Rewrite | None = None
    headers: Headers = Headers()
    timeout: Duration | None = None
    retries: Retries | None = None
    fault: Fault | None = None

    @model_validator(mode="after")
    def _one_action(self) -> Self:
        actions = {"directResponse": self.direct_response, "redirect": self.redirect, "route": self.route}
        if sum(bool(action) for action in actions.values()) != 1:
            raise ValueError(f"give exactly one of {', '.join(actions)}")
        if not self.route:
            needing = {"rewrite": self.rewrite, "timeout": self.timeout, "retries": self.retries, "fault": self.fault}
            for name, value in needing.items():
                if value is not None:
                    raise ValueError(f"{name} needs a route: without one no request is forwarded; remove it")
        return self


class VirtualServiceSpec(Strict):
    hosts: Annotated[list[str], Field(min_length=1)]
    gateways: Annotated[list[str], Field(min_length=1)]
    http: Annotated[list[HttpRoute], Field(min_length=1)]


class VirtualService(Strict):
    api_version: Literal["networking.istio.io/v1"]
    kind: Literal["VirtualService"]
    metadata: Metadata
    spec: VirtualServiceSpec


# --- DestinationRule


class LoadBalancer(Strict):
    simple: Literal["LEAST_REQUEST", "RANDOM", "ROUND_ROBIN"]


class TcpPool(Strict):
    max_connections: Limit = 0
    connect_timeout: Duration = timedelta(seconds=10)


class HttpPool(Strict):
    http1_max_pending_requests: Limit = 0
    http2_max_requests: Limit = 0
    max_requests_per_connection: Limit = 0
    max_retries: Limit = 0
    idle_timeout: Duration | None = None


class ConnectionPool(Strict):
    tcp: TcpPool = TcpPool()
    http: HttpPool = HttpPool()


class OutlierDetection(Strict):
    consecutive_5xx_errors: Annotated[Limit | None, Field(alias="consecutive5xxErrors")] = None
    consecutive_gateway_errors: Limit | None = None
    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failures: Limit | None = None
    interval: Duration | None = None
    base_ejection_time: Duration | None = None
    max_ejection_percent: Annotated[int, Field(ge=0, le=100)] = 0


class TrafficPolicy(Strict):
    load_balancer: LoadBalancer = LoadBalancer(simple="LEAST_REQUEST")
    connection_pool: ConnectionPool = ConnectionPool()
    outlier_detection: OutlierDetection | None = None


class DestinationRuleSpec(Strict):
    host: str
    traffic_policy: TrafficPolicy = TrafficPolicy()


class DestinationRule(Strict):
    api_version: Literal["networking.istio.io/v1"]
    kind: Literal["DestinationRule"]
    metadata: Metadata
    spec: DestinationRuleSpec


# --- EnvoyFilter: one patch of the HTTP connection manager, its local replies


class WorkloadSelector(Strict):
    labels: Annotated[dict[str, str], Field(min_length=1)]


class FilterMatch(Strict):
    name: Literal["envoy.filters.network.http_connection_manager"]


class FilterChainMatch(Strict):
    filter: FilterMatch


class ListenerMatch(Strict):
    filter_chain: FilterChainMatch


class PatchMatch(Strict):
    context: Literal["GATEWAY"]
    listener: ListenerMatch


class HttpConnectionManagerPatch(BaseModel):
    """In Envoy's own words and passed on as it is: Envoy refuses what it does not know when it starts."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    type: Literal[
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    ] = Field(alias="@type")
    local_reply_config: dict[str, Any]


class PatchValue(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    typed_config: HttpConnectionManagerPatch


class Patch(Strict):
    operation: Literal["MERGE"]
    value: PatchValue


class ConfigPatch(Strict):
    apply_to: Literal["NETWORK_FILTER"]
    match: PatchMatch
    patch: Patch


class EnvoyFilterSpec(Strict):
    workload_selector: WorkloadSelector
    config_patches: Annotated[list[ConfigPatch], Field(min_length=1, max_length=1)]


class EnvoyFilter(Strict):
    api_version: Literal["networking.istio.io/v1alpha3"]
    kind: Literal["EnvoyFilter"]
    metadata: Metadata
    spec: EnvoyFilterSpec
