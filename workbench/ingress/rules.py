"""Reads the ingress rules in k8s/istio and checks that they fit together."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from workbench.ingress.address import CLUSTER_URL, moved
from workbench.ingress.envoyfilter import (
    ConnectionManager,
    EnvoyFilter,
    HttpFilter,
    HttpFilterPatch,
    HttpRoutePatch,
    NetworkFilterPatch,
)
from workbench.ingress.istio import Destination, Gateway, Metadata, Server, Strict, VirtualService
from workbench.ingress.istio_destination import DestinationRule
from workbench.ingress.istio_security import AuthorizationPolicy, JwtRule, RequestAuthentication
from workbench.ingress.kustomization import (
    KubernetesObject,
    Place,
    PlacedRoute,
    read_kustomization,
    route_patches,
    with_added_routes,
    without_deleted,
)
from workbench.ingress.rule_files import IngressRuleError, load, validated
from workbench.project import NAME

SERVICE_HOST = f"{NAME}.{NAME}.svc.cluster.local"
SERVICE_PORT = 80  # of the Service; a replica listens on another port
IDENTITY_HOST = f"identity.{NAME}.svc.cluster.local"  # of the identity provider, at port 80
IDENTITY_PORT = 80
GATEWAY_NAMESPACE = "istio-system"  # of the gateway's pods, see k8s/istio/install.yaml; also Istio's root namespace

_Kind = TypeVar("_Kind", bound=Strict)


@dataclass(frozen=True)
class PlacedPatch:
    """A patch of an EnvoyFilter, and where it is written."""

    file: Path
    field: str
    patch: NetworkFilterPatch | HttpFilterPatch | HttpRoutePatch


@dataclass(frozen=True)
class PlacedPolicy:
    file: Path
    policy: RequestAuthentication | AuthorizationPolicy


@dataclass(frozen=True)
class IngressRules:
    gateway: Gateway
    virtual_service: VirtualService
    destination_rule: DestinationRule
    patches: Sequence[PlacedPatch]
    """In the order in which Istio applies them."""
    policies: Sequence[PlacedPolicy]
    """Of the gateway, in the order in which they are listed."""
    route_places: Sequence[Place]
    """Of each route of the VirtualService."""
    gateway_file: Path
    destination_rule_file: Path

    @property
    def connection_manager(self) -> Sequence[ConnectionManager]:
        """What EnvoyFilters change in it, one after the other."""
        return [patch.patch.value.typed_config for patch in self._patches(NetworkFilterPatch)]

    @property
    def first_filters(self) -> list[HttpFilter]:
        """Before all others, in the order in which requests pass them."""
        return [patch.patch.value for patch in self._patches(HttpFilterPatch) if patch.is_first][::-1]

    @property
    def last_filters(self) -> list[HttpFilter]:
        """Before the router, in the order in which requests pass them."""
        return [patch.patch.value for patch in self._patches(HttpFilterPatch) if not patch.is_first]

    @property
    def route_patches(self) -> list[HttpRoutePatch]:
        return list(self._patches(HttpRoutePatch))

    @property
    def jwt_rules(self) -> list[JwtRule]:
        """Which tokens are valid."""
        found = (placed.policy for placed in self.policies)
        return [rule for each in found if isinstance(each, RequestAuthentication) for rule in each.spec.jwt_rules]

    @property
    def authorization_policies(self) -> list[AuthorizationPolicy]:
        return [placed.policy for placed in self.policies if isinstance(placed.policy, AuthorizationPolicy)]

    def _patches(self, kind: type[_Kind]) -> Iterator[_Kind]:
        return (placed.patch for placed in self.patches if isinstance(placed.patch, kind))

    @property
    def server(self) -> Server:
        """The Gateway's HTTP server, the only one that the workbench opens."""
        return next(server for server in self.gateway.spec.servers if server.port.protocol == "HTTP")


def read_rules(directory: Path, components: Sequence[Path] = (), own_url: str = CLUSTER_URL) -> IngressRules:
    """Raises IngressRuleError for anything in the files that the workbench does not support.

    The files are those that `kustomization.yaml` lists, there and in the folders of kustomize's components, which may
    delete what comes before. Other kinds, and the policies of other pods, are ignored. `own_url` takes the place of
    CLUSTER_URL in their values.
    """
    listed = directory / "kustomization.yaml"
    kustomizations = {folder: read_kustomization(folder) for folder in (directory, *components)}
    documents: dict[Path, Any] = {}
    objects: dict[Path, KubernetesObject] = {}
    for folder, read in kustomizations.items():
        files = [folder / name for name in read.resources]
        documents |= {file: moved(load(file), own_url) for file in files}
        objects |= {file: validated(file, documents[file], KubernetesObject) for file in files}
        objects = without_deleted(objects, folder, read)

    def all_of(kind: type[_Kind], *namespaces: str) -> dict[Path, _Kind]:
        return {
            file: validated(file, documents[file], kind)
            for file, found in objects.items()
            if found.kind == kind.__name__ and (not namespaces or found.metadata.namespace in namespaces)
        }

    def the_only(kind: type[_Kind]) -> tuple[Path, _Kind]:
        found = all_of(kind)
        if len(found) != 1:
            names = ", ".join(file.name for file in found) or "none"
            reason = f"the workbench needs exactly one {kind.__name__} and found {names}; list exactly one"
            raise IngressRuleError(listed, "resources", reason)
        return found.popitem()

    gateway_file, gateway = the_only(Gateway)
    virtual_service_file, virtual_service = the_only(VirtualService)
    destination_rule_file, destination_rule = the_only(DestinationRule)
    envoy_filters = all_of(EnvoyFilter)
    applied = (GATEWAY_NAMESPACE, "")  # policies of other namespaces are for sidecars; without one, it is an error
    policies: dict[Path, RequestAuthentication | AuthorizationPolicy] = {
        **all_of(RequestAuthentication, *applied),
        **all_of(AuthorizationPolicy, *applied),
    }

    _check_gateway(gateway_file, gateway)
    _check_virtual_service(virtual_service_file, virtual_service, gateway)
    patches_of_routes = [file for folder, read in kustomizations.items() for file in route_patches(folder, read)]
    routes = with_added_routes(virtual_service_file, virtual_service, patches_of_routes)
    _check_routes(routes, destination_rule.spec.policies().keys())
    spec = virtual_service.spec.model_copy(update={"http": [route for _, route in routes]})
    virtual_service = virtual_service.model_copy(update={"spec": spec})
    if destination_rule.spec.host != SERVICE_HOST:
        reason = f"{destination_rule.spec.host!r} does not run in the workbench; use {SERVICE_HOST}"
        raise IngressRuleError(destination_rule_file, "spec.host", reason)
    _check_namespace(destination_rule_file, destination_rule.metadata, NAME, GATEWAY_NAMESPACE)
    for file, envoy_filter in envoy_filters.items():
        _check_envoy_filter(file, envoy_filter, gateway, virtual_service)
    for file, policy in policies.items():
        _check_policy(file, policy, gateway)
    # Istio takes older ones of the same priority first; those that are created in the same second, by name.
    in_order = sorted(envoy_filters.items(), key=lambda item: (item[1].spec.priority, item[1].metadata.name))
    patches = [
        PlacedPatch(file, f"spec.configPatches[{index}]", patch)
        for file, envoy_filter in in_order
        for index, patch in enumerate(envoy_filter.spec.config_patches)
    ]
    _check_connection_manager(patches)
    return IngressRules(
        gateway,
        virtual_service,
        destination_rule,
        patches,
        [PlacedPolicy(file, policy) for file, policy in policies.items()],
        [place for place, _ in routes],
        gateway_file,
        destination_rule_file,
    )


def _check_gateway(file: Path, gateway: Gateway) -> None:
    protocols = [server.port.protocol for server in gateway.spec.servers]
    if protocols.count("HTTP") != 1:
        raise IngressRuleError(file, "spec.servers", "the workbench needs exactly one server with protocol HTTP")


def _check_virtual_service(file: Path, virtual_service: VirtualService, gateway: Gateway) -> None:
    spec = virtual_service.spec
    name = f"{gateway.metadata.namespace}/{gateway.metadata.name}"
    if spec.gateways != [name]:
        raise IngressRuleError(file, "spec.gateways", f"must be [{name}], the Gateway in the same folder")
    if spec.hosts != ["*"]:
        # Istio serves the intersection with the Gateway's hosts; one place to name hosts is enough.
        raise IngressRuleError(file, "spec.hosts", 'must be ["*"]; name the hosts in the Gateway')


def _check_routes(routes: Sequence[PlacedRoute], subsets: Collection[str]) -> None:
    for place, http_route in routes:
        destinations = [
            (f"route[{position}].destination", route.destination) for position, route in enumerate(http_route.route)
        ]
        if http_route.mirror:
            destinations.append(("mirror", http_route.mirror))
        for name, destination in destinations:
            _check_destination(place.file, f"{place.field}.{name}", destination, subsets)
    for place, http_route in routes[:-1]:
        if not http_route.match:
            reason = "a route without match takes every request, so later routes get none; move it to the end"
            raise IngressRuleError(place.file, place.field, reason)


def _check_destination(file: Path, field: str, destination: Destination, subsets: Collection[str]) -> None:
    if destination.host == IDENTITY_HOST:
        if destination.port.number != IDENTITY_PORT:
            reason = f"the identity provider has no port {destination.port.number}; use {IDENTITY_PORT}"
            raise IngressRuleError(file, f"{field}.port.number", reason)
        if destination.subset:
            raise IngressRuleError(file, f"{field}.subset", "the identity provider has no subsets; remove it")
        return
    if destination.host != SERVICE_HOST:
        reason = f"{destination.host!r} does not run in the workbench; use {SERVICE_HOST}"
        raise IngressRuleError(file, f"{field}.host", reason)
    if destination.port.number != SERVICE_PORT:
        reason = f"the service has no port {destination.port.number}; use {SERVICE_PORT}"
        raise IngressRuleError(file, f"{field}.port.number", reason)
    if destination.subset not in subsets:
        reason = f"the DestinationRule has no subset {destination.subset!r}; add it there, or use another"
        raise IngressRuleError(file, f"{field}.subset", reason)


def _check_envoy_filter(
    file: Path, envoy_filter: EnvoyFilter, gateway: Gateway, virtual_service: VirtualService
) -> None:
    _check_namespace(file, envoy_filter.metadata, GATEWAY_NAMESPACE)
    if envoy_filter.spec.workload_selector.labels != gateway.spec.selector:
        reason = f"selects other pods than the Gateway; use the Gateway's selector, {gateway.spec.selector}"
        raise IngressRuleError(file, "spec.workloadSelector.labels", reason)
    routes = [route.name for route in virtual_service.spec.http]
    for index, patch in enumerate(envoy_filter.spec.config_patches):
        if isinstance(patch, HttpRoutePatch) and patch.route not in routes:
            field = f"spec.configPatches[{index}].match.routeConfiguration.vhost.route.name"
            reason = f"the VirtualService has no route {patch.route!r}; use one of {', '.join(routes)}"
            raise IngressRuleError(file, field, reason)


def _check_connection_manager(patches: Sequence[PlacedPatch]) -> None:
    seen: set[str] = set()
    for placed in patches:
        if isinstance(placed.patch, NetworkFilterPatch):
            fields = placed.patch.patch.value.typed_config.replaced_fields
            if twice := sorted(seen & fields):
                reason = f"another EnvoyFilter sets {twice[0]} too, and only one of them would hold; set it in one"
                raise IngressRuleError(placed.file, placed.field, reason)
            seen |= fields


def _check_policy(file: Path, policy: RequestAuthentication | AuthorizationPolicy, gateway: Gateway) -> None:
    selector = policy.spec.selector
    if selector and selector.match_labels != gateway.spec.selector:
        reason = f"selects other pods than the Gateway; use the Gateway's selector, {gateway.spec.selector}"
        raise IngressRuleError(file, "spec.selector.matchLabels", reason)
    jwt_rules = policy.spec.jwt_rules if isinstance(policy, RequestAuthentication) else []
    for index, rule in enumerate(jwt_rules):
        if rule.jwks_uri and not rule.jwks_uri.startswith(f"http://{IDENTITY_HOST}/"):
            reason = f"{rule.jwks_uri!r} does not run in the workbench; use http://{IDENTITY_HOST}/..., or jwks"
            raise IngressRuleError(file, f"spec.jwtRules[{index}].jwksUri", reason)


def _check_namespace(file: Path, metadata: Metadata, *applied: str) -> None:
    if metadata.namespace not in applied:
        reason = f"Istio's gateway does not apply what is in {metadata.namespace!r}; use {' or '.join(applied)}"
        raise IngressRuleError(file, "metadata.namespace", reason)
