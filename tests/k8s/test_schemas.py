"""Each object is valid by the schema of its kind, in the version of Kubernetes that ctlptl.yaml names.

ISTIO_CRDS is a file with Istio's CustomResourceDefinitions (istioctl manifest generate prints them too), K3D_SCHEMA
the JSON schema of k3d's configuration; .ci/run sets both.
"""

import json
import os
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.k8s.kustomization import ROOT, Object

ISTIO = ("networking.istio.io/", "security.istio.io/", "telemetry.istio.io/")


def file_of(variable: str) -> Path:
    """Skips where nobody gave one; a file that was given has to be there."""
    given = os.environ.get(variable)
    if not given:
        pytest.skip(f"{variable} names no file; see {Path(__file__).name}")
    path = ROOT / given
    assert path.exists(), f"{variable}={given} does not exist"
    return path


@pytest.fixture(scope="session")
def istio_schemas() -> dict[tuple[str, str], Object]:
    schemas = {}
    for found in yaml.safe_load_all(file_of("ISTIO_CRDS").read_text()):
        if found and found["kind"] == "CustomResourceDefinition":
            spec = found["spec"]
            for version in spec["versions"]:
                key = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
                schemas[key] = closed(version["schema"]["openAPIV3Schema"])
    return schemas


def closed(schema: Any) -> Any:
    """The API server drops fields that no schema knows; here they are errors."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items()}
    known = "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields")
    if known and schema.get("type") == "object" and "additionalProperties" not in schema:
        result["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        result.pop("type", None)
    return result


def check_istio(found: Object, schemas: dict[tuple[str, str], Object]) -> None:
    schema = deepcopy(schemas[found["apiVersion"], found["kind"]])
    for name in ("apiVersion", "kind"):
        schema["properties"].setdefault(name, {"type": "string"})
    schema["properties"]["metadata"] = {"type": "object"}
    jsonschema.validate(found, schema)


def kubernetes_version() -> str:
    cluster = list(yaml.safe_load_all((ROOT / "ctlptl.yaml").read_text()))[1]
    image: str = cluster["k3d"]["v1alpha5Simple"]["image"]
    major, minor = image.removeprefix("rancher/k3s:v").split(".")[:2]
    return f"{major}.{minor}"


def test_core_objects_are_valid(overlay: list[Object]) -> None:
    checked = 0
    for found in overlay:
        if not found["apiVersion"].startswith(ISTIO):
            kubernetes_validate.validate(found, kubernetes_version(), strict=True)
            checked += 1

    assert checked > 15


def test_a_wrong_core_object_is_found(dev: list[Object]) -> None:
    deployment = next(deepcopy(found) for found in dev if found["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["livenessProbes"] = {}

    with pytest.raises(kubernetes_validate.ValidationError, match="livenessProbes"):
        kubernetes_validate.validate(deployment, kubernetes_version(), strict=True)


def test_istio_objects_are_valid(overlay: list[Object], istio_schemas: dict[tuple[str, str], Object]) -> None:
    kinds = set()
    for found in overlay:
        if found["apiVersion"].startswith(ISTIO):
            check_istio(found, istio_schemas)
            kinds.add(found["kind"])

    assert kinds >= {"Gateway", "VirtualService", "DestinationRule", "AuthorizationPolicy", "PeerAuthentication"}


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("VirtualService", ("http", 0, "directResponses"), {}),
        ("DestinationRule", ("trafficPolicy", "outlierDetection", "interval"), 5),
        ("PeerAuthentication", ("mtls", "mode"), "STRICTER"),
        ("Gateway", ("servers", 1, "tls", "minimumVersion"), "TLSV1_2"),
    ],
)
def test_a_wrong_istio_object_is_found(
    dev: list[Object],
    istio_schemas: dict[tuple[str, str], Object],
    kind: str,
    path: tuple[str | int, ...],
    value: object,
) -> None:
    [found] = [deepcopy(found) for found in dev if found["kind"] == kind]
    part: Any = found["spec"]
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value

    with pytest.raises(jsonschema.ValidationError):
        check_istio(found, istio_schemas)


def test_the_cluster_is_valid() -> None:
    """What ctlptl hands to k3d: the block as it is, with name, kind and registry, which it adds."""
    schema = json.loads(file_of("K3D_SCHEMA").read_text())
    registry, cluster = yaml.safe_load_all((ROOT / "ctlptl.yaml").read_text())
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


def test_the_registry_is_the_one_of_the_cluster() -> None:
    registry, cluster = yaml.safe_load_all((ROOT / "ctlptl.yaml").read_text())

    assert (registry["kind"], cluster["kind"]) == ("Registry", "Cluster")
    assert cluster["registry"] == registry["name"]
    assert registry["labels"] == {"app": "k3d", "k3d.role": "registry"}
    assert cluster["name"] == "k3d-slipway"
    ports = [entry["port"] for entry in cluster["k3d"]["v1alpha5Simple"]["ports"]]
    assert ports == ["127.0.0.1:8080:80", "127.0.0.1:8443:443", "127.0.0.1:30080:30080"]


def test_the_ports_of_the_cluster_are_those_of_the_gateway() -> None:
    """Each of them ends at the gateway's Service or at its NodePort."""
    install = yaml.safe_load((ROOT / "k8s" / "istio" / "install.yaml").read_text())["spec"]
    [gateway] = install["components"]["ingressGateways"]
    service = gateway["k8s"]["service"]
    reachable = {entry[key] for entry in service["ports"] for key in ("port", "nodePort")}
    _, cluster = yaml.safe_load_all((ROOT / "ctlptl.yaml").read_text())

    assert service["type"] == "LoadBalancer"
    for entry in cluster["k3d"]["v1alpha5Simple"]["ports"]:
        assert int(entry["port"].rpartition(":")[2]) in reachable, entry
