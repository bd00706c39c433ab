"""ctlptl.yaml: valid for k3d, and its ports are those of the gateway."""

import json
import re

import jsonschema
import pytest

from tests.k8s.conftest import file_of
from tests.k8s.project import cluster_file, istio_install
from workbench.project import NAME


def test_k3d_accepts_the_cluster() -> None:
    """ctlptl passes the block to k3d as it is, and adds the name, the kind and the registry."""
    schema = json.loads(file_of("K3D_SCHEMA").read_text())
    registry, cluster = cluster_file()
    simple = cluster["k3d"]["v1alpha5Simple"] | {
        "apiVersion": "k3d.io/v1alpha5",
        "kind": "Simple",
        "metadata": {"name": cluster["name"].removeprefix("k3d-")},
        "registries": {"use": [registry["name"]]},
    }

    jsonschema.validate(simple, schema)
    simple["options"]["k3s"]["extraArg"] = []
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(simple, schema)


def test_the_cluster_uses_the_registry() -> None:
    registry, cluster = cluster_file()

    assert (registry["kind"], cluster["kind"]) == ("Registry", "Cluster")
    assert cluster["registry"] == registry["name"]
    assert registry["labels"] == {"app": "k3d", "k3d.role": "registry"}
    assert cluster["name"] == f"k3d-{NAME}"


def test_no_other_machine_reaches_the_cluster() -> None:
    registry, cluster = cluster_file()
    simple = cluster["k3d"]["v1alpha5Simple"]
    ports = [entry["port"].split(":")[0] for entry in simple["ports"]]

    assert {registry["listenAddress"], simple["kubeAPI"]["hostIP"], *ports} == {"127.0.0.1"}


def test_the_ports_of_the_cluster_are_those_of_the_gateway() -> None:
    """Each of them leads to the gateway's Service or to its NodePort, from this machine only."""
    [gateway] = istio_install()["components"]["ingressGateways"]
    service = gateway["k8s"]["service"]
    reachable = {entry[key] for entry in service["ports"] for key in ("port", "nodePort")}
    ports = [entry["port"] for entry in cluster_file()[1]["k3d"]["v1alpha5Simple"]["ports"]]

    assert service["type"] == "LoadBalancer"
    assert ports == ["127.0.0.1:8080:80", "127.0.0.1:8443:443", "127.0.0.1:30080:30080"]
    assert {int(port.split(":")[2]) for port in ports} <= reachable


def test_pods_that_could_not_be_created_are_tried_again_soon() -> None:
    """Without the flag, their ReplicaSets wait for minutes after istiod is back."""
    arguments = [entry["arg"] for entry in cluster_file()[1]["k3d"]["v1alpha5Simple"]["options"]["k3s"]["extraArgs"]]

    [seconds] = re.findall(r"--kube-controller-manager-arg=min-resync-period=(\d+)s", "\n".join(arguments))
    assert 1 <= int(seconds) <= 10  # the pause is at most twice as long
