"""Models of the Istio objects that the workbench reads: Gateway, VirtualService and DestinationRule.

Every model forbids unknown fields. A rule that the workbench silently ignored would make it behave differently from
the cluster, so such a rule stops it instead. Istio's reference describes each field:
https://istio.io/latest/docs/reference/config/networking/.
"""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from workbench.ingress.istio_values import (
    Duration,
    Limit,
    Line,
    Port,
    Regex,
    RemovableHeaders,
    RetryOn,
    SettableHeaders,
)

MAX_BODY = 1024 * 1024  # of an answer that the gateway makes; Envoy's default is 4096


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
            raise ValueError("a server with protocol HTTPS needs tls, and one with protocol HTTP cannot have it")
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
    prefix: Annotated[str, Field(min_length=1)] | None = None
    regex: Regex | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if len(self.model_fields_set) != 1 or None in (getattr(self, name) for name in self.model_fields_set):
            raise ValueError("give exactly one of exact, prefix and regex, with a value")
        return self


class RequestMatch(Strict):
    """A request has to meet all conditions of a match. The matches of a route are alternatives."""

    uri: StringMatch | None = None
    method: StringMatch | None = None
    headers: dict[str, StringMatch] = {}

    @field_validator("headers")
    @classmethod
    def _header_names(cls, headers: dict[str, StringMatch]) -> dict[str, StringMatch]:
        for name in headers:
            if not re.fullmatch(r"[a-z0-9_.-]+", name):
                reason = "is not a header name in lower case; claims and pseudo-headers are not supported"
                raise ValueError(f"{name!r} {reason}")
        return headers


class Body(Strict):
    string: Annotated[str, Field(max_length=MAX_BODY)]


class DirectResponse(Strict):
    status: Annotated[int, Field(ge=200, le=599)]
    body: Body | None = None


class Redirect(Strict):
    uri: Line | None = None
    authority: Line | None = None
    scheme: Literal["http", "https"] | None = None
    redirect_code: Literal[301, 302, 303, 307, 308] = 301


class Rewrite(Strict):
    uri: Line  # replaces the prefix that the route matches


class HeaderOperations(Strict):
    set: SettableHeaders = {}
    add: SettableHeaders = {}
    remove: RemovableHeaders = []


class Headers(Strict):
    request: HeaderOperations = HeaderOperations()
    response: HeaderOperations = HeaderOperations()


class Retries(Strict):
    attempts: Limit  # optional in Istio, where leaving it out means that nothing is retried
    per_try_timeout: Duration | None = None
    retry_on: RetryOn = (
        "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"  # Istio's default
    )


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

    @model_validator(mode="after")
    def _one_action(self) -> Self:
        actions = {"directResponse": self.direct_response, "redirect": self.redirect, "route": self.route}
        if sum(bool(action) for action in actions.values()) != 1:
            raise ValueError(f"give exactly one of {', '.join(actions)}")
        if not self.route:
            for name in ("rewrite", "timeout", "retries"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"{name} only works with route, since nothing else forwards a request; remove it"
                    )
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
    """All replicas, under another policy. Istio's labels would select some of them; the workbench has no labels."""

    name: Annotated[str, Field(min_length=1)]
    traffic_policy: TrafficPolicy = TrafficPolicy()


class DestinationRuleSpec(Strict):
    host: str
    traffic_policy: TrafficPolicy = TrafficPolicy()
    subsets: list[Subset] = []

    def policies(self) -> dict[str, TrafficPolicy]:
        """The policy of each subset by its name; "" is the name of the policy without a subset.

        A section of a subset's policy, such as connectionPool, replaces the same section of the rule's policy. The
        subset inherits all sections that it does not have.
        """
        policies = {"": self.traffic_policy}
        for subset in self.subsets:
            own = subset.traffic_policy
            sections = {name: getattr(own, name) for name in own.model_fields_set}
            policies[subset.name] = self.traffic_policy.model_copy(update=sections)
        return policies


class DestinationRule(Strict):
    api_version: Literal["networking.istio.io/v1"]
    kind: Literal["DestinationRule"]
    metadata: Metadata
    spec: DestinationRuleSpec
