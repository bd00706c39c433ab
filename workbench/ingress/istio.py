"""The part of Istio's rules that the workbench understands, read strictly.

Every model forbids fields it does not name: a rule that the workbench cannot follow stops it, because one that
it silently ignored would make the workbench a different place from the cluster. What a field means is said in
https://istio.io/latest/docs/reference/config/networking/.
"""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from workbench.ingress.istio_values import Duration, Limit, Port, RetryOn, SettableHeaders


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
    subset: str = ""


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

    def name_for(self, match: RequestMatch) -> str:
        """Envoy's name for it: each alternative of a match is a route of its own there."""
        return f"{self.name}.{match.name}" if match.name else self.name

    @property
    def alternatives(self) -> list[RequestMatch]:
        return self.match or [RequestMatch()]

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


class Subset(Strict):
    """All replicas, under another policy. (Istio's labels would choose some of them.)"""

    name: Annotated[str, Field(min_length=1)]
    traffic_policy: TrafficPolicy = TrafficPolicy()


class DestinationRuleSpec(Strict):
    host: str
    traffic_policy: TrafficPolicy = TrafficPolicy()
    subsets: list[Subset] = []

    def policies(self) -> dict[str, TrafficPolicy]:
        """The policy of each subset by its name; that of all others has the empty one.

        A subset replaces whole parts of the policy, and has the other ones too.
        """
        own = {subset.name: subset.traffic_policy for subset in self.subsets}
        return {"": self.traffic_policy} | {
            name: self.traffic_policy.model_copy(
                update={part: getattr(policy, part) for part in policy.model_fields_set}
            )
            for name, policy in own.items()
        }


class DestinationRule(Strict):
    api_version: Literal["networking.istio.io/v1"]
    kind: Literal["DestinationRule"]
    metadata: Metadata
    spec: DestinationRuleSpec
