"""Checks that objects refer to what exists: pods, ports, accounts and volumes. Each returns one line per error."""

from collections.abc import Callable

from tests.k8s.objects import (
    container_ports,
    containers,
    describe,
    matches,
    of_kind,
    pod_spec,
    pod_template,
    pods,
    selected,
)
from tests.k8s.project import Object
from workbench.project import NAME

OF_OTHERS = {"acme.cert-manager.io/http01-solver": "true"}
"""The label of pods that cert-manager makes."""

Check = Callable[[list[Object]], list[str]]


def selectors_match_pods(objects: list[Object]) -> list[str]:
    errors = []
    for item in objects:
        if item["kind"] in {"Deployment", "StatefulSet", "PodDisruptionBudget"}:
            selector = item["spec"]["selector"]["matchLabels"]
        elif item["kind"] == "Service":
            selector = item["spec"]["selector"]
        elif item["kind"] == "AuthorizationPolicy" and item["metadata"]["namespace"] == NAME:
            selector = item["spec"].get("selector", {}).get("matchLabels", {})
        elif item["kind"] == "NetworkPolicy" and item["metadata"]["namespace"] == NAME:
            selector = item["spec"]["podSelector"].get("matchLabels", {})
        else:
            continue
        if selector != OF_OTHERS and not selected(objects, item["metadata"]["namespace"], selector):
            errors.append(f"{describe(item)}: its selector {selector} matches no pod")
    for item, template in pods(objects):
        for constraint in template["spec"].get("topologySpreadConstraints", []):
            if not matches(constraint["labelSelector"]["matchLabels"], template["metadata"]["labels"]):
                errors.append(f"{describe(item)}: topologySpreadConstraints do not match its own pods")
    return errors


def services_reach_ports(objects: list[Object]) -> list[str]:
    errors = []
    for service in of_kind(objects, "Service"):
        for target in selected(objects, service["metadata"]["namespace"], service["spec"]["selector"]):
            ports = container_ports(target)
            for port in service["spec"]["ports"]:
                wanted = port.get("targetPort", port["port"])
                if wanted not in ports and wanted not in ports.values():
                    errors.append(f"{describe(service)}: {describe(target)} has no port {wanted}")
    for virtual_service in of_kind(objects, "VirtualService"):
        for route in virtual_service["spec"]["http"]:
            for destination in (entry["destination"] for entry in route.get("route", [])):
                if not _is_served(objects, destination["host"], destination["port"]["number"]):
                    errors.append(
                        f"{describe(virtual_service)}: route {route['name']}: no Service serves {destination}"
                    )
    for rule in of_kind(objects, "DestinationRule"):
        if not _is_served(objects, rule["spec"]["host"], None):
            errors.append(f"{describe(rule)}: there is no Service {rule['spec']['host']}")
    return errors


def _is_served(objects: list[Object], host: str, port: int | None) -> bool:
    return any(
        host == f"{item['metadata']['name']}.{item['metadata']['namespace']}.svc.cluster.local"
        and (port is None or port in {entry["port"] for entry in item["spec"]["ports"]})
        for item in of_kind(objects, "Service")
    )


def probes_reach_ports(objects: list[Object]) -> list[str]:
    errors = []
    for item in objects:
        for container in containers(item):
            ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                port = container.get(kind, {}).get("httpGet", {}).get("port")
                if port is not None and port not in ports and port not in ports.values():
                    errors.append(f"{describe(item)}: {kind}: container {container['name']} has no port {port}")
        annotations = (pod_template(item) or {}).get("metadata", {}).get("annotations", {})
        scraped = annotations.get("prometheus.io/port")
        if scraped is not None and int(scraped) not in container_ports(item).values():
            errors.append(f"{describe(item)}: prometheus.io/port: no container has the port {scraped}")
    return errors


def accounts_exist(objects: list[Object]) -> list[str]:
    """Those of pods, and those that AuthorizationPolicies allow; the ports that these allow exist too."""
    known = {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in of_kind(objects, "ServiceAccount")
    } | {"istio-system/istio-ingressgateway-service-account"}  # istioctl makes it
    errors = []
    for item, template in pods(objects):
        account = f"{item['metadata']['namespace']}/{template['spec'].get('serviceAccountName', 'default')}"
        if account not in known:
            errors.append(f"{describe(item)}: there is no ServiceAccount {account}")
    for policy in of_kind(objects, "AuthorizationPolicy"):
        selector = policy["spec"].get("selector", {}).get("matchLabels", {})
        targets = selected(objects, policy["metadata"]["namespace"], selector)
        ports = {str(port) for target in targets for port in container_ports(target).values()}
        for rule in policy["spec"].get("rules", []):
            sources = [entry["source"] for entry in rule.get("from", [])]
            for account in (account for source in sources for account in source.get("serviceAccounts", [])):
                # Without a namespace, it is in that of the policy.
                full = account if "/" in account else f"{policy['metadata']['namespace']}/{account}"
                if full not in known:
                    errors.append(f"{describe(policy)}: there is no ServiceAccount {full}")
            operations = [entry["operation"] for entry in rule.get("to", [])]
            for port in (port for operation in operations for port in operation.get("ports", [])):
                if port not in ports:
                    errors.append(f"{describe(policy)}: the pods that it selects have no port {port}")
    return errors


def volumes_exist(objects: list[Object]) -> list[str]:
    maps = {item["metadata"]["name"] for item in of_kind(objects, "ConfigMap")}
    claims = {
        f"{claim['metadata']['name']}-{item['metadata']['name']}-{number}"
        for item in of_kind(objects, "StatefulSet")
        for claim in item["spec"].get("volumeClaimTemplates", [])
        for number in range(item["spec"]["replicas"])
    }
    errors = []
    for item in objects:
        volumes = (pod_spec(item) or {}).get("volumes", [])
        templates = (item.get("spec") or {}).get("volumeClaimTemplates", [])
        names = {volume["name"] for volume in volumes} | {claim["metadata"]["name"] for claim in templates}
        for volume in volumes:
            mounted = volume.get("configMap", {})
            config_map = None if mounted.get("optional") else mounted.get("name")
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if config_map and config_map not in maps:
                errors.append(f"{describe(item)}: there is no ConfigMap {config_map}")
            if claim and claim not in claims:
                errors.append(f"{describe(item)}: there is no PersistentVolumeClaim {claim}")
        for container in containers(item):
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in names:
                    errors.append(f"{describe(item)}: container {container['name']}: no volume {mount['name']}")
    return errors


CHECKS = (selectors_match_pods, services_reach_ports, probes_reach_ports, accounts_exist, volumes_exist)
