"""Each object is valid by the schema of its kind, in the version of Kubernetes that ctlptl.yaml names.

ISTIO_CRDS is a file with Istio's CustomResourceDefinitions (`istioctl manifest generate` prints them too), K3D_SCHEMA
is the JSON schema of k3d's configuration. .ci/run sets both.
"""

from copy import deepcopy
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.k8s.conftest import file_of
from tests.k8s.objects import change, of_kind
from tests.k8s.project import LOADER, Object, cluster_file

ISTIO = ("networking.istio.io/", "security.istio.io/", "telemetry.istio.io/")


@pytest.fixture(scope="session")
def istio_schemas() -> dict[tuple[str, str], Object]:
    schemas = {}
    for item in yaml.load_all(file_of("ISTIO_CRDS").read_text(), LOADER):
        if item and item["kind"] == "CustomResourceDefinition":
            spec = item["spec"]
            for version in spec["versions"]:
                key = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
                schemas[key] = closed(version["schema"]["openAPIV3Schema"])
    return schemas


def closed(schema: Any) -> Any:
    """The schema, with unknown fields as errors. The API server would drop them."""
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


def check_istio(item: Object, schemas: dict[tuple[str, str], Object]) -> None:
    schema = deepcopy(schemas[item["apiVersion"], item["kind"]])
    for name in ("apiVersion", "kind"):
        schema["properties"].setdefault(name, {"type": "string"})
    schema["properties"]["metadata"] = {"type": "object"}
    jsonschema.validate(item, schema)


def kubernetes_version() -> str:
    image: str = cluster_file()[1]["k3d"]["v1alpha5Simple"]["image"]
    major, minor = image.removeprefix("rancher/k3s:v").split(".")[:2]
    return f"{major}.{minor}"


def test_core_objects_are_valid(overlay: list[Object]) -> None:
    checked = 0
    for item in overlay:
        if not item["apiVersion"].startswith(ISTIO):
            kubernetes_validate.validate(item, kubernetes_version(), strict=True)
            checked += 1

    assert checked > 15


def test_a_wrong_core_object_is_refused(dev: list[Object]) -> None:
    deployment = deepcopy(next(of_kind(dev, "Deployment")))
    change(deployment, "spec template spec containers 0 livenessProbes", {})

    with pytest.raises(kubernetes_validate.ValidationError, match="livenessProbes"):
        kubernetes_validate.validate(deployment, kubernetes_version(), strict=True)


def test_istio_objects_are_valid(overlay: list[Object], istio_schemas: dict[tuple[str, str], Object]) -> None:
    kinds = set()
    for item in overlay:
        if item["apiVersion"].startswith(ISTIO):
            check_istio(item, istio_schemas)
            kinds.add(item["kind"])

    assert kinds >= {"Gateway", "VirtualService", "DestinationRule", "AuthorizationPolicy", "PeerAuthentication"}


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("VirtualService", "spec http 0 directResponses", {}),
        ("DestinationRule", "spec trafficPolicy outlierDetection interval", 5),
        ("PeerAuthentication", "spec mtls mode", "STRICTER"),
        ("Gateway", "spec servers 1 tls minimumVersion", "TLSV1_2"),
    ],
)
def test_a_wrong_istio_object_is_refused(
    dev: list[Object], istio_schemas: dict[tuple[str, str], Object], kind: str, path: str, value: object
) -> None:
    [item] = deepcopy([*of_kind(dev, kind)])
    change(item, path, value)

    with pytest.raises(jsonschema.ValidationError):
        check_istio(item, istio_schemas)
