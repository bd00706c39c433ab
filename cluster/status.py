"""`make status`: one line for each part of the system in the cluster, with its state and what is wrong with it.

Exit status: 0 if everything is ok, 1 if something is not, or if the cluster does not answer.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace

from cluster.archive import STORES
from cluster.kubectl import CONTEXT, LOCAL, NAMESPACE, ClusterError, find, get, kubectl, main
from cluster.line import Line, Object, conditions_of, name_of
from cluster.operators import (
    CERTIFICATES,
    POOLERS,
    autoscaler_line,
    certificate_line,
    cluster_line,
    is_fenced,
    pooler_line,
)
from cluster.overlay import RULES, believing_lines, example_lines, with_examples
from cluster.postgres import CLUSTERS, OF_CLUSTER, SERVICE

GATEWAY_NAMESPACE = "istio-system"
NAMESPACES = (NAMESPACE, GATEWAY_NAMESPACE, "observability")

_INJECTION = "sidecar-injector.istio.io"  # in the names of the webhooks of istiod that add sidecars

_SELDOM = "acme-solver"  # a Service with a pod only while a certificate is issued, see k8s/components/certificates

_K3S_BALANCER = "svccontroller.k3s.cattle.io/svcname"  # the label that names the Service


def run() -> int:
    sys.stdout.write(f"context {CONTEXT}\n")
    sys.stdout.flush()  # before what follows on standard error
    if find("namespace", NAMESPACE) is None:
        remedy = "start it with `tilt up`" if CONTEXT == LOCAL else "see docs/production.md, from step 2 on"
        raise ClusterError(f"there is no namespace {NAMESPACE} in {CONTEXT}: {remedy}")
    lines = list(status())
    width = {field: max(len(getattr(line, field)) for line in lines) for field in ("kind", "name", "state")}
    for line in lines:
        sys.stdout.write(
            f"{'not ok' if line.error else 'ok':7} {line.kind:{width['kind']}}  {line.name:{width['name']}}  "
            f"{line.state:{width['state']}}  {line.error or line.remark}".rstrip()
            + "\n"
        )
    return 1 if any(line.error for line in lines) else 0


def status() -> Iterator[Line]:
    """A line for each object. Raises ClusterError if the cluster does not answer."""
    pods = {namespace: get("pods", namespace=namespace) for namespace in NAMESPACES}
    kinds = "replicasets,statefulsets,events,deployments,horizontalpodautoscalers"
    others = {namespace: get(kinds, namespace=namespace) for namespace in NAMESPACES}
    refused = [line for namespace in NAMESPACES for line in refused_lines(others[namespace])]
    # By these k3s takes the ports of a Service from each node.
    balancers = get("pods", f"--selector={_K3S_BALANCER}", namespace="kube-system")
    services = {namespace: get("services", namespace=namespace) for namespace in NAMESPACES}
    clusters, poolers, certificates, stores = of_operators()
    rules = get(",".join(RULES.values()), namespace=GATEWAY_NAMESPACE)
    serving = {item["spec"]["selector"].get(OF_CLUSTER) for item in services[NAMESPACE] if _is_database(item)}
    fenced = {cluster["metadata"]["name"] for cluster in clusters if is_fenced(cluster)} - serving
    if not any(pods.values()) and not refused:
        remedy = "start it with `tilt up`" if CONTEXT == LOCAL else "see docs/production.md, step 5"
        yield Line("pod", "none", "", f"nothing runs in {CONTEXT}: {remedy}")
    yield from believing_lines(others[NAMESPACE], rules)
    yield from example_lines([*others[NAMESPACE], *rules, *stores])
    for namespace in NAMESPACES:
        for pod in pods[namespace]:
            yield _at_rest(pod_line(pod), pod, fenced)
    yield from refused
    for namespace in NAMESPACES:
        slices = get("endpointslices", namespace=namespace)
        for service in services[namespace]:
            line = service_line(service, slices, [*others[namespace], *balancers])
            yield _at_rest(line, service, fenced)
    for cluster in clusters:
        yield cluster_line(cluster, serves=cluster["metadata"]["name"] in serving)
    for pooler in poolers:
        yield pooler_line(pooler, others[NAMESPACE])
    for item in (item for namespace in NAMESPACES for item in others[namespace]):
        if item["kind"] == "HorizontalPodAutoscaler":
            yield autoscaler_line(item)
    for certificate in certificates:
        yield with_examples(certificate_line(certificate), certificate)
    gateways = get("gateways.networking.istio.io")
    for gateway in gateways:
        yield with_examples(gateway_line(gateway, pods[GATEWAY_NAMESPACE]), gateway)
    for virtual_service in get("virtualservices.networking.istio.io"):
        yield virtual_service_line(virtual_service, gateways, [item for found in services.values() for item in found])


def of_operators() -> Iterator[list[Object]]:
    """The Clusters, Poolers, Certificates and ObjectStores; none of a kind that this cluster does not know."""
    # It fails if one of the API servers behind the API server does not answer, and lists the kinds of the others.
    known = kubectl("api-resources", "--output=name", check=False).stdout.split()
    for kind in (CLUSTERS, POOLERS, CERTIFICATES, STORES):
        namespace = GATEWAY_NAMESPACE if kind == CERTIFICATES else NAMESPACE
        yield get(kind, namespace=namespace) if kind in known else []


def _is_database(service: Object) -> bool:
    return bool(service["metadata"]["name"] == SERVICE)


def _at_rest(line: Line, item: Object, fenced: set[str]) -> Line:
    """What belongs to a fenced Cluster is not ready, and shall not be."""
    return replace(line, error="") if item["metadata"].get("labels", {}).get(OF_CLUSTER) in fenced else line


def pod_line(pod: Object) -> Line:
    """A pod is ok if it is ready, if its job has finished, or if it is being deleted."""
    found = pod["status"]
    containers = found.get("containerStatuses", [])
    ready = sum(container["ready"] for container in containers)
    restarts = sum(container["restartCount"] for container in containers)
    phase = found.get("phase", "Unknown")
    state = f"{phase}, {ready}/{len(pod['spec']['containers'])} ready, {restarts} restarts"
    if "deletionTimestamp" in pod["metadata"]:
        return Line("pod", name_of(pod), f"ending, {state}")
    conditions = conditions_of(pod)
    if phase == "Succeeded" or conditions.get("Ready", {}).get("status") == "True":
        return Line("pod", name_of(pod), state)
    error = _unscheduled(conditions) or _waiting(found) or _preparing(pod)
    return Line("pod", name_of(pod), state, error or conditions.get("Ready", {}).get("message", "not ready"))


def _unscheduled(conditions: dict[str, Object]) -> str:
    """Why no node takes the pod, and what to do."""
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("reason") != "Unschedulable":
        return ""
    return (
        f"no node has room for it: {scheduled['message'].rstrip('.')}: lower what the pods request or how many there "
        "are, or add a node, see docs/scaling.md"
    )


def _preparing(pod: Object) -> str:
    """Which init container runs, and where it says what it waits for. Sidecars run all the time."""
    started = {part["name"] for part in pod["status"].get("initContainerStatuses", []) if "running" in part["state"]}
    for container in pod["spec"].get("initContainers", []):
        if container["name"] in started and container.get("restartPolicy") != "Always":
            name, metadata = container["name"], pod["metadata"]
            logs = f"kubectl -n {metadata['namespace']} logs {metadata['name']} -c {name}"
            return f"{name} has not finished: `{logs}` says what it waits for"
    return ""


def _waiting(found: Object) -> str:
    """The reason why the first container waits or has failed, in the order in which containers start."""
    for container in (*found.get("initContainerStatuses", []), *found.get("containerStatuses", [])):
        state = container.get("state", {})
        waiting, ended = state.get("waiting", {}), state.get("terminated", {})
        reason = waiting.get("reason") or (ended.get("reason") if ended.get("exitCode") else None)
        if reason and reason != "PodInitializing":
            return f"{container['name']}: {reason}: {waiting.get('message', '') or ended.get('message', '')}".rstrip(
                ": "
            )
    return ""


def refused_lines(found: list[Object]) -> Iterator[Line]:
    """A line for each ReplicaSet and StatefulSet with too few pods because the API server refuses to create them.

    They have to be in `found`, and so do the events of their namespace.
    """
    failures = [item for item in found if item["kind"] == "Event" and item["reason"] == "FailedCreate"]
    failures.sort(key=lambda event: event.get("lastTimestamp") or "")
    messages = {event["involvedObject"]["uid"]: event["message"] for event in failures}
    for item in found:
        message = messages.get(item["metadata"]["uid"])
        wanted, there = item.get("spec", {}).get("replicas", 0), item.get("status", {}).get("replicas", 0)
        if message and there < wanted:
            kind, state = item["kind"].lower(), f"{there} of {wanted} pods"
            yield Line(kind, name_of(item), state, _remedy(item, message) if _INJECTION in message else message)


def _remedy(item: Object, message: str) -> str:
    """What to do for the pods of a ReplicaSet or a StatefulSet that could not get their sidecars."""
    metadata = item["metadata"]
    owner = next(iter(metadata.get("ownerReferences", [])), {"kind": item["kind"], "name": metadata["name"]})
    restart = f"kubectl -n {metadata['namespace']} rollout restart {owner['kind'].lower()}/{owner['name']}"
    return (
        "no pod can get its sidecar while istiod does not answer. If istiod is ready and the pods do not come, "
        f"`{restart}` ends the pause ({message})"
    )


def service_line(service: Object, slices: list[Object], others: list[Object]) -> Line:
    """A Service is ok if a pod behind it is ready. A LoadBalancer also needs an address.

    `others` are the events of its namespace, and the pods with which k3s takes the ports of Services.
    """
    ports = ",".join(
        str(port["port"]) + (f":{port['nodePort']}" if "nodePort" in port else "")
        for port in service["spec"]["ports"]
    )
    ready = sum(
        endpoint.get("conditions", {}).get("ready", True)
        for part in slices
        if part["metadata"]["labels"].get("kubernetes.io/service-name") == service["metadata"]["name"]
        for endpoint in part.get("endpoints") or []
    )
    state = f"{service['spec']['type']} {ports}, {ready} endpoints"
    pending = service["spec"]["type"] == "LoadBalancer" and not service["status"].get("loadBalancer", {}).get(
        "ingress"
    )
    error = "" if ready or service["metadata"]["name"] == _SELDOM else "no pod behind it is ready"
    if not error and pending:
        error = f"no address: {_no_balancer(service, others)}; `{_forward(service)}` reaches it without one"
    return Line("service", name_of(service), state, error)


def _no_balancer(service: Object, others: list[Object]) -> str:
    """Why a Service of type LoadBalancer has no address."""
    metadata = service["metadata"]
    for item in others:
        if item["kind"] == "Event" and item["involvedObject"].get("uid") == metadata["uid"]:
            if item["reason"] == "SyncLoadBalancerFailed":
                return f"the load balancer says: {item['message']}"
        elif item["metadata"].get("labels", {}).get(_K3S_BALANCER) == metadata["name"] and pod_line(item).error:
            return f"its ports are in use on the nodes, perhaps by traefik ({name_of(item)}: {pod_line(item).error})"
    return "nothing in this cluster gives one to Services of the type LoadBalancer"


def _forward(service: Object) -> str:
    metadata, numbers = service["metadata"], [port["port"] for port in service["spec"]["ports"]]
    port = 80 if 80 in numbers else numbers[0]
    return f"kubectl -n {metadata['namespace']} port-forward service/{metadata['name']} 8080:{port}"


def gateway_line(gateway: Object, pods: list[Object]) -> Line:
    """A Gateway is ok if its selector matches a ready pod."""
    selector = gateway["spec"]["selector"].items()
    found = [pod for pod in pods if selector <= pod["metadata"].get("labels", {}).items()]
    ready = sum(not pod_line(pod).error for pod in found)
    servers = ", ".join(
        f"{server['port']['protocol']} {server['port']['number']}" for server in gateway["spec"]["servers"]
    )
    error = "" if ready else "its selector matches no ready pod"
    return Line("gateway", name_of(gateway), f"{servers}, {ready} pods", error)


def virtual_service_line(virtual_service: Object, gateways: list[Object], services: list[Object]) -> Line:
    """A VirtualService is ok if its gateways and destinations exist."""
    spec = virtual_service["spec"]
    known = {name_of(gateway) for gateway in gateways} | {"mesh"}
    names = (service["metadata"] for service in services)
    hosts = {f"{name['name']}.{name['namespace']}.svc.cluster.local" for name in names}
    wanted = {route["destination"]["host"] for http in spec["http"] for route in http.get("route", [])}
    missing = sorted({*spec["gateways"]} - known) + sorted(wanted - hosts)
    error = f"missing: {', '.join(missing)}" if missing else ""
    return Line("virtualservice", name_of(virtual_service), f"{len(spec['http'])} routes", error)


if __name__ == "__main__":
    main(run, "status")
