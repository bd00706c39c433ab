from pathlib import Path

import pytest

from tests.k8s.kustomization import K8S, Object, build

OVERLAYS = ("dev", "production")


@pytest.fixture(scope="session", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> list[Object]:
    """Everything that is applied to a cluster, but Istio itself."""
    return build(K8S / "overlays" / request.param)


@pytest.fixture(scope="session")
def dev() -> list[Object]:
    return build(K8S / "overlays" / "dev")


@pytest.fixture(scope="session")
def production() -> list[Object]:
    return build(K8S / "overlays" / "production")


@pytest.fixture(scope="session")
def folders() -> list[Path]:
    """Those with a kustomization."""
    return sorted(file.parent for file in K8S.rglob("kustomization.yaml"))
