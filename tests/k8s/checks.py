"""What has to be true of manifests beyond their schemas. Each check returns what is wrong, a line for each."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.k8s.kustomization import Object, pod_spec, pod_template

Check = Callable[[list[Object]], list[str]]

CLOSES_WITHIN = 5.0  # s; what the service does after its grace, see service/__main__.py

_IMAGE = re.compile(r"^[^:@]+(:v?[0-9]+(\.[0-9]+)+[\w.-]*|@sha256:[0-9a-f]{64})$")
_BUILT_HERE = "slipway"  # the image that Tilt builds and names
_UNITS = {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def name(found: Object) -> str:
    return f"{found['kind']} {found['metadata'].get('namespace', '')}/{found['metadata']['name']}"


def of_kind(objects: list[Object], *kinds: str) -> Iterator[Object]:
    return (found for found in objects if found["kind"] in kinds)


def pods(objects: list[Object]) -> Iterator[tuple[Object, Object]]:
    """Each object that makes pods, with their template."""
    return ((found, template) for found in objects if (template := pod_template(found)) is not None)


def containers(found: Object) -> list[Object]:
    spec = pod_spec(found) or {}
    return [*spec.get("initContainers", []), *spec.get("containers", [])]


def is_part(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return selector.items() <= labels.items()


def selected(objects: list[Object], namespace: str, selector: Mapping[str, str]) -> list[Object]:
    """The objects whose pods a selector finds."""
    return [
        found
        for found, template in pods(objects)
        if found["metadata"]["namespace"] == namespace and is_part(selector, template["metadata"]["labels"])
    ]


def selectors_find_pods(objects: list[Object]) -> list[str]:
    wrong = []
    for found in objects:
        if found["kind"] in {"Deployment", "StatefulSet", "PodDisruptionBudget"}:
            selector = found["spec"]["selector"]["matchLabels"]
        elif found["kind"] == "Service":
            selector = found["spec"]["selector"]
        elif found["kind"] == "AuthorizationPolicy":
            selector = found["spec"].get("selector", {}).get("matchLabels", {})
        elif found["kind"] == "NetworkPolicy" and found["metadata"]["namespace"] == "slipway":
            selector = found["spec"]["podSelector"].get("matchLabels", {})
        else:
            continue
        if not selected(objects, found["metadata"]["namespace"], selector):
            wrong.append(f"{name(found)}: its selector {selector} finds no pod")
    for found, template in pods(objects):
        for constraint in template["spec"].get("topologySpreadConstraints", []):
            if not is_part(constraint["labelSelector"]["matchLabels"], template["metadata"]["labels"]):
                wrong.append(f"{name(found)}: topologySpreadConstraints count other pods than its own")
    return wrong


def services_reach_ports(objects: list[Object]) -> list[str]:
    wrong = []
    for service in of_kind(objects, "Service"):
        for target in selected(objects, service["metadata"]["namespace"], service["spec"]["selector"]):
            ports = _ports(target)
            for port in service["spec"]["ports"]:
                wanted = port.get("targetPort", port["port"])
                if wanted not in ports and wanted not in ports.values():
                    wrong.append(f"{name(service)}: {name(target)} has no port {wanted}")
    for virtual_service in of_kind(objects, "VirtualService"):
        for route in virtual_service["spec"]["http"]:
            for destination in (entry["destination"] for entry in route.get("route", [])):
                if not _is_served(objects, destination["host"], destination["port"]["number"]):
                    wrong.append(f"{name(virtual_service)}: route {route['name']}: nothing serves {destination}")
    for rule in of_kind(objects, "DestinationRule"):
        if not _is_served(objects, rule["spec"]["host"], None):
            wrong.append(f"{name(rule)}: there is no Service {rule['spec']['host']}")
    return wrong


def _is_served(objects: list[Object], host: str, port: int | None) -> bool:
    return any(
        host == f"{found['metadata']['name']}.{found['metadata']['namespace']}.svc.cluster.local"
        and (port is None or port in {entry["port"] for entry in found["spec"]["ports"]})
        for found in of_kind(objects, "Service")
    )


def _ports(found: Object) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for part in containers(found) for port in part.get("ports", [])}


def probes_reach_ports(objects: list[Object]) -> list[str]:
    wrong = []
    for found in objects:
        for container in containers(found):
            ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                port = container.get(kind, {}).get("httpGet", {}).get("port")
                if port is not None and port not in ports and port not in ports.values():
                    wrong.append(f"{name(found)}: {kind} asks port {port}, which {container['name']} has not")
        annotations = (pod_template(found) or {}).get("metadata", {}).get("annotations", {})
        scraped = annotations.get("prometheus.io/port")
        if scraped is not None and int(scraped) not in _ports(found).values():
            wrong.append(f"{name(found)}: prometheus.io/port is {scraped}, which no container has")
    return wrong


def accounts_exist(objects: list[Object]) -> list[str]:
    known = {
        f"{found['metadata']['namespace']}/{found['metadata']['name']}"
        for found in of_kind(objects, "ServiceAccount")
    } | {"istio-system/istio-ingressgateway-service-account"}  # istioctl makes it
    wrong = []
    for found, template in pods(objects):
        account = f"{found['metadata']['namespace']}/{template['spec'].get('serviceAccountName', 'default')}"
        if account not in known:
            wrong.append(f"{name(found)}: there is no ServiceAccount {account}")
    for policy in of_kind(objects, "AuthorizationPolicy"):
        ports = {
            str(port)
            for found in selected(
                objects, policy["metadata"]["namespace"], policy["spec"].get("selector", {}).get("matchLabels", {})
            )
            for port in _ports(found).values()
        }
        for rule in policy["spec"].get("rules", []):
            for account in (account for source in rule["from"] for account in source["source"]["serviceAccounts"]):
                if account not in known:
                    wrong.append(f"{name(policy)}: there is no ServiceAccount {account}")
            for port in (port for target in rule["to"] for port in target["operation"]["ports"]):
                if port not in ports:
                    wrong.append(f"{name(policy)}: the pods that it selects have no port {port}")
    return wrong


def claims_and_config_maps_exist(objects: list[Object]) -> list[str]:
    maps = {found["metadata"]["name"] for found in of_kind(objects, "ConfigMap")}
    claims = {
        f"{claim['metadata']['name']}-{found['metadata']['name']}-{number}"
        for found in of_kind(objects, "StatefulSet")
        for claim in found["spec"].get("volumeClaimTemplates", [])
        for number in range(found["spec"]["replicas"])
    }
    wrong = []
    for found in objects:
        spec = pod_spec(found) or {}
        mounts = {volume["name"] for volume in spec.get("volumes", [])}
        mounts |= {claim["metadata"]["name"] for claim in (found.get("spec") or {}).get("volumeClaimTemplates", [])}
        for volume in spec.get("volumes", []):
            config_map = volume.get("configMap", {}).get("name")
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if config_map and config_map not in maps:
                wrong.append(f"{name(found)}: there is no ConfigMap {config_map}")
            if claim and claim not in claims:
                wrong.append(f"{name(found)}: there is no claim {claim}")
        for container in containers(found):
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in mounts:
                    wrong.append(f"{name(found)}: {container['name']} mounts {mount['name']}, which is no volume")
    return wrong


def shutdown_adds_up(objects: list[Object]) -> list[str]:
    wrong = []
    for found in of_kind(objects, "Deployment"):
        spec = pod_spec(found) or {}
        for container in spec["containers"]:
            env = {entry["name"]: entry.get("value") for entry in container.get("env", [])}
            if "SERVICE_DRAIN_DELAY" not in env:
                continue
            sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            drain, grace = float(env["SERVICE_DRAIN_DELAY"] or 0), float(env["SERVICE_SHUTDOWN_GRACE"] or 0)
            needed, given = sleep + drain + grace + CLOSES_WITHIN, spec["terminationGracePeriodSeconds"]
            if not needed < given:
                wrong.append(f"{name(found)}: shutdown may take {needed:g} s, and the pod is killed after {given} s")
    return wrong


def images_are_pinned(objects: list[Object]) -> list[str]:
    return [
        f"{name(found)}: {container['image']} names no exact version"
        for found in objects
        for container in containers(found)
        if container["image"] != _BUILT_HERE and not _IMAGE.match(container["image"])
    ]


def no_secret_is_here(objects: list[Object]) -> list[str]:
    wrong = [f"{name(found)}: a Secret does not belong into git" for found in of_kind(objects, "Secret")]
    for found in objects:
        for container in containers(found):
            for entry in container.get("env", []):
                if re.search(r"PASSWORD|TOKEN|KEY|SECRET", entry["name"]) and "value" in entry:
                    wrong.append(f"{name(found)}: {entry['name']} is written here")
                if re.search(r"://[^/@]*:[^/@]*@", entry.get("value", "")):
                    wrong.append(f"{name(found)}: {entry['name']} holds a password")
    return wrong


def pods_are_restricted(objects: list[Object]) -> list[str]:
    """The pod security standard `restricted`, and what this project asks for beside it."""
    wrong = []
    for found, template in pods(objects):
        spec: dict[str, Any] = template["spec"]
        pod = spec.get("securityContext", {})
        wanted: dict[str, bool] = {
            "mounts no token": spec.get("automountServiceAccountToken") is False,
            "runs as no root": pod.get("runAsNonRoot") is True and pod.get("runAsUser", 0) > 0,
            "seccomp RuntimeDefault": pod.get("seccompProfile", {}).get("type") == "RuntimeDefault",
            "shares nothing with the node": not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")),
            "only harmless volumes": all(
                {*volume} - {"name"} <= {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
                for volume in spec.get("volumes", [])
            ),
        }
        for container in containers(found):
            context = container.get("securityContext", {})
            resources = container.get("resources", {})
            wanted |= {
                f"{container['name']}: no privilege escalation": context.get("allowPrivilegeEscalation") is False,
                f"{container['name']}: no capability": context.get("capabilities") == {"drop": ["ALL"]},
                f"{container['name']}: requests": {"cpu", "memory"} <= resources.get("requests", {}).keys(),
                f"{container['name']}: a limit of memory, none of CPU": resources.get("limits", {}).keys()
                == {"memory"},
                f"{container['name']}: not root again": "runAsUser" not in context and not context.get("privileged"),
            }
        wrong += [f"{name(found)}: not so: {what}" for what, holds in wanted.items() if not holds]
    return wrong


def root_is_read_only(objects: list[Object]) -> list[str]:
    return [
        f"{name(found)}: {container['name']} can write to its root file system"
        for found in objects
        for container in containers(found)
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True
    ]


def are_labelled(objects: list[Object]) -> list[str]:
    wanted = ("app.kubernetes.io/name", "app.kubernetes.io/part-of")
    return [
        f"{name(found)}: has no label {label}"
        for found in objects
        for label in wanted
        if label not in found["metadata"].get("labels", {})
    ]


def requests(found: Object, resource: str) -> float:
    """CPU in cores or memory in bytes that one pod of an object asks for: its containers, or the largest init one."""
    spec = pod_spec(found) or {}
    init = [_quantity(part["resources"]["requests"][resource]) for part in spec.get("initContainers", [])]
    main = [_quantity(part["resources"]["requests"][resource]) for part in spec["containers"]]
    return max([sum(main), *init])


def _quantity(text: str) -> float:
    for unit, factor in _UNITS.items():
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    return float(text)


ALL: tuple[Check, ...] = (
    selectors_find_pods,
    services_reach_ports,
    probes_reach_ports,
    accounts_exist,
    claims_and_config_maps_exist,
    shutdown_adds_up,
    images_are_pinned,
    no_secret_is_here,
    pods_are_restricted,
    are_labelled,
)
