"""Each object is valid by the schema of its kind, in the version of Kubernetes that ctlptl.yaml names.

ISTIO_CRDS is a file with Istio's CustomResourceDefinitions (`istioctl manifest generate` prints them too), K3D_SCHEMA
is the JSON schema of k3d's configuration. .ci/run sets both.
"""

from copy import deepcopy

import jsonschema
import kubernetes_validate
import pytest

from tests.k8s.objects import change, of_kind
from tests.k8s.project import Object
from tests.k8s.schemas import check_istio, kubernetes_version

ISTIO = ("networking.istio.io/", "security.istio.io/", "telemetry.istio.io/")


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
    without_users: list[Object], istio_schemas: dict[tuple[str, str], Object], kind: str, path: str, value: object
) -> None:
    [item] = deepcopy([*of_kind(without_users, kind)])
    change(item, path, value)

    with pytest.raises(jsonschema.ValidationError):
        check_istio(item, istio_schemas)
