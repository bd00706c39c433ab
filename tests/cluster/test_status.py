"""The lines of `make status` for objects as the API server returns them."""

from copy import deepcopy
from typing import Any

import pytest

from cluster.kubectl import NAMESPACE
from cluster.status import gateway_line, pod_line, refused_lines, service_line, status, virtual_service_line
from tests.k8s.project import Object


def pod(*, ready: bool = True, phase: str = "Running", restarts: int = 0, **status: Any) -> Object:
    return {
        "metadata": {"name": "shop-1", "namespace": "shop", "labels": {"istio": "ingressgateway"}},
        "spec": {"containers": [{"name": "shop"}]},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": str(ready), "message": "" if ready else "unready: [shop]"}],
            "containerStatuses": [{"name": "shop", "ready": ready, "restartCount": restarts, "state": {}}],
            **status,
        },
    }


def service(kind: str = "ClusterIP", **status: Any) -> Object:
    return {
        "metadata": {"name": "shop", "namespace": "shop", "uid": "s"},
        "spec": {"type": kind, "ports": [{"port": 80, "nodePort": 30080}]},
        "status": {"loadBalancer": status},
    }


def endpoints(*, ready: bool, of: str = "shop") -> Object:
    return {
        "metadata": {"labels": {"kubernetes.io/service-name": of}},
        "endpoints": [{"conditions": {"ready": ready}}],
    }


def virtual_service(gateway: str = "shop/shop", host: str = "shop.shop.svc.cluster.local") -> Object:
    return {
        "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {
            "gateways": [gateway],
            "http": [{"directResponse": {"status": 429}}, {"route": [{"destination": {"host": host}}]}],
        },
    }


GATEWAY: Object = {
    "metadata": {"name": "shop", "namespace": "shop"},
    "spec": {"selector": {"istio": "ingressgateway"}, "servers": [{"port": {"protocol": "HTTP", "number": 80}}]},
}


WEBHOOK = 'failed calling webhook "namespace.sidecar-injector.istio.io": connect: connection refused'


def workload(kind: str = "ReplicaSet", *, there: int = 0, owner: Object | None = None) -> Object:
    metadata = {"name": "shop-5d9", "namespace": "shop", "uid": "a", "ownerReferences": [owner] if owner else []}
    return {"kind": kind, "metadata": metadata, "spec": {"replicas": 2}, "status": {"replicas": there}}


def event(message: str, *, of: str = "a", reason: str = "FailedCreate", at: str = "2026-11-26T00:00:00Z") -> Object:
    return {
        "kind": "Event",
        "metadata": {"uid": "e"},
        "involvedObject": {"uid": of},
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
    }


def test_a_ready_pod_is_ok() -> None:
    line = pod_line(pod(restarts=2))
    assert (line.name, line.state, line.error) == ("shop/shop-1", "Running, 1/1 ready, 2 restarts", "")


def test_a_pod_of_a_finished_job_is_ok() -> None:
    assert pod_line(pod(ready=False, phase="Succeeded")).error == ""


def test_a_pod_that_is_being_deleted_is_ok() -> None:
    ending = pod(ready=False)
    ending["metadata"]["deletionTimestamp"] = "2026-11-24T00:00:00Z"
    line = pod_line(ending)
    assert line.state.startswith("ending, ")
    assert line.error == ""


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ({}, "unready: [shop]"),
        ({"conditions": []}, "not ready"),
        (
            {
                "containerStatuses": [
                    {
                        "name": "shop",
                        "ready": False,
                        "restartCount": 0,
                        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such host"}},
                    }
                ]
            },
            "shop: ImagePullBackOff: no such host",
        ),
        (
            {
                "initContainerStatuses": [
                    {"name": "migrate", "state": {"terminated": {"reason": "Error", "exitCode": 1}}},
                ]
            },
            "migrate: Error",
        ),
        (
            {"initContainerStatuses": [{"name": "migrate", "state": {"terminated": {"reason": "Completed"}}}]},
            "unready: [shop]",
        ),
    ],
    ids=["its condition", "no reason", "a container waits", "the migrations failed", "the migrations succeeded"],
)
def test_a_pod_that_is_not_ready_has_a_reason(status: Object, error: str) -> None:
    assert pod_line(pod(ready=False, **status)).error == error


@pytest.mark.parametrize(
    ("item", "restart"),
    [
        (workload(owner={"kind": "Deployment", "name": "shop"}), "deployment/shop"),
        (workload("StatefulSet"), "statefulset/shop-5d9"),
    ],
    ids=["of a Deployment", "StatefulSet"],
)
def test_pods_that_istiod_could_not_inject_have_a_remedy(item: Object, restart: str) -> None:
    [line] = refused_lines([item, event(WEBHOOK)])

    assert (line.kind, line.name, line.state) == (item["kind"].lower(), "shop/shop-5d9", "0 of 2 pods")
    assert line.error.startswith("no pod can get its sidecar while istiod does not answer. ")
    assert line.error.endswith(f"`kubectl -n shop rollout restart {restart}` ends the pause ({WEBHOOK})")


def test_pods_that_are_refused_for_another_reason_have_the_last_one() -> None:
    newer, older = event("exceeded quota", at="2026-11-26T00:00:09Z"), event(WEBHOOK)

    [line] = refused_lines([newer, workload(there=1), older])

    assert (line.state, line.error) == ("1 of 2 pods", "exceeded quota")


@pytest.mark.parametrize(
    "found",
    [
        [workload(there=2), event(WEBHOOK)],
        [workload(), event(WEBHOOK, of="b")],
        [workload(), event(WEBHOOK, reason="FailedScheduling")],
    ],
    ids=["all are there again", "the event of another", "another event"],
)
def test_pods_that_are_not_refused_have_no_line(found: list[Object]) -> None:
    assert list(refused_lines(found)) == []


def test_a_service_is_ok_if_a_pod_behind_it_is_ready() -> None:
    assert service_line(service(), [endpoints(ready=True)], []).error == ""
    assert service_line(service(), [endpoints(ready=False)], []).error == "no pod behind it is ready"
    assert service_line(service(), [endpoints(ready=True, of="another")], []).error == "no pod behind it is ready"
    assert service_line(service(), [endpoints(ready=True)], []).state == "ClusterIP 80:30080, 1 endpoints"


UNSCHEDULABLE: Object = {
    "phase": "Pending",
    "containerStatuses": [],
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 node(s) didn't have free ports.",
        }
    ],
}


def balancer(of: str = "shop", **status: Any) -> Object:
    labels = {"svccontroller.k3s.cattle.io/svcname": of}
    metadata = {"name": "svclb-1", "namespace": "kube-system", "labels": labels}
    return {**pod(**status), "kind": "Pod", "metadata": metadata}


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ([], "nothing in this cluster gives one to Services of the type LoadBalancer"),
        (
            [event("no quota left", of="s", reason="SyncLoadBalancerFailed")],
            "the load balancer says: no quota left",
        ),
        ([balancer(ready=False, **UNSCHEDULABLE)], "its ports are in use on the nodes, perhaps by traefik (kube-sys"),
        (
            [
                event("no quota left", of="another", reason="SyncLoadBalancerFailed"),
                event("scaled", of="s", reason="EnsuredLoadBalancer"),
                balancer(),
                balancer(of="another", ready=False, **UNSCHEDULABLE),
            ],
            "nothing in this cluster gives one to Services of the type LoadBalancer",
        ),
    ],
    ids=["none", "its controller refuses", "k3s, ports in use", "of other Services"],
)
def test_a_load_balancer_without_an_address_says_why(others: list[Object], reason: str) -> None:
    error = service_line(service("LoadBalancer"), [endpoints(ready=True)], others).error

    assert error.startswith(f"no address: {reason}")
    assert error.endswith("; `kubectl -n shop port-forward service/shop 8080:80` reaches it without one")


def test_a_load_balancer_with_an_address_is_ok() -> None:
    given = service("LoadBalancer", ingress=[{"ip": "172.18.0.2"}])

    assert service_line(given, [endpoints(ready=True)], []).error == ""


def test_a_pod_for_which_no_node_has_room_says_what_to_do() -> None:
    error = pod_line(pod(ready=False, **UNSCHEDULABLE)).error

    assert error.startswith(
        "no node has room for it: 0/1 nodes are available: 1 node(s) didn't have free ports: lower "
    )


def test_a_pod_that_prepares_says_where_it_tells_what_it_waits_for() -> None:
    """A sidecar among the init containers runs all the time."""
    waits = pod(
        ready=False,
        initContainerStatuses=[
            {"name": "init", "state": {"terminated": {"exitCode": 0}}},
            {"name": "proxy", "state": {"running": {}}},
            {"name": "migrate", "state": {"running": {}}},
        ],
    )
    waits["spec"]["initContainers"] = [
        {"name": "init"},
        {"name": "proxy", "restartPolicy": "Always"},
        {"name": "migrate"},
    ]

    logs = "kubectl -n shop logs shop-1 -c migrate"
    assert pod_line(waits).error == f"migrate has not finished: `{logs}` says what it waits for"


def test_a_gateway_is_ok_if_its_selector_matches_a_ready_pod() -> None:
    assert gateway_line(GATEWAY, [pod()]).error == ""
    assert gateway_line(GATEWAY, [pod(ready=False)]).error
    other = pod()
    other["metadata"]["labels"] = {"istio": "egressgateway"}
    assert gateway_line(GATEWAY, [other]).error == "its selector matches no ready pod"


def test_a_virtual_service_is_ok_if_its_gateways_and_destinations_exist() -> None:
    services = [service()]
    assert virtual_service_line(virtual_service(), [GATEWAY], services).error == ""
    assert virtual_service_line(virtual_service("shop/other"), [GATEWAY], services).error
    wrong = virtual_service(host="shoop.shop.svc.cluster.local")
    assert virtual_service_line(wrong, [GATEWAY], services).error == "missing: shoop.shop.svc.cluster.local"


def test_production_is_ok_while_no_certificate_is_issued(
    production: list[Object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its route leads to another namespace, to a Service without a pod."""
    kinds = {"services": "Service", "gateways.networking.istio.io": "Gateway"}
    kinds["virtualservices.networking.istio.io"] = "VirtualService"

    def get(kind: str, *_: str, namespace: str = NAMESPACE) -> list[Object]:
        found = [deepcopy(item) for item in production if item["kind"] == kinds.get(kind)]
        for item in found:
            item["spec"].setdefault("type", "ClusterIP")
        return [item for item in found if item["metadata"]["namespace"] == namespace]

    monkeypatch.setattr("cluster.status.get", get)
    monkeypatch.setattr("cluster.status.of_operators", lambda: ([], [], [], []))
    errors = {(line.kind, line.name): line.error for line in status()}

    assert errors["service", "istio-system/acme-solver"] == ""
    assert errors["service", f"{NAMESPACE}/postgres"] == "no pod behind it is ready"
    assert [error for (kind, _), error in errors.items() if kind == "virtualservice"] == [""]
