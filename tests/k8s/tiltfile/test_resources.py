"""The resources: their labels, their order, and the objects in them."""

from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from cluster import secrets
from tests.k8s.objects import identity, pod_template
from tests.k8s.project import Object
from tests.k8s.tiltfile.declared import Declared
from tests.k8s.tiltfile.machine import istio_objects
from workbench.project import NAME

# Each resource: its label | the resources that it waits for | some of its objects. A service that was adopted without
# users has neither `identity` nor `users`, and `alertmanager` is there only with its component.
RESOURCES = f"""
namespaces: mesh | | Namespace/{NAME} Namespace/observability Namespace/istio-system NetworkPolicy/default-deny
secrets: data | namespaces | Secret/database Secret/{NAME}-tls
istio-crds: mesh | namespaces | CustomResourceDefinition/gateways.networking.istio.io
istio-base: mesh | istio-crds namespaces | ClusterRole/istio:reader ServiceAccount/istiod
istiod: mesh | istio-base | Service/istiod
istiod-state: mesh | istiod |
istio-ingressgateway: mesh | istiod secrets | Service/istio-ingressgateway
mesh-rules: mesh | istiod | VirtualService/{NAME} PeerAuthentication/default
postgres: data | istiod mesh-rules secrets | Service/postgres ServiceAccount/postgres NetworkPolicy/postgres
postgres-backup: data | postgres | CronJob/postgres-backup NetworkPolicy/postgres-backup
identity: app | istiod mesh-rules secrets | Service/identity AuthorizationPolicy/identity
users: mesh | identity mesh-rules | RequestAuthentication/users AuthorizationPolicy/users
{NAME}: app | istio-ingressgateway mesh-rules postgres users | Service/{NAME} PodDisruptionBudget/service
alertmanager: observability | secrets | Service/alertmanager ConfigMap/prometheus-alertmanagers
prometheus: observability | namespaces | ConfigMap/prometheus-rules ClusterRole/observability-prometheus
jaeger: observability | namespaces | Service/jaeger
grafana: observability | jaeger prometheus secrets | ConfigMap/grafana-dashboard-service
postgres-exporter: observability | postgres | ServiceAccount/postgres-exporter
ingress-tests: checks | {NAME} |
lint: checks | |
load: checks | |
"""


def table(dev: list[Object]) -> dict[str, list[str]]:
    rows = (line.partition(":") for line in RESOURCES.strip().splitlines())
    found = {name: [cell.strip() for cell in rest.split("|")] for name, _, rest in rows}
    if not any(item["metadata"]["name"] == "alertmanager" for item in dev):
        del found["alertmanager"]
    if not any(item["kind"] == "RequestAuthentication" for item in dev):
        del found["identity"], found["users"]
        found[NAME][1] = found[NAME][1].removesuffix("users")
    return found


def at_start_of(declared: Declared, name: str) -> set[str]:
    """The resource, and all that are ready before it, directly or not."""
    return {name}.union(*(at_start_of(declared, other) for other in declared.waits_for[name]))


def test_each_resource_has_its_label_and_waits_for_what_it_needs(declared: Declared, dev: list[Object]) -> None:
    TopologicalSorter(declared.waits_for).prepare()  # raises an error if they wait for each other in a circle
    found = {name: (one["labels"], set(one["resource_deps"])) for name, one in declared.resources.items()}

    assert found == {name: (label, set(waits_for.split())) for name, (label, waits_for, _) in table(dev).items()}


def test_each_object_is_in_its_resource_and_only_there(declared: Declared, folder: Path, dev: list[Object]) -> None:
    manifests = dev + istio_objects() + secrets.manifests(folder / "secrets")["items"]
    assert Counter(map(identity, declared.objects)) == Counter(map(identity, manifests))

    found = {
        name: {"/".join(identity(item)[1::2]) for item in one["objects"]} for name, one in declared.resources.items()
    }
    for name, (_, _, objects) in table(dev).items():
        assert found[name] >= set(objects.split()), name
        assert bool(found[name]) is bool(objects), name


def test_a_resource_starts_after_all_that_its_objects_need(declared: Declared) -> None:
    there = {identity(item)[1:]: name for name, one in declared.resources.items() for item in one["objects"]}
    with_sidecar = {
        item["metadata"]["name"]
        for item in declared.objects
        if item["kind"] == "Namespace" and item["metadata"].get("labels", {}).get("istio-injection") == "enabled"
    }
    assert with_sidecar
    checked = set()
    for name, resource in declared.resources.items():
        for item in resource["objects"]:
            group, _, namespace, _ = identity(item)
            named = set(references(pod_template(item)))
            needed = {there[kind, namespace, other] for kind, other in named}
            if namespace:
                needed.add(there["Namespace", "", namespace])
            if group.endswith(".istio.io") or (pod_template(item) and namespace in with_sidecar):
                needed |= {"istiod", "istio-crds"}
            assert needed <= at_start_of(declared, name), (name, identity(item))
            checked |= {kind for kind, _ in named}
    assert checked == {"ConfigMap", "Secret", "ServiceAccount"}


def references(value: Any) -> Iterator[tuple[str, str]]:
    """Kind and name of each object without which a pod with this template does not start."""
    if isinstance(value, dict):
        named = (
            ("ServiceAccount", value.get("serviceAccountName")),
            ("Secret", value.get("secretKeyRef", {}).get("name")),
            ("Secret", value.get("secret", {}).get("secretName")),
            (
                "ConfigMap",
                None if value.get("configMap", {}).get("optional") else value.get("configMap", {}).get("name"),
            ),
        )
        # Kubernetes puts kube-root-ca.crt into each namespace.
        yield from ((kind, name) for kind, name in named if name and name != "kube-root-ca.crt")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from references(inner)


def test_checks_run_only_on_demand_and_beside_everything_else(declared: Declared) -> None:
    for name, resource in declared.resources.items():
        is_check = resource["labels"] == "checks"
        assert (resource["trigger_mode"].function == "TRIGGER_MODE_MANUAL") is is_check, name
        assert resource["allow_parallel"] is is_check, name
        if not is_check:  # Tilt waits for pods where there are any
            assert (resource["pod_readiness"] != "ignore") is any(map(pod_template, resource["objects"])), name
