import os
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from tests.k8s.kustomization import build
from tests.k8s.project import K8S, PRODUCTION, ROOT, Object
from tests.k8s.schemas import schemas_of

ALTERNATIVES = {"identity-provider"}
"""Components that production cannot have in addition to its own."""
FIRST = ("postgres-ha", "autoscaling")
"""Components that others change, and so come before them."""


@pytest.fixture(scope="session")
def dev() -> list[Object]:
    """What `tilt up` applies: with users, or without them in a service that was adopted so."""
    return build(K8S / "overlays" / "dev")


@pytest.fixture(scope="session")
def without_users() -> list[Object]:
    return build(K8S / "overlays" / "dev-without-identity")


@pytest.fixture(scope="session")
def with_users(without_users: list[Object]) -> list[Object]:
    """With both components of users, whatever the default is. The objects of `without_users` come first."""
    objects = deepcopy(without_users)
    for component in ("identity", "identity-provider"):
        objects = build(K8S / "components" / component, objects)
    return objects


@pytest.fixture(scope="session")
def production() -> list[Object]:
    """With the components that it lists, of which none has to be there."""
    return build(PRODUCTION)


@pytest.fixture(scope="session")
def every_component() -> list[Object]:
    """Production, with each component that it does not list: for what is about one of them."""
    return with_every_component()


def with_every_component() -> list[Object]:
    listed = yaml.safe_load((PRODUCTION / "kustomization.yaml").read_text()).get("components") or []
    others = sorted({folder.name for folder in (K8S / "components").iterdir()} - ALTERNATIVES - {*FIRST})
    every = [f"../../components/{name}" for name in (*FIRST, *others)]
    return build(PRODUCTION, components=[*listed, *(component for component in every if component not in listed)])


@pytest.fixture(scope="session", params=["with_users", "without_users", "production"])
def overlay(request: pytest.FixtureRequest) -> list[Object]:
    """All objects of an overlay: everything that a cluster gets, except Istio itself."""
    objects: list[Object] = request.getfixturevalue(request.param)
    return objects


@pytest.fixture(scope="session")
def folders() -> list[Path]:
    """The folders with a kustomization."""
    return sorted(file.parent for file in K8S.rglob("kustomization.yaml"))


@pytest.fixture(scope="session")
def istio_schemas() -> dict[tuple[str, str], Object]:
    return schemas_of(file_of("ISTIO_CRDS").read_text())


@pytest.fixture(scope="session")
def other_schemas() -> dict[tuple[str, str], Object]:
    """Of CloudNativePG, and of whatever CRDS names."""
    files = [file_of("CNPG_CRDS"), *(ROOT / name for name in os.environ.get("CRDS", "").split(os.pathsep) if name)]
    return {kind: schema for file in files for kind, schema in schemas_of(file.read_text()).items()}


def file_of(variable: str) -> Path:
    """The file that an environment variable names. Without the variable the test is skipped."""
    given = os.environ.get(variable)
    if not given:
        pytest.skip(f"{variable} names no file; see test_schemas.py")
    path = ROOT / given
    assert path.exists(), f"{variable}={given} does not exist"
    return path
