"""Models of the EnvoyFilters that the workbench supports, which forbid unknown fields like those in istio.py.

A patch changes the gateway's connection manager, inserts a filter before its router, or changes one of its routes.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

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


class ConnectionManager(EnvoyConfig):
    type: Literal[
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    ] = Field(alias="@type")
    request_headers_timeout: Annotated[str, Field(pattern=r"^\d+(\.\d+)?s$")] = "0s"
    request_timeout: Annotated[str, Field(pattern=r"^\d+(\.\d+)?s$")] = "0s"
    local_reply_config: dict[str, Any] = {}


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


class BeforeRouterMatch(FilterMatch):
    sub_filter: RouterMatch


class BeforeRouterChainMatch(Strict):
    filter: BeforeRouterMatch


class BeforeRouterListenerMatch(Strict):
    filter_chain: BeforeRouterChainMatch


class HttpFilterMatch(Strict):
    context: Literal["GATEWAY"]
    listener: BeforeRouterListenerMatch


class HttpFilter(EnvoyConfig):
    name: str
    disabled: bool = False
    typed_config: dict[str, Any]


class HttpFilterInsert(Strict):
    operation: Literal["INSERT_BEFORE"]
    value: HttpFilter


class HttpFilterPatch(Strict):
    """Inserts a filter that requests pass before they are routed."""

    apply_to: Literal["HTTP_FILTER"]
    match: HttpFilterMatch
    patch: HttpFilterInsert


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
