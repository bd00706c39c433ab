"""Ways to look at Kubernetes objects."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.k8s import cloudnativepg
from tests.k8s.project import Object


def identity(item: Object) -> tuple[str, str, str, str]:
    """Group, kind, namespace and name: no two objects of a cluster share all four."""
    group, slash, _ = item["apiVersion"].partition("/")
    metadata = item["metadata"]
    return group if slash else "", item["kind"], metadata.get("namespace", ""), metadata["name"]


def describe(item: Object) -> str:
    return f"{item['kind']} {item['metadata'].get('namespace', '')}/{item['metadata']['name']}"


def of_kind(objects: list[Object], *kinds: str) -> Iterator[Object]:
    return (item for item in objects if item["kind"] in kinds)


def find(objects: list[Object], kind: str, name: str) -> Object:
    """The only object of that kind and name. Raises ValueError if there is none, or more than one."""
    [found] = [item for item in of_kind(objects, kind) if item["metadata"]["name"] == name]
    return found


def pod_template(item: Object) -> Object | None:
    """The template of the pods that an object creates; None if it creates no pods."""
    spec = item.get("spec") or {}
    if item["kind"] == "CronJob":
        template: Object = spec["jobTemplate"]["spec"]["template"]
        return template
    if item["kind"] == "Cluster":
        return cloudnativepg.instance_template(item)
    return spec.get("template") if item["kind"] in {"Deployment", "StatefulSet", "DaemonSet", "Job"} else None


def pod_spec(item: Object) -> Object | None:
    """The spec of the pods that an object creates; None if it creates no pods."""
    template = pod_template(item)
    return template["spec"] if template else None


def pods(objects: list[Object]) -> Iterator[tuple[Object, Object]]:
    """Each object that creates pods, with its pod template. The standbys of a Cluster have one of their own."""
    for item in objects:
        if (template := pod_template(item)) is not None:
            yield item, template
        if item["kind"] == "Cluster":
            yield item, cloudnativepg.instance_template(item, "replica")


def containers(item: Object) -> list[Object]:
    """The containers of the pods that an object creates, init containers first."""
    spec = pod_spec(item) or {}
    return [*spec.get("initContainers", []), *spec.get("containers", [])]


def container_ports(item: Object) -> dict[str, int]:
    """The ports of all containers, by name."""
    return {port["name"]: port["containerPort"] for part in containers(item) for port in part.get("ports", [])}


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return selector.items() <= labels.items()


def selected(objects: list[Object], namespace: str, selector: Mapping[str, str]) -> list[Object]:
    """The objects of a namespace whose pods a selector matches."""
    return [
        item
        for item, template in pods(objects)
        if item["metadata"]["namespace"] == namespace and matches(selector, template["metadata"]["labels"])
    ]


def change(item: Object, path: str, value: object) -> None:
    """Sets the field at a path such as `spec ports 0 name`. The items of a list are found by number or by name."""
    *steps, last = path.split()
    part: Any = item
    for step in steps:
        part = part[_key(part, step)]
    part[_key(part, last)] = value


def _key(part: Any, step: str) -> str | int:
    if isinstance(part, dict):
        return step
    return int(step) if step.lstrip("-").isdecimal() else [entry["name"] for entry in part].index(step)
