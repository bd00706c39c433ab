"""Reads the kustomizations of the ingress rules: which files they list, and what a component adds and removes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, Field, RootModel

from workbench.ingress.istio import HttpRoute, Strict, VirtualService
from workbench.ingress.rule_files import IngressRuleError, load, validated


class PatchTarget(Strict):
    kind: str
    label_selector: str = ""


class FilePatch(Strict):
    """Without a target, it patches the object that its file names."""

    path: str
    target: PatchTarget | None = None


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


class ObjectMetadata(BaseModel):
    name: str = ""
    namespace: str = ""


class KubernetesObject(BaseModel):
    """What tells objects apart."""

    api_version: str = Field(default="", alias="apiVersion")
    kind: str
    metadata: ObjectMetadata = ObjectMetadata()


class DeletedMetadata(Strict):
    name: str
    namespace: str


class Deletion(Strict):
    """A strategic merge patch that removes an object."""

    api_version: str
    kind: str
    metadata: DeletedMetadata
    patch: Literal["delete"] = Field(alias="$patch")

    def deletes(self, other: KubernetesObject) -> bool:
        return self.model_dump(exclude={"patch"}) == other.model_dump()


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
    found = []
    for index, patch in enumerate(kustomization.patches):
        if not patch.target:
            continue
        if any(re.fullmatch(patch.target.kind, kind) for kind in _NOT_PATCHED):
            reason = "the workbench knows patches of the VirtualService alone; write what it shall be into its file"
            raise IngressRuleError(folder / "kustomization.yaml", f"patches[{index}].target.kind", reason)
        if re.fullmatch(patch.target.kind, VirtualService.__name__):
            found.append(folder / patch.path)
    return found


def without_deleted(
    objects: Mapping[Path, KubernetesObject], folder: Path, kustomization: Kustomization
) -> dict[Path, KubernetesObject]:
    """The objects that patches without target do not delete. Raises IngressRuleError for another such patch."""
    left = dict(objects)
    for patch in (folder / each.path for each in kustomization.patches if not each.target):
        document = load(patch)
        if not isinstance(document, dict) or document.get("$patch") != "delete":
            reason = "without a target the workbench knows only `delete`; write what it shall be into its file"
            raise IngressRuleError(patch, "$patch", reason)
        deletion = validated(patch, document, Deletion)
        file = next((file for file, each in left.items() if deletion.deletes(each)), None)
        if file is None:
            name = f"{deletion.api_version} {deletion.kind} {deletion.metadata.namespace}/{deletion.metadata.name}"
            reason = f"there is no {name} to delete; correct it, or remove this patch from kustomization.yaml"
            raise IngressRuleError(patch, "metadata.name", reason)
        del left[file]
    return left


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
