"""k8s/components/identity: what it adds to an overlay. What it decides is tested in tests/workbench/ingress/."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.k8s import references, rules
from tests.k8s.kustomization import build, build_with, real_command, without_hashes
from tests.k8s.objects import describe
from tests.k8s.project import K8S, Object
from tests.k8s.schemas import check_istio

COMPONENT = {"components": ["../../components/identity"]}


@pytest.fixture(scope="module")
def dev_with_identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    k8s = tmp_path_factory.mktemp("identity") / "k8s"
    shutil.copytree(K8S, k8s)
    file = k8s / "overlays" / "dev" / "kustomization.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | COMPONENT))
    return file.parent


@pytest.fixture(scope="module")
def objects(dev_with_identity: Path) -> list[Object]:
    return build(dev_with_identity)


def test_it_adds_policies_of_the_gateway_and_changes_nothing_else(objects: list[Object], dev: list[Object]) -> None:
    expected = [describe(item) for item in dev]
    assert [describe(item) for item in objects if describe(item) in expected] == expected
    added = [item for item in objects if describe(item) not in expected]
    assert {item["kind"] for item in added} == {"AuthorizationPolicy", "EnvoyFilter", "RequestAuthentication"}
    for item in added:
        assert item["metadata"]["namespace"] == "istio-system"
        selector = item["spec"].get("workloadSelector") or {"labels": item["spec"]["selector"]["matchLabels"]}
        assert selector == {"labels": {"istio": "ingressgateway"}}


@pytest.mark.parametrize("check", [*references.CHECKS, *rules.CHECKS], ids=lambda check: check.__name__)
def test_its_objects_pass_the_checks(objects: list[Object], check: references.Check) -> None:
    assert check(objects) == []


def test_its_objects_are_valid(objects: list[Object], istio_schemas: dict[tuple[str, str], Object]) -> None:
    for item in objects:
        if item["metadata"]["labels"].get("app.kubernetes.io/component") == "identity":
            check_istio(item, istio_schemas)


@pytest.mark.skipif(real_command() is None, reason="neither kubectl nor kustomize is installed")
def test_kustomize_builds_the_same(dev_with_identity: Path, objects: list[Object]) -> None:
    command = real_command()
    assert command
    assert without_hashes(objects) == without_hashes(build_with(command, dev_with_identity))
