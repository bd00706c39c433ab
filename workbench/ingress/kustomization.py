"""Reads the kustomizations of the ingress rules: which files they list, and which routes a component adds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, RootModel

from workbench.ingress.istio import HttpRoute, Strict, VirtualService
from workbench.ingress.rule_files import IngressRuleError, load, validated


class PatchTarget(Strict):
    kind: str
    label_selector: str = ""


class FilePatch(Strict):
    path: str
    target: PatchTarget


class Kustomization(Strict):
    """Lists the files that are applied to the cluster."""

    api_version: Literal["kustomize.config.k8s.io/v1beta1", "kustomize.config.k8s.io/v1alpha1"]
    kind: Literal["Kustomization", "Component"]
    resources: list[str]
    patches: list[FilePatch] = Field(default=[])
    # Of objects that say nothing about requests.
    labels: list[dict[str, Any]] | None = None
    config_map_generator: list[dict[str, Any]] | None = None
    generator_options: dict[str, Any] | None = None


class AddedRoute(Strict):
    """An operation of JSON Patch (RFC 6902): a new route before the one that is now at this place."""

    op: Literal["add"]
    path: Annotated[str, Field(pattern=r"^/spec/http/(0|[1-9][0-9]*)$")]
    value: HttpRoute


class RoutePatch(RootModel[list[AddedRoute]]):
    """A component's patch of the VirtualService."""


@dataclass(frozen=True)
class Place:
    """Where something is written."""

    file: Path
    field: str


_NOT_PATCHED = ("Gateway", "DestinationRule", "EnvoyFilter", "RequestAuthentication", "AuthorizationPolicy")

PlacedRoute: TypeAlias = tuple[Place, HttpRoute]


def read_kustomization(folder: Path) -> Kustomization:
    """Raises IngressRuleError."""
    file = folder / "kustomization.yaml"
    return validated(file, load(file), Kustomization)


def route_patches(folder: Path, kustomization: Kustomization) -> list[Path]:
    """The patches of the VirtualService. Raises IngressRuleError for one of another kind that the workbench reads."""
    for index, patch in enumerate(kustomization.patches):
        if any(re.fullmatch(patch.target.kind, kind) for kind in _NOT_PATCHED):
            reason = "the workbench knows patches of the VirtualService alone; write what it shall be into its file"
            raise IngressRuleError(folder / "kustomization.yaml", f"patches[{index}].target.kind", reason)
    routes = VirtualService.__name__
    return [folder / patch.path for patch in kustomization.patches if re.fullmatch(patch.target.kind, routes)]


def with_added_routes(file: Path, virtual_service: VirtualService, patches: Sequence[Path]) -> Sequence[PlacedRoute]:
    """The routes of a VirtualService and those that patches add, in their order. Raises IngressRuleError."""
    routes = [(Place(file, f"spec.http[{index}]"), route) for index, route in enumerate(virtual_service.spec.http)]
    for patch in patches:
        for number, added in enumerate(validated(patch, load(patch), RoutePatch).root):
            index = int(added.path.rpartition("/")[2])
            if index > len(routes):
                reason = f"the VirtualService has only {len(routes)} routes; use a number up to that"
                raise IngressRuleError(patch, f"[{number}].path", reason)
            routes.insert(index, (Place(patch, f"[{number}].value"), added.value))
    return routes
