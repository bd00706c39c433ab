"""Builds a kustomization without kustomize, which not every machine has, and which takes longer.

It knows only the fields of the kustomizations in k8s/, and refuses all others. Where kubectl or kustomize is
installed, test_kustomizations.py compares the two.
"""

import hashlib
import json
import re
import shutil
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from tests.k8s.objects import containers, pod_spec
from tests.k8s.project import LOADER, Object

# A patch merges the items of these lists by their name. It replaces any other list.
_MERGED_BY_NAME = {"containers", "initContainers", "env", "volumes"}
_TEMPLATES = (
    ("spec", "template"),
    ("spec", "jobTemplate"),
    ("spec", "jobTemplate", "spec", "template"),
)
_VERSIONS = {"newTag": ":", "digest": "@"}
_HASH = re.compile(r"-[0-9a-z]{10}$")


def build(folder: Path, others: list[Object] | None = None, **changes: list[Any]) -> list[Object]:
    """The objects of a kustomization. Raises ValueError for a field of a kustomization that it does not know.

    A component also changes the `others`, which are in the list that it returns. Alone, it has nothing to change.
    `changes` are fields in the place of those in the file.
    """
    objects = _build(folder, others, **changes)
    for item in [item for item in objects if "generated" in item]:
        _add_hash(objects, item)
    return objects


def _build(folder: Path, others: list[Object] | None = None, **changes: list[Any]) -> list[Object]:
    """As build(), before the names of generated objects get their hashes."""
    file = folder / "kustomization.yaml"
    kustomization: Object = yaml.safe_load(file.read_text()) | changes
    kustomization.pop("apiVersion")
    alone = kustomization.pop("kind") == "Component" and others is None
    objects = [] if others is None else others
    for name in kustomization.pop("resources", []):
        path = folder / name
        objects += _build(path) if path.is_dir() else list(yaml.load_all(path.read_text(), LOADER))
    for name in kustomization.pop("components", None) or []:  # a list may lose all of its lines
        objects = [*objects, *_build(folder / name)] if alone else _build(folder / name, objects)
    options = kustomization.pop("generatorOptions", {})
    for generator in kustomization.pop("configMapGenerator", []):
        objects.append(_config_map(folder, generator, options | generator.get("options", {})))
    if namespace := kustomization.pop("namespace", None):
        for item in objects:
            item["metadata"]["namespace"] = namespace
    for labels in kustomization.pop("labels", []):
        for item in objects:
            _label(item, labels["pairs"], templates=labels.get("includeTemplates", False))
    for image in kustomization.pop("images", []):
        for item in objects:
            _set_image(item, image)
    for patch in kustomization.pop("patches", []):
        if not alone:
            _patch(objects, folder, patch)
    suffix = kustomization.pop("nameSuffix", "")
    for item in objects:
        item["metadata"]["name"] += suffix
    if kustomization:
        raise ValueError(f"{file}: {Path(__file__).name} does not know {', '.join(kustomization)}: add it there")
    return objects


def real_command() -> list[str] | None:
    """The command of an installed kustomize; None if there is none."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    return ["kubectl", "kustomize"] if shutil.which("kubectl") else None


def build_with(command: list[str], folder: Path) -> list[Object]:
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=True)
    return list(yaml.load_all(done.stdout, LOADER))


def without_hashes(objects: list[Object]) -> list[Object]:
    """The objects in a fixed order, with the names of ConfigMaps as they are before a hash is added."""
    names = {item["metadata"]["name"] for item in objects if item["kind"] == "ConfigMap"}
    text = json.dumps(sorted(objects, key=lambda item: (item["kind"], json.dumps(item["metadata"], sort_keys=True))))
    for name in names:
        text = text.replace(name, _HASH.sub("", name))
    loaded: list[Object] = json.loads(text)
    return loaded


def _config_map(folder: Path, generator: Object, options: Object) -> Object:
    data = {}
    for entry in generator["files"]:
        key, _, file = entry.rpartition("=")
        data[key or Path(file).name] = (folder / file).read_text()
    metadata = {key: value for key, value in generator.items() if key in {"name", "namespace"}}
    hashed = {} if options.get("disableNameSuffixHash") else {"generated": True}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {**metadata, "labels": dict(options.get("labels", {}))},
        "data": data,
        **hashed,
    }


def _add_hash(objects: list[Object], item: Object) -> None:
    del item["generated"]
    name = item["metadata"]["name"]
    digest = hashlib.sha256(json.dumps(item["data"], sort_keys=True).encode()).hexdigest()[:10]
    item["metadata"]["name"] = f"{name}-{digest}"
    for pod in (spec for other in objects if (spec := pod_spec(other)) is not None):
        for volume in pod.get("volumes", []):
            if volume.get("configMap", {}).get("name") == name:
                volume["configMap"]["name"] = f"{name}-{digest}"


def _label(item: Object, pairs: dict[str, str], *, templates: bool) -> None:
    _labels(item).update(pairs)
    if not templates:
        return
    for path in _TEMPLATES:
        part: Any = item
        for name in path:
            part = part.get(name) if isinstance(part, dict) else None
        if part is not None:
            _labels(part).update(pairs)
    for claim in item.get("spec", {}).get("volumeClaimTemplates", []) if item["kind"] == "StatefulSet" else []:
        _labels(claim).update(pairs)


def _labels(item: Object) -> dict[str, str]:
    labels: dict[str, str] = item.setdefault("metadata", {}).setdefault("labels", {})
    return labels


def _set_image(item: Object, image: Object) -> None:
    for container in containers(item):
        if container["image"] == image["name"]:
            version = "".join(mark + image[field] for field, mark in _VERSIONS.items() if field in image)
            container["image"] = f"{image.get('newName', image['name'])}{version}"


def _patch(objects: list[Object], folder: Path, entry: Object) -> None:
    """Changes or deletes the objects that the target selects, or else the one that the patch names."""
    patch: Any = yaml.safe_load(entry["patch"] if "patch" in entry else (folder / entry["path"]).read_text())
    target = entry.get("target", {})
    found = [item for item in objects if (_selected(item, **target) if target else _key(item) == _key(patch))]
    if not found or (len(found) > 1 and not target):
        hint = "" if found else ": the patches of a component that is not listed have to go too"
        raise ValueError(f"{folder}: {len(found)} objects for the patch {entry}{hint}")
    if isinstance(patch, list):
        for item in found:
            _operate(item, patch)
        return
    for name in ("name", "namespace"):  # which a target does not read
        patch["metadata"].pop(name, None)
    for item in found:
        if patch.get("$patch") == "delete":
            objects.remove(item)
        else:
            _merge(item, patch)


def _operate(item: Object, operations: list[Object]) -> None:
    """JSON Patch (RFC 6902), of which it knows how to add, and to replace or remove what is there."""
    for operation in operations:
        *steps, last = operation["path"].split("/")[1:]
        part: Any = item
        for step in steps:
            part = part[_place(part, step)]
        place = _place(part, last)
        match operation:
            case {"op": "add", "path": _, "value": value}:
                part.insert(place, deepcopy(value)) if isinstance(part, list) else part.update(
                    {place: deepcopy(value)}
                )
            case {"op": "replace", "path": _, "value": value}:
                del part[place]  # raises an error if nothing is there
                part.insert(place, deepcopy(value)) if isinstance(part, list) else part.update({place: value})
            case {"op": "remove", "path": _}:
                del part[place]
            case _:
                raise ValueError(f"{Path(__file__).name} does not know {operation}: add it there")


def _place(part: Any, step: str) -> Any:
    return int(step) if isinstance(part, list) else step.replace("~1", "/")  # RFC 6901


def _key(item: Object) -> tuple[str, str, str, str]:
    """By which kustomize finds the object of a patch without target."""
    metadata = item["metadata"]
    return item["apiVersion"], item["kind"], metadata.get("namespace", ""), metadata["name"]


def _selected(item: Object, kind: str, name: str = ".*", labelSelector: str = "") -> bool:  # noqa: N803 - the field
    label, _, value = labelSelector.partition("=")
    metadata = item["metadata"]
    named = re.fullmatch(kind, item["kind"]) and re.fullmatch(name, metadata["name"])
    return bool(named) and (not label or metadata.get("labels", {}).get(label) == value)


def _merge(target: Object, patch: Object) -> None:
    for key, value in patch.items():
        old = target.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            _merge(old, value)
        elif isinstance(old, list) and key in _MERGED_BY_NAME:
            target[key] = _merge_lists(old, value)
        else:
            target[key] = deepcopy(value)


def _merge_lists(old: list[Object], patch: list[Object]) -> list[Object]:
    """The items of the patch come first, in its order, as in kustomize."""
    rest = {item["name"]: item for item in old}
    first = []
    for item in patch:
        merged = rest.pop(item["name"], {})
        _merge(merged, item)
        first.append(merged)
    return first + list(rest.values())
