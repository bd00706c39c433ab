"""Resources: of objects, of custom deploys and of commands on this machine."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.k8s.kustomization import Object, pod_template
from tests.k8s.tiltfile.blob import Blob
from tests.k8s.tiltfile.declared import Declared, Link, Resource, TiltfileError, TriggerMode, identity
from tests.k8s.tiltfile.values import (
    Functions,
    Strings,
    as_command,
    as_labels,
    as_links,
    as_list,
    as_strings,
    opaque,
)

UNCATEGORIZED = "uncategorized"


@dataclass(frozen=True)
class _ResourceCall:
    """A k8s_resource(): Tilt follows them when it has read the whole file."""

    workload: str
    new_name: str
    objects: list[str]
    changes: Callable[[Resource], None]


class Resources:
    def __init__(self, declared: Declared, root: Path) -> None:
        self._declared = declared
        self._root = root
        self._objects: list[Object] = []
        self._calls: list[_ResourceCall] = []

    def functions(self) -> Functions:
        return {
            "k8s_yaml": self._k8s_yaml,
            "k8s_resource": self._k8s_resource,
            "k8s_custom_deploy": self._k8s_custom_deploy,
            "local_resource": self._local_resource,
            "link": _link,
        }

    def _k8s_yaml(self, yaml: Any, allow_duplicates: bool = False) -> None:
        for source in yaml if isinstance(yaml, list) else [yaml]:
            blob = (
                source if isinstance(source, Blob) else Blob((self._root / self._declared.note(source)).read_text())
            )
            for item in blob.objects:
                if not allow_duplicates and identity(item) in map(identity, self._objects):
                    raise TiltfileError(f"Duplicate YAML: {identity(item)}")
                self._objects.append(item)

    def _k8s_resource(
        self,
        workload: str = "",
        new_name: str = "",
        port_forwards: Any = (),
        extra_pod_selectors: Any = (),
        trigger_mode: TriggerMode | None = None,
        resource_deps: Sequence[str] = (),
        objects: Sequence[str] = (),
        auto_init: bool | None = None,
        pod_readiness: str = "",
        links: Any = (),
        labels: Strings = (),
        discovery_strategy: str = "",
    ) -> None:
        if not workload and not new_name:
            raise TiltfileError("Resource name missing.")
        if not workload and not objects:
            raise TiltfileError(f"{new_name}: k8s_resource doesn't specify a workload or any objects.")
        if pod_readiness not in ("", "ignore", "wait"):
            raise TiltfileError(f"{workload}: pod_readiness is {pod_readiness!r}")
        if trigger_mode is not None:
            TriggerMode(trigger_mode)

        def change(resource: Resource) -> None:
            resource.deps += as_list(resource_deps)
            resource.links += as_links(links)
            resource.labels |= set(as_labels(labels))
            resource.trigger_mode = trigger_mode or resource.trigger_mode
            resource.auto_init = resource.auto_init if auto_init is None else auto_init
            resource.pod_readiness = pod_readiness or resource.pod_readiness
            resource.port_forwards += as_strings(port_forwards) if port_forwards else []

        self._calls.append(_ResourceCall(workload, new_name, as_list(objects), change))

    def _k8s_custom_deploy(
        self,
        name: str,
        apply_cmd: Strings,
        delete_cmd: Strings,
        deps: Strings,
        image_selector: str = "",
        live_update: Sequence[Any] = (),
        apply_dir: str = "",
        apply_env: Mapping[str, str] | None = None,
        apply_cmd_bat: Strings = "",
        delete_dir: str = "",
        delete_env: Mapping[str, str] | None = None,
        delete_cmd_bat: Strings = "",
        container_selector: str = "",
        image_deps: Sequence[str] = (),
    ) -> None:
        for path in as_strings(deps):
            self._declared.note(path)
        self._declared.add(Resource(name, commands=[as_command(apply_cmd), as_command(delete_cmd)]))

    def _local_resource(
        self,
        name: str,
        cmd: Strings = "",
        deps: Strings | None = None,
        trigger_mode: TriggerMode = TriggerMode.AUTO,
        resource_deps: Sequence[str] = (),
        ignore: Strings = "",
        auto_init: bool = True,
        serve_cmd: Strings = "",
        cmd_bat: Strings = "",
        serve_cmd_bat: Strings = "",
        allow_parallel: bool = False,
        links: Any = (),
        labels: Strings = (),
        env: Mapping[str, str] | None = None,
        serve_env: Mapping[str, str] | None = None,
        readiness_probe: None = None,
        dir: str = "",
        serve_dir: str = "",
    ) -> None:
        for path in as_strings(deps or []):
            self._declared.note(path)
        self._declared.add(
            Resource(
                name,
                commands=[as_command(command) for command in (cmd, serve_cmd) if command],
                labels=set(as_labels(labels)),
                deps=as_list(resource_deps),
                links=as_links(links),
                auto_init=auto_init,
                trigger_mode=TriggerMode(trigger_mode),
                allow_parallel=allow_parallel,
            )
        )

    def assemble(self) -> None:
        """Puts each object into a resource, in Tilt's order: workloads, their Services, then what was asked for."""
        workloads = [item for item in self._objects if pod_template(item) is not None]
        free = [item for item in self._objects if pod_template(item) is None]
        names = Counter(_components(item)[0] for item in workloads)
        for item in workloads:
            name = _components(item)[0]
            if names[name] > 1:
                raise TiltfileError(f"two workloads are called {name}: Tilt would name their resources otherwise")
            services = [other for other in free if _leads_to(other, item)]
            free = [other for other in free if other not in services]
            self._declared.add(Resource(name, [item, *services]))

        for call in self._calls:
            if call.workload:
                if call.workload not in self._declared.resources:
                    raise TiltfileError(f"k8s_resource specified unknown resource {call.workload!r}")
                resource = self._declared.resources[call.workload]
                if call.new_name not in ("", resource.name):
                    del self._declared.resources[resource.name]
                    resource.name = call.new_name
                    self._declared.add(resource)
            else:
                resource = self._declared.add(Resource(call.new_name, pod_readiness="ignore"))
            call.changes(resource)
            for selector in call.objects:
                found = self._selected(selector)
                if found not in free:
                    raise TiltfileError(f"{resource.name}: {selector} is in another resource already")
                free.remove(found)
                resource.objects.append(found)
        if free:
            self._declared.add(Resource(UNCATEGORIZED, free))

    def _selected(self, selector: str) -> Object:
        """The one object that is called like that, among all of them."""
        parts = [part.replace("\\:", ":").lower() for part in re.split(r"(?<!\\):", selector)]
        if not 1 <= len(parts) <= 3:
            raise TiltfileError(f"{selector}: a selector has one to three parts")
        found = [item for item in self._objects if _components(item)[: len(parts)] == parts]
        if len(found) != 1:
            raise TiltfileError(f"{selector} matches {len(found)} objects: {[*map(identity, found)]}")
        return found[0]


def _link(url: str, name: str = "") -> Any:
    return opaque(Link(url, name))


def _components(item: Object) -> list[str]:
    """What a selector names, in this order and in small letters. To Tilt, without a namespace is `default`."""
    metadata = item["metadata"]
    return [part.lower() for part in (metadata["name"], item["kind"], metadata.get("namespace") or "default")]


def _leads_to(service: Object, workload: Object) -> bool:
    """Whether it is a Service, and the workload's pods are among those that it selects."""
    if identity(service)[:2] != ("", "Service"):
        return False
    selector: dict[str, str] = service["spec"].get("selector") or {}
    labels: dict[str, str] = (pod_template(workload) or {}).get("metadata", {}).get("labels", {})
    same_namespace = _components(service)[2] in ("default", _components(workload)[2])
    return bool(selector) and selector.items() <= labels.items() and same_namespace
