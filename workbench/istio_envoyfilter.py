"""The part of Istio's EnvoyFilter that the workbench understands, read as strictly as the rest of its rules.

There are two kinds: of what the gateway answers itself, with one patch, and of filters before its router.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from workbench.istio import Metadata, Strict


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


class EnvoyConfig(BaseModel):
    """In Envoy's own words and passed on as it is: Envoy refuses what it does not know when it starts."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class HttpConnectionManagerPatch(EnvoyConfig):
    type: Literal[
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    ] = Field(alias="@type")
    request_headers_timeout: Annotated[str, Field(pattern=r"^\d+(\.\d+)?s$")]
    request_timeout: Annotated[str, Field(pattern=r"^\d+(\.\d+)?s$")]
    local_reply_config: dict[str, Any]


class PatchValue(EnvoyConfig):
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
    """What the gateway answers by itself."""

    api_version: Literal["networking.istio.io/v1alpha3"]
    kind: Literal["EnvoyFilter"]
    metadata: Metadata
    spec: EnvoyFilterSpec


class RouterMatch(Strict):
    name: Literal["envoy.filters.http.router"]


class BeforeRouterMatch(FilterMatch):
    sub_filter: RouterMatch


class BeforeRouterChainMatch(Strict):
    filter: BeforeRouterMatch


class BeforeRouterListenerMatch(Strict):
    filter_chain: BeforeRouterChainMatch


class BeforeRouterPatchMatch(Strict):
    context: Literal["GATEWAY"]
    listener: BeforeRouterListenerMatch


class HttpFilter(EnvoyConfig):
    name: str
    disabled: bool = False
    typed_config: dict[str, Any]


class InsertPatch(Strict):
    operation: Literal["INSERT_BEFORE"]
    value: HttpFilter


class HttpFilterPatch(Strict):
    apply_to: Literal["HTTP_FILTER"]
    match: BeforeRouterPatchMatch
    patch: InsertPatch


class RouteMatch(Strict):
    name: str


class VhostMatch(Strict):
    route: RouteMatch


class RouteConfigurationMatch(Strict):
    vhost: VhostMatch


class RoutePatchMatch(Strict):
    context: Literal["GATEWAY"]
    route_configuration: RouteConfigurationMatch


class RouteValue(EnvoyConfig):
    route: dict[str, Any] = {}
    typed_per_filter_config: dict[str, Any] = {}


class MergePatch(Strict):
    operation: Literal["MERGE"]
    value: RouteValue


class HttpRoutePatch(Strict):
    """What one route of the VirtualService has besides, such as its settings for the filter."""

    apply_to: Literal["HTTP_ROUTE"]
    match: RoutePatchMatch
    patch: MergePatch

    @property
    def route(self) -> str:
        return self.match.route_configuration.vhost.route.name


class HttpFilterSpec(Strict):
    workload_selector: WorkloadSelector
    priority: int = 0
    config_patches: Annotated[
        list[Annotated[HttpFilterPatch | HttpRoutePatch, Field(discriminator="apply_to")]], Field(min_length=1)
    ]

    @property
    def filters(self) -> list[HttpFilter]:
        return [patch.patch.value for patch in self.config_patches if isinstance(patch, HttpFilterPatch)]

    @property
    def routes(self) -> list[HttpRoutePatch]:
        return [patch for patch in self.config_patches if isinstance(patch, HttpRoutePatch)]


class HttpEnvoyFilter(Strict):
    """Filters that requests pass before they are routed, those with the lowest priority first."""

    api_version: Literal["networking.istio.io/v1alpha3"]
    kind: Literal["EnvoyFilter"]
    metadata: Metadata
    spec: HttpFilterSpec
