"""Resources and their order."""

from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

from cluster import secrets
from tests.k8s.kustomization import ROOT, build, pod_template
from tests.k8s.tiltfile.blob import Blob
from tests.k8s.tiltfile.declared import Declared, TriggerMode, all_objects, identity
from tests.k8s.tiltfile.expected import COLD_START, RESOURCES
from tests.k8s.tiltfile.machine import istio_manifests


def owner(declared: Declared, kind: str, name: str) -> str:
    """The resource in which an object is, and all others of that name."""
    [found] = {
        resource.name
        for resource in declared.resources.values()
        for item in resource.objects
        if identity(item)[1::2] == (kind, name)
    }
    return found


def before(declared: Declared, name: str) -> set[str]:
    """All that a resource waits for, directly or not."""
    waiting, found = [name], set[str]()
    while waiting:
        new = declared.graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def test_the_resources_their_labels_and_what_each_waits_for(declared: Declared) -> None:
    assert {name: (resource.labels, set(resource.deps)) for name, resource in declared.resources.items()} == {
        name: ({label}, deps) for name, (label, deps) in RESOURCES.items()
    }


def test_a_resource_waits_for_nothing_twice(declared: Declared) -> None:
    for resource in declared.resources.values():
        assert len(resource.deps) == len(set(resource.deps)), resource.name


def test_a_cold_start_has_an_order(declared: Declared) -> None:
    assert set().union(*declared.graph.values()) <= set(declared.resources)  # Tilt would ignore an unknown one
    assert len([*TopologicalSorter(declared.graph).static_order()]) == len(declared.resources)  # no cycle
    for first, second in COLD_START:
        assert first in before(declared, second), f"{second} does not wait for {first}"


def test_every_object_is_in_exactly_one_resource(declared: Declared, folder: Path) -> None:
    given = [
        *build(ROOT / "k8s" / "overlays" / "dev"),
        *Blob(istio_manifests()).objects,
        *secrets.manifests(folder / "secrets")["items"],
    ]
    assert Counter(map(identity, all_objects(declared))) == Counter(map(identity, given))
    # The custom deploy applies nothing. Nothing else is without objects but what only runs here.
    empty = {name for name, resource in declared.resources.items() if not resource.objects}
    assert empty == {"istiod-state", "ingress-tests", "lint", "load"}


@pytest.mark.parametrize(
    ("kind", "name", "resource"),
    [
        ("Service", "slipway", "slipway"),
        ("ServiceAccount", "slipway", "slipway"),
        ("PodDisruptionBudget", "slipway", "slipway"),
        ("NetworkPolicy", "slipway", "slipway"),
        ("Service", "postgres", "postgres"),
        ("ServiceAccount", "postgres", "postgres"),
        ("NetworkPolicy", "postgres", "postgres"),
        ("CronJob", "postgres-backup", "postgres-backup"),
        ("ServiceAccount", "postgres-backup", "postgres-backup"),
        ("NetworkPolicy", "postgres-backup", "postgres-backup"),
        ("Namespace", "slipway", "namespaces"),
        ("Namespace", "observability", "namespaces"),
        ("ConfigMap", "prometheus-rules", "prometheus"),
        ("ClusterRole", "slipway-prometheus", "prometheus"),
        ("ConfigMap", "grafana-dashboard-service", "grafana"),
        ("Service", "jaeger", "jaeger"),
        ("ServiceAccount", "postgres-exporter", "postgres-exporter"),
        ("Namespace", "istio-system", "namespaces"),
        ("NetworkPolicy", "default-deny", "namespaces"),
        ("Secret", "database", "secrets"),
        ("Secret", "slipway-tls", "secrets"),
        ("CustomResourceDefinition", "gateways.networking.istio.io", "istio-crds"),
        ("ClusterRole", "istio:reader", "istio-base"),
        ("ServiceAccount", "istiod", "istio-base"),
        ("Service", "istiod", "istiod"),
        ("Service", "istio-ingressgateway", "istio-ingressgateway"),
        ("VirtualService", "slipway", "mesh-rules"),
        ("PeerAuthentication", "default", "mesh-rules"),
    ],
)
def test_an_object_is_in_its_resource(kind: str, name: str, resource: str, declared: Declared) -> None:
    assert owner(declared, kind, name) == resource


def test_what_the_mesh_handles_comes_after_the_mesh(declared: Declared) -> None:
    mesh = {owner(declared, "Deployment", "istiod"), "istio-crds"}
    injected = {
        item["metadata"]["name"]
        for item in all_objects(declared)
        if item["kind"] == "Namespace" and item["metadata"].get("labels", {}).get("istio-injection") == "enabled"
    }
    checked = set()
    for resource in declared.resources.values():
        for item in resource.objects:
            group, kind, namespace, name = identity(item)
            if group.endswith(".istio.io") or (pod_template(item) and namespace in injected):
                assert mesh <= before(declared, resource.name), (kind, name)
                checked.add(kind)
    assert {"VirtualService", "EnvoyFilter", "Deployment", "StatefulSet", "CronJob"} <= checked


def test_a_namespace_is_there_before_what_is_in_it(declared: Declared) -> None:
    for resource in declared.resources.values():
        for item in resource.objects:
            _, kind, namespace, name = identity(item)
            home = namespace and owner(declared, "Namespace", namespace)
            assert home in {"", resource.name, *before(declared, resource.name)}, (kind, name)


def test_pods_come_with_or_after_the_objects_that_they_name(declared: Declared) -> None:
    known = {
        identity(item)[1:]: resource.name for resource in declared.resources.values() for item in resource.objects
    }
    checked = set()
    for resource in declared.resources.values():
        for item in resource.objects:
            template = pod_template(item) or {}
            for kind, name in references(template):
                there = known[kind, item["metadata"]["namespace"], name]
                assert there in {resource.name, *before(declared, resource.name)}, (resource.name, kind, name)
                checked.add((kind, name.split("-")[0]))
    assert {("Secret", "database"), ("ConfigMap", "postgres"), ("ServiceAccount", "slipway")} <= checked


def references(value: Any) -> Iterator[tuple[str, str]]:
    """The objects that a pod cannot start without."""
    kinds = {
        "secretKeyRef": ("Secret", "name"),
        "configMap": ("ConfigMap", "name"),
        "secret": ("Secret", "secretName"),
    }
    if isinstance(value, dict):
        if "serviceAccountName" in value:
            yield "ServiceAccount", value["serviceAccountName"]
        for key, inner in value.items():
            if key in kinds and isinstance(inner, dict) and kinds[key][1] in inner:
                if inner[kinds[key][1]] != "kube-root-ca.crt":  # which is in every namespace by itself
                    yield kinds[key][0], inner[kinds[key][1]]
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_checks_run_when_they_are_asked_to_and_hold_nothing_up(declared: Declared) -> None:
    for resource in declared.resources.values():
        check = resource.labels == {"checks"}
        assert resource.trigger_mode is (TriggerMode.MANUAL if check else TriggerMode.AUTO), resource.name
        assert resource.allow_parallel is check, resource.name


def test_what_has_no_pods_is_ready_without_them(declared: Declared) -> None:
    for resource in declared.resources.values():
        pods = any(map(pod_template, resource.objects))
        if resource.objects or resource.name == "istiod-state":
            assert (resource.pod_readiness == "ignore") is not pods, resource.name
