"""Each object is valid by the schema of its kind, in the version of Kubernetes that ctlptl.yaml names.

ISTIO_CRDS and CNPG_CRDS are files with the CustomResourceDefinitions of Istio (`istioctl manifest generate` prints
them too) and of CloudNativePG, K3D_SCHEMA is the JSON schema of k3d's configuration. .ci/run sets all three. CRDS may
name more files of CustomResourceDefinitions, separated by colons: without them, what no schema was given for is
skipped, by name.
"""

from copy import deepcopy

import jsonschema
import kubernetes_validate
import pytest

from tests.k8s.objects import change, of_kind
from tests.k8s.project import Object
from tests.k8s.schemas import check_custom, kind_of, kubernetes_version

ISTIO = ("networking.istio.io/", "security.istio.io/", "telemetry.istio.io/")


def is_core(item: Object) -> bool:
    """Whether Kubernetes itself has the kind: in the groups without a dot, and in those of k8s.io."""
    group, slash, _ = item["apiVersion"].partition("/")
    return not slash or "." not in group or group.endswith(".k8s.io")


def test_core_objects_are_valid(overlay: list[Object]) -> None:
    checked = 0
    for item in overlay:
        if is_core(item):
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
            check_custom(item, istio_schemas)
            kinds.add(item["kind"])

    assert kinds >= {"Gateway", "VirtualService", "DestinationRule", "AuthorizationPolicy", "PeerAuthentication"}


def test_all_other_custom_objects_are_valid(
    every_component: list[Object], other_schemas: dict[tuple[str, str], Object]
) -> None:
    others = [item for item in every_component if not is_core(item) and not item["apiVersion"].startswith(ISTIO)]
    unknown = {f"{item['kind']} ({item['apiVersion']})" for item in others if kind_of(item) not in other_schemas}
    for item in others:
        if kind_of(item) in other_schemas:
            check_custom(item, other_schemas)

    assert any(kind_of(item) in other_schemas for item in others)
    if unknown:
        pytest.skip(f"no schema was given for {', '.join(sorted(unknown))}: name the files of their CRDs in CRDS")


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
        check_custom(item, istio_schemas)
