"""What a Tiltfile declares, as plain data, and which object is in which resource."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.k8s.objects import identity, matches, pod_template
from tests.k8s.project import Object
from tests.k8s.tiltfile.api import MODES, Call, TiltfileError, as_list

Resource = dict[str, Any]  # its objects, and all arguments of the calls that declared it
_DEFAULTS: Resource = {"labels": "", "resource_deps": [], "links": [], "port_forwards": [], "auto_init": True}
_DEFAULTS |= {"trigger_mode": Call(MODES[0], {}), "allow_parallel": False, "pod_readiness": ""}
_OF_AN_OPERATOR = {"Cluster", "Pooler"}  # which make pods, but not for Tilt


@dataclass(frozen=True)
class Declared:
    calls: list[Call]
    resources: dict[str, Resource]
    printed: list[str]

    def of(self, function: str) -> dict[str, Call]:
        """The calls of a function that takes a unique name."""
        calls = [call for call in self.calls if call.function == function]
        found = {call["name"]: call for call in calls}
        assert len(found) == len(calls), f"{function}: two of one name: {[call['name'] for call in calls]}"
        return found

    def only(self, function: str) -> Call:
        """The call of a function that is called once."""
        [call] = [call for call in self.calls if call.function == function]
        return call

    @property
    def waits_for(self) -> dict[str, set[str]]:
        return {name: set(resource["resource_deps"]) for name, resource in self.resources.items()}

    @property
    def objects(self) -> list[Object]:
        return [item for resource in self.resources.values() for item in resource["objects"]]

    @property
    def commands(self) -> list[list[str]]:
        """Everything that runs on the developer's machine."""
        names = {"local": ["command"], "local_resource": ["cmd"], "v1alpha1.cmd": ["args"]}
        names |= {"k8s_custom_deploy": ["apply_cmd", "delete_cmd"]}
        return [as_list(call[name]) for call in self.calls for name in names.get(call.function, ())]


def assemble(calls: list[Call]) -> dict[str, Resource]:
    """The resources, in Tilt's order: commands, workloads with their Services, then what k8s_resource() adds."""
    found: dict[str, Resource] = {}

    def add(name: str, objects: Sequence[Object] = (), **arguments: Any) -> Resource:
        if name in found:
            raise TiltfileError(f"there are two resources {name}")
        found[name] = {**_DEFAULTS, **arguments, "objects": list(objects)}
        return found[name]

    for call in (call for call in calls if call.function in {"local_resource", "k8s_custom_deploy"}):
        add(**call.arguments)
    blobs = [blob for call in calls if call.function == "k8s_yaml" for blob in as_list(call["yaml"])]
    everything = [item for blob in blobs for item in blob.objects]
    twice = [found for found, times in Counter(map(identity, everything)).items() if times > 1]
    if twice:
        raise TiltfileError(f"Duplicate YAML: {twice}")
    workloads = [item for item in everything if pod_template(item) and item["kind"] not in _OF_AN_OPERATOR]
    free = [item for item in everything if item not in workloads]
    for workload in workloads:
        services = [item for item in free if _leads_to(item, workload)]
        free = [item for item in free if item not in services]
        add(workload["metadata"]["name"], [workload, *services])
    for call in (call for call in calls if call.function == "k8s_resource"):
        arguments = {"workload": "", "new_name": "", "objects": [], **call.arguments}
        workload_name, name, selectors = (arguments.pop(key) for key in ("workload", "new_name", "objects"))
        if workload_name and workload_name not in found:
            raise TiltfileError(f"k8s_resource specified unknown resource {workload_name!r}")
        if bool(workload_name) == bool(name) or not (workload_name or selectors):
            raise TiltfileError(f"k8s_resource needs a workload, or a new_name and objects: {call.arguments}")
        resource = found[workload_name] if workload_name else add(name, pod_readiness="ignore")
        resource |= arguments
        for item in (_selected(selector, everything) for selector in selectors):
            if item not in free:
                raise TiltfileError(f"{workload_name or name}: {identity(item)} is in another resource already")
            free.remove(item)
            resource["objects"].append(item)
    return found | ({"uncategorized": {**_DEFAULTS, "objects": free}} if free else {})


def _selected(selector: str, objects: list[Object]) -> Object:
    """The only object that a selector matches: name, name:kind or name:kind:namespace, in any case."""
    parts = [part.replace("\\:", ":").lower() for part in re.split(r"(?<!\\):", selector)]
    named = [
        (name.lower(), kind.lower(), namespace or "default") for _, kind, namespace, name in map(identity, objects)
    ]
    found = [item for item, names in zip(objects, named, strict=True) if [*names][: len(parts)] == parts]
    if len(found) != 1:
        raise TiltfileError(f"{selector} matches {len(found)} objects: {[*map(identity, found)]}")
    return found[0]


def _leads_to(item: Object, workload: Object) -> bool:
    """Whether an object is a Service that selects the workload's pods."""
    _, kind, namespace, _ = identity(item)
    labels = (pod_template(workload) or {})["metadata"].get("labels", {})
    return (kind, namespace) == ("Service", identity(workload)[2]) and matches(item["spec"]["selector"], labels)
