"""Models of the EnvoyFilters that the workbench supports, which forbid unknown fields like those in istio.py.

A patch changes the gateway's connection manager, inserts a filter before all others or before its router, or changes
one of its routes.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workbench.ingress.envoy_json import Json
from workbench.ingress.istio import Metadata, Strict


class EnvoyConfig(BaseModel):
    """Envoy's own configuration, passed on unchanged: Envoy refuses unknown fields in it when it starts."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# --- applyTo: NETWORK_FILTER


class FilterMatch(Strict):
    name: Literal["envoy.filters.network.http_connection_manager"]


class FilterChainMatch(Strict):
    filter: FilterMatch


class ListenerMatch(Strict):
    filter_chain: FilterChainMatch


class NetworkFilterMatch(Strict):
    context: Literal["GATEWAY"]
    listener: ListenerMatch


class LocalReplyConfig(EnvoyConfig):
    mappers: list[dict[str, Any]] = []
    body_format: dict[str, Any] = {}


class ConnectionManager(EnvoyConfig):
    type: Literal[
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    ] = Field(alias="@type")
    request_headers_timeout: Annotated[str, Field(pattern=r"^\d+(\.\d+)?s$")] = "0s"
    request_timeout: Annotated[str, Field(pattern=r"^\d+(\.\d+)?s$")] = "0s"
    local_reply_config: LocalReplyConfig = LocalReplyConfig()

    @property
    def replaced_fields(self) -> set[str]:
        """Those of which only the last patch holds. Mappers are added to those of the patches before."""
        replies = {f"local_reply_config.{name}" for name in self.local_reply_config.model_fields_set}
        return (self.model_fields_set | replies) - {"type", "local_reply_config", "local_reply_config.mappers"}


def merged(patches: Sequence[ConnectionManager]) -> Json:
    """What the patches set together, as Istio merges them."""
    fields: Json = {}
    replies: Json = {}
    for patch in patches:
        fields |= patch.model_dump(exclude={"type", "local_reply_config"}, exclude_unset=True)
        more = patch.local_reply_config.model_dump(exclude_unset=True)
        mappers = replies.get("mappers", []) + more.pop("mappers", [])
        replies |= more | ({"mappers": mappers} if mappers else {})
    return fields | ({"local_reply_config": replies} if replies else {})


class NetworkFilterValue(EnvoyConfig):
    typed_config: ConnectionManager


class NetworkFilterMerge(Strict):
    operation: Literal["MERGE"]
    value: NetworkFilterValue


class NetworkFilterPatch(Strict):
    """Sets the gateway's own answers, and how long it waits for a request."""

    apply_to: Literal["NETWORK_FILTER"]
    match: NetworkFilterMatch
    patch: NetworkFilterMerge


# --- applyTo: HTTP_FILTER


class RouterMatch(Strict):
    name: Literal["envoy.filters.http.router"]


class SubFilterMatch(FilterMatch):
    sub_filter: RouterMatch | None = None


class SubFilterChainMatch(Strict):
    filter: SubFilterMatch


class SubFilterListenerMatch(Strict):
    filter_chain: SubFilterChainMatch


class HttpFilterMatch(Strict):
    context: Literal["GATEWAY"]
    listener: SubFilterListenerMatch


class HttpFilter(EnvoyConfig):
    name: str
    disabled: bool = False
    typed_config: dict[str, Any]


class HttpFilterInsert(Strict):
    operation: Literal["INSERT_BEFORE", "INSERT_FIRST"]
    value: HttpFilter


class HttpFilterPatch(Strict):
    """Inserts a filter that requests pass before all others, or as the last one before they are routed."""

    apply_to: Literal["HTTP_FILTER"]
    match: HttpFilterMatch
    patch: HttpFilterInsert

    @property
    def is_first(self) -> bool:
        return self.patch.operation == "INSERT_FIRST"

    @model_validator(mode="after")
    def _before_what(self) -> Self:
        if self.is_first == bool(self.match.listener.filter_chain.filter.sub_filter):
            raise ValueError("INSERT_BEFORE needs the router as subFilter, and INSERT_FIRST no subFilter")
        return self


# --- applyTo: HTTP_ROUTE


class RouteMatch(Strict):
    name: str


class VhostMatch(Strict):
    route: RouteMatch


class RouteConfigurationMatch(Strict):
    vhost: VhostMatch


class HttpRouteMatch(Strict):
    context: Literal["GATEWAY"]
    route_configuration: RouteConfigurationMatch


class RouteValue(EnvoyConfig):
    route: dict[str, Any] = {}
    typed_per_filter_config: dict[str, Any] = {}


class HttpRouteMerge(Strict):
    operation: Literal["MERGE"]
    value: RouteValue


class HttpRoutePatch(Strict):
    """Adds settings to one route of the VirtualService, such as those of a filter."""

    apply_to: Literal["HTTP_ROUTE"]
    match: HttpRouteMatch
    patch: HttpRouteMerge

    @property
    def route(self) -> str:
        return self.match.route_configuration.vhost.route.name


class WorkloadSelector(Strict):
    labels: Annotated[dict[str, str], Field(min_length=1)]


class EnvoyFilterSpec(Strict):
    workload_selector: WorkloadSelector
    priority: int = 0
    config_patches: Annotated[
        list[Annotated[NetworkFilterPatch | HttpFilterPatch | HttpRoutePatch, Field(discriminator="apply_to")]],
        Field(min_length=1),
    ]


class EnvoyFilter(Strict):
    api_version: Literal["networking.istio.io/v1alpha3"]
    kind: Literal["EnvoyFilter"]
    metadata: Metadata
    spec: EnvoyFilterSpec
