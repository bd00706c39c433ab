"""Whose pods are scheduled first, and who may end whose pods, where a node is too small for all."""

import pytest
import yaml

from tests.k8s.objects import find, of_kind, pod_spec
from tests.k8s.project import INSTALL, PRODUCTION, Object
from workbench.project import NAME

PRODUCTION_INSTALL = PRODUCTION / INSTALL.name


@pytest.fixture(scope="module")
def values(production: list[Object]) -> dict[str, int]:
    """The value of each PriorityClass."""
    return {item["metadata"]["name"]: item["value"] for item in of_kind(production, "PriorityClass")}


def test_every_class_that_pods_name_exists(overlay: list[Object]) -> None:
    known = {item["metadata"]["name"] for item in of_kind(overlay, "PriorityClass")}
    named = {spec["priorityClassName"] for item in overlay if "priorityClassName" in (spec := pod_spec(item) or {})}

    assert named <= known
    assert find(overlay, "Deployment", NAME)["spec"]["template"]["spec"]["priorityClassName"] == f"{NAME}-service"


def test_istio_comes_before_the_database_and_the_database_before_the_service(values: dict[str, int]) -> None:
    """A pod that names no class has priority 0, if no class is the default of all."""
    mesh = yaml.safe_load(PRODUCTION_INSTALL.read_text())["spec"]["values"]["global"]["priorityClassName"]

    assert values[mesh] > values[f"{NAME}-database"] > values[f"{NAME}-service"] > 0


def test_no_class_is_for_pods_that_name_none(overlay: list[Object]) -> None:
    assert [item["metadata"]["name"] for item in of_kind(overlay, "PriorityClass") if item.get("globalDefault")] == []


def test_the_database_may_end_pods_of_the_service_and_the_service_none(overlay: list[Object]) -> None:
    policies = {
        name: find(overlay, "PriorityClass", f"{NAME}-{name}").get("preemptionPolicy", "PreemptLowerPriority")
        for name in ("database", "service")
    }
    assert policies == {"database": "PreemptLowerPriority", "service": "Never"}


def test_postgresql_has_the_class_of_the_database(with_users: list[Object]) -> None:
    assert (pod_spec(find(with_users, "StatefulSet", "postgres")) or {})["priorityClassName"] == f"{NAME}-database"
