"""Builds a kustomization: with kubectl or kustomize if one is installed, else with what of it is used here."""

import hashlib
import json
import re
import shutil
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"

# How the lists in Kubernetes's own kinds are merged: by the key of their items. Other lists are replaced.
_MERGED_BY = {"containers": "name", "initContainers": "name", "env": "name", "volumes": "name"}
_TEMPLATES = (
    ("spec", "template"),
    ("spec", "jobTemplate"),
    ("spec", "jobTemplate", "spec", "template"),
)
_HASH = re.compile(r"-[0-9a-z]{10}$")


def build(folder: Path) -> list[Object]:
    """The objects of a folder with a kustomization.yaml. Raises ValueError or CalledProcessError if it is wrong."""
    command = real_command()
    return build_with(command, folder) if command else build_in_python(folder)


def real_command() -> list[str] | None:
    """The installed kustomize."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    return ["kubectl", "kustomize"] if shutil.which("kubectl") else None


def build_with(command: list[str], folder: Path) -> list[Object]:
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


def build_in_python(folder: Path) -> list[Object]:
    """The same without kustomize. Raises ValueError for anything in a kustomization that it does not know."""
    file = folder / "kustomization.yaml"
    kustomization: Object = yaml.safe_load(file.read_text())
    for field in ("apiVersion", "kind"):
        kustomization.pop(field)
    objects: list[Object] = []
    for name in kustomization.pop("resources", []):
        path = folder / name
        objects += build_in_python(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
    options = kustomization.pop("generatorOptions", {})
    for generator in kustomization.pop("configMapGenerator", []):
        objects.append(_config_map(folder, generator, options))
        if options.get("disableNameSuffixHash"):
            del objects[-1]["generated"]
    for labels in kustomization.pop("labels", []):
        for found in objects:
            _label(found, labels["pairs"], templates=labels.get("includeTemplates", False))
    for image in kustomization.pop("images", []):
        for found in objects:
            _set_image(found, image)
    for patch in kustomization.pop("patches", []):
        _patch(objects, yaml.safe_load((folder / patch["path"]).read_text()))
    if kustomization:
        raise ValueError(f"{file}: {', '.join(kustomization)}: not known to {Path(__file__).name}, teach it")
    for found in [found for found in objects if "generated" in found]:
        _add_hash(objects, found)
    return objects


def without_hashes(objects: list[Object]) -> list[Object]:
    """In one order, with generated names as they were given."""
    names = {found["metadata"]["name"] for found in objects if found["kind"] == "ConfigMap"}
    text = json.dumps(
        sorted(objects, key=lambda found: (found["kind"], json.dumps(found["metadata"], sort_keys=True)))
    )
    for name in names:
        text = text.replace(name, _HASH.sub("", name))
    loaded: list[Object] = json.loads(text)
    return loaded


def _config_map(folder: Path, generator: Object, options: Object) -> Object:
    data = {}
    for entry in generator["files"]:
        key, _, file = entry.rpartition("=")
        data[key or Path(file).name] = (folder / file).read_text()
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": generator["name"],
            "namespace": generator["namespace"],
            "labels": dict(options.get("labels", {})),
        },
        "data": data,
        "generated": True,
    }


def _add_hash(objects: list[Object], found: Object) -> None:
    del found["generated"]
    name = found["metadata"]["name"]
    digest = hashlib.sha256(json.dumps(found["data"], sort_keys=True).encode()).hexdigest()[:10]
    found["metadata"]["name"] = f"{name}-{digest}"
    for pod in (spec for other in objects if (spec := pod_spec(other)) is not None):
        for volume in pod.get("volumes", []):
            if volume.get("configMap", {}).get("name") == name:
                volume["configMap"]["name"] = f"{name}-{digest}"


def pod_spec(found: Object) -> Object | None:
    """The spec of the pods that an object makes; None if it makes none."""
    template = pod_template(found)
    return template["spec"] if template else None


def pod_template(found: Object) -> Object | None:
    spec = found.get("spec") or {}
    if found["kind"] == "CronJob":
        template: Object = spec["jobTemplate"]["spec"]["template"]
        return template
    return spec.get("template") if found["kind"] in {"Deployment", "StatefulSet", "DaemonSet", "Job"} else None


def _label(found: Object, pairs: dict[str, str], *, templates: bool) -> None:
    _labels(found).update(pairs)
    if not templates:
        return
    for path in _TEMPLATES:
        part: Any = found
        for name in path:
            part = part.get(name) if isinstance(part, dict) else None
        if part is not None:
            _labels(part).update(pairs)
    for claim in found.get("spec", {}).get("volumeClaimTemplates", []) if found["kind"] == "StatefulSet" else []:
        _labels(claim).update(pairs)


def _labels(found: Object) -> dict[str, str]:
    labels: dict[str, str] = found.setdefault("metadata", {}).setdefault("labels", {})
    return labels


def _set_image(found: Object, image: Object) -> None:
    spec = pod_spec(found) or {}
    for container in (*spec.get("initContainers", []), *spec.get("containers", [])):
        if container["image"] == image["name"]:
            container["image"] = f"{image['newName']}:{image['newTag']}"


def _patch(objects: list[Object], patch: Object) -> None:
    def identity(found: Object) -> tuple[str, str, str]:
        return found["kind"], found["metadata"]["namespace"], found["metadata"]["name"]

    [target] = [found for found in objects if found["kind"] == patch["kind"] and identity(found) == identity(patch)]
    _merge(target, patch)


def _merge(target: Object, patch: Object) -> None:
    for key, value in patch.items():
        old = target.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            _merge(old, value)
        elif isinstance(old, list) and key in _MERGED_BY:
            target[key] = _merge_lists(old, value, _MERGED_BY[key])
        else:
            target[key] = deepcopy(value)


def _merge_lists(old: list[Object], patch: list[Object], key: str) -> list[Object]:
    rest = {item[key]: item for item in old}
    first = []
    for item in patch:
        merged = rest.pop(item[key], {})
        _merge(merged, item)
        first.append(merged)
    return first + list(rest.values())  # as kustomize does: in the order of the patch
