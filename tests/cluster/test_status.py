"""What `make status` says of objects as the API server gives them."""

from typing import Any

import pytest

from cluster.status import gateway_line, pod_line, service_line, virtual_service_line

Object = dict[str, Any]


def pod(*, ready: bool = True, phase: str = "Running", restarts: int = 0, **status: Any) -> Object:
    return {
        "metadata": {"name": "slipway-1", "namespace": "slipway", "labels": {"istio": "ingressgateway"}},
        "spec": {"containers": [{"name": "slipway"}]},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": str(ready), "message": "" if ready else "unready: [slipway]"}],
            "containerStatuses": [{"name": "slipway", "ready": ready, "restartCount": restarts, "state": {}}],
            **status,
        },
    }


def service(kind: str = "ClusterIP", **status: Any) -> Object:
    return {
        "metadata": {"name": "slipway", "namespace": "slipway"},
        "spec": {"type": kind, "ports": [{"port": 80, "nodePort": 30080}]},
        "status": {"loadBalancer": status},
    }


def endpoints(*, ready: bool, of: str = "slipway") -> Object:
    return {
        "metadata": {"labels": {"kubernetes.io/service-name": of}},
        "endpoints": [{"conditions": {"ready": ready}}],
    }


def virtual_service(gateway: str = "slipway/slipway", host: str = "slipway.slipway.svc.cluster.local") -> Object:
    return {
        "metadata": {"name": "slipway", "namespace": "slipway"},
        "spec": {
            "gateways": [gateway],
            "http": [{"directResponse": {"status": 429}}, {"route": [{"destination": {"host": host}}]}],
        },
    }


GATEWAY: Object = {
    "metadata": {"name": "slipway", "namespace": "slipway"},
    "spec": {"selector": {"istio": "ingressgateway"}, "servers": [{"port": {"protocol": "HTTP", "number": 80}}]},
}


def test_a_pod_that_is_ready_is_well() -> None:
    line = pod_line(pod(restarts=2))
    assert (line.name, line.state, line.problem) == ("slipway/slipway-1", "Running, 1/1 ready, 2 restarts", "")


def test_a_pod_of_a_finished_job_is_well() -> None:
    assert pod_line(pod(ready=False, phase="Succeeded")).problem == ""


def test_a_pod_that_ends_is_no_problem() -> None:
    ending = pod(ready=False)
    ending["metadata"]["deletionTimestamp"] = "2026-11-24T00:00:00Z"
    line = pod_line(ending)
    assert line.state.startswith("ending, ")
    assert line.problem == ""


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        ({}, "unready: [slipway]"),
        ({"conditions": []}, "not ready"),
        (
            {
                "containerStatuses": [
                    {
                        "name": "slipway",
                        "ready": False,
                        "restartCount": 0,
                        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such host"}},
                    }
                ]
            },
            "slipway: ImagePullBackOff: no such host",
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
            "unready: [slipway]",
        ),
    ],
    ids=["its condition says why", "nothing says why", "a container waits", "the migrations failed", "they did not"],
)
def test_a_pod_that_is_not_ready_says_why(status: Object, problem: str) -> None:
    assert pod_line(pod(ready=False, **status)).problem == problem


def test_a_service_is_well_if_a_pod_behind_it_is_ready() -> None:
    assert service_line(service(), [endpoints(ready=True)]).problem == ""
    assert service_line(service(), [endpoints(ready=False)]).problem == "no pod behind it is ready"
    assert service_line(service(), [endpoints(ready=True, of="another")]).problem == "no pod behind it is ready"
    assert service_line(service(), [endpoints(ready=True)]).state == "ClusterIP 80:30080, 1 endpoints"


def test_a_load_balancer_needs_an_address() -> None:
    assert "no address yet" in service_line(service("LoadBalancer"), [endpoints(ready=True)]).problem
    given = service("LoadBalancer", ingress=[{"ip": "172.18.0.2"}])
    assert service_line(given, [endpoints(ready=True)]).problem == ""


def test_a_gateway_is_well_if_its_selector_finds_a_ready_pod() -> None:
    assert gateway_line(GATEWAY, [pod()]).problem == ""
    assert gateway_line(GATEWAY, [pod(ready=False)]).problem
    other = pod()
    other["metadata"]["labels"] = {"istio": "egressgateway"}
    assert gateway_line(GATEWAY, [other]).problem == "no ready pod has its labels"


def test_a_virtual_service_is_well_if_what_it_names_exists() -> None:
    services = [service()]
    assert virtual_service_line(virtual_service(), [GATEWAY], services).problem == ""
    assert virtual_service_line(virtual_service("slipway/other"), [GATEWAY], services).problem
    wrong = virtual_service(host="slipwey.slipway.svc.cluster.local")
    assert virtual_service_line(wrong, [GATEWAY], services).problem == "there is no slipwey.slipway.svc.cluster.local"
