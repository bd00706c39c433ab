"""Models of Istio's Gateway and VirtualService; that of DestinationRule is in istio_destination.py.

Every model forbids unknown fields. A rule that the workbench silently ignored would make it behave differently from
the cluster, so such a rule stops it instead. Istio's reference describes each field:
https://istio.io/latest/docs/reference/config/networking/.
"""

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from workbench.ingress.istio_values import (
    CorsHeader,
    CorsMethod,
    Duration,
    GatewayHost,
    Limit,
    Line,
    Port,
    Regex,
    RemovableHeaders,
    RetryOn,
    SettableHeaders,
    WholeSeconds,
)

MAX_BODY = 1024 * 1024  # of an answer that the gateway makes; Envoy's default is 4096

ApiVersion = Literal["networking.istio.io/v1", "networking.istio.io/v1beta1"]  # with the same fields


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
    hosts: Annotated[list[GatewayHost], Field(min_length=1)]
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
    api_version: ApiVersion
    kind: Literal["Gateway"]
    metadata: Metadata
    spec: GatewaySpec


# --- VirtualService


class StringMatch(Strict):
    exact: str | None = None
    prefix: Annotated[str, Field(min_length=1)] | None = None
    regex: Regex | None = None
    may_be_empty: ClassVar[bool] = False

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if self.may_be_empty and not self.model_fields_set:
            return self
        if len(self.model_fields_set) != 1 or None in (getattr(self, name) for name in self.model_fields_set):
            raise ValueError("give exactly one of exact, prefix and regex, with a value")
        return self


class HeaderMatch(StringMatch):
    """Without a condition, the header only has to be there."""

    may_be_empty: ClassVar[bool] = True


class RequestMatch(Strict):
    """A request has to meet all conditions of a match. The matches of a route are alternatives."""

    uri: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: dict[str, HeaderMatch] = {}

    @field_validator("headers")
    @classmethod
    def _header_names(cls, headers: dict[str, HeaderMatch]) -> dict[str, HeaderMatch]:
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

    @model_validator(mode="after")
    def _to_somewhere_else(self) -> Self:
        if not (self.uri or self.authority or self.scheme):
            raise ValueError("give at least one of uri, authority and scheme, with a value")
        return self


class RegexRewrite(Strict):
    match: Regex
    rewrite: Annotated[Line, Field(min_length=1)]  # with \\1 for what the first group matched


class Rewrite(Strict):
    uri: Line | None = None  # replaces the prefix that the route matches
    uri_regex_rewrite: RegexRewrite | None = None  # replaces what it matches in the path
    authority: Line | None = None

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.uri and self.uri_regex_rewrite:
            raise ValueError("uri and uriRegexRewrite exclude each other; remove one")
        if not (self.uri or self.uri_regex_rewrite or self.authority):
            raise ValueError("give at least one of uri, uriRegexRewrite and authority, with a value")
        return self


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
    weight: Limit = 0  # its share, in proportion to those of the other destinations; a single one gets everything
    headers: Headers = Headers()  # in addition to those of the route


class Origin(StringMatch):
    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.exact == "":
            raise ValueError("an empty origin is refused by Istio; write it like https://app.example")
        return self


class CorsPolicy(Strict):
    """Lets pages of other origins use a route. Preflights of these origins are answered by the gateway."""

    allow_origins: list[Origin] = []
    allow_methods: list[CorsMethod] = []
    allow_headers: list[CorsHeader] = []
    expose_headers: list[CorsHeader] = []
    max_age: WholeSeconds | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: Literal["UNSPECIFIED", "FORWARD", "IGNORE"] = "UNSPECIFIED"


class Percentage(Strict):
    value: Annotated[float, Field(ge=0, le=100, strict=False)]


class HttpRoute(Strict):
    name: str = ""
    match: list[RequestMatch] = []
    direct_response: DirectResponse | None = None
    redirect: Redirect | None = None
    route: list[RouteDestination] = []
    mirror: Destination | None = None
    mirror_percentage: Percentage = Percentage(value=100)
    rewrite: Rewrite | None = None
    headers: Headers = Headers()
    cors_policy: CorsPolicy | None = None
    timeout: Duration | None = None
    retries: Retries | None = None

    @property
    def weighted(self) -> bool:
        """Whether the weights count. They do not if there is only one destination."""
        return len(self.route) > 1

    @property
    def destinations(self) -> list[RouteDestination]:
        """Those that get requests."""
        return [to for to in self.route if to.weight] if self.weighted else self.route

    @field_validator("route")
    @classmethod
    def _some_weight(cls, route: list[RouteDestination]) -> list[RouteDestination]:
        if len(route) > 1 and not any(to.weight for to in route):
            raise ValueError("several destinations need weights, and Istio refuses them if all are 0; set weight")
        return route

    @model_validator(mode="after")
    def _one_action(self) -> Self:
        actions = {"directResponse": self.direct_response, "redirect": self.redirect, "route": self.route}
        if sum(bool(action) for action in actions.values()) != 1:
            raise ValueError(f"give exactly one of {', '.join(actions)}")
        if not self.route:
            for name in ("mirror", "rewrite", "cors_policy", "timeout", "retries"):
                if getattr(self, name) is not None:
                    reason = "only works with route, since nothing else forwards a request; remove it"
                    raise ValueError(f"{to_camel(name)} {reason}")
        return self


class VirtualServiceSpec(Strict):
    hosts: Annotated[list[str], Field(min_length=1)]
    gateways: Annotated[list[str], Field(min_length=1)]
    http: Annotated[list[HttpRoute], Field(min_length=1)]

    def destinations(self) -> list[Destination]:
        """Those that get requests, or copies of them."""
        mirrors = [route.mirror for route in self.http if route.mirror]
        return [*mirrors, *(to.destination for route in self.http for to in route.destinations)]


class VirtualService(Strict):
    api_version: ApiVersion
    kind: Literal["VirtualService"]
    metadata: Metadata
    spec: VirtualServiceSpec
