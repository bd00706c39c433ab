"""k8s/components/canary: a second version beside the first one, with the rules of docs/canary.md."""

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.canary import canary_rules, example
from tests.k8s import references, rules
from tests.k8s.kustomization import build, build_with, real_command, without_hashes
from tests.k8s.objects import containers, describe, find, of_kind, pod_template, selected
from tests.k8s.project import K8S, PRODUCTION, Object
from tests.k8s.schemas import check_custom, kubernetes_version
from tests.k8s.test_capacity import needed_connections
from workbench.ingress.pod_labels import pod_labels
from workbench.machine.folders import SERVICE_MANIFESTS
from workbench.project import NAME
from workbench.stack import CANARY

CANARY_NAME = f"{NAME}-canary"
FILE = "kustomization.yaml"


@pytest.fixture(scope="module")
def added() -> dict[str, Any]:
    """What the page adds to the lists of the overlay: the first image of its example is there already."""
    added: dict[str, Any] = example("components:")
    there, canary = added["images"]
    assert (there["name"], canary["name"]) == (NAME, CANARY_NAME)
    return added | {"images": [canary]}


@pytest.fixture(scope="module")
def without(added: dict[str, Any]) -> dict[str, Any]:
    """These lists of the overlay, from which a canary that is there is taken out."""
    overlay = yaml.safe_load((PRODUCTION / FILE).read_text())
    return {
        "components": [name for name in overlay.get("components") or [] if name not in added["components"]],
        "images": [image for image in overlay["images"] if image["name"] != CANARY_NAME],
    }


@pytest.fixture(scope="module")
def production_without(without: dict[str, Any]) -> list[Object]:
    return build(PRODUCTION, **without)


@pytest.fixture(scope="module")
def production_with_canary(
    tmp_path_factory: pytest.TempPathFactory, without: dict[str, Any], added: dict[str, Any]
) -> Path:
    """The overlay, after a person has done what the page says."""
    k8s = tmp_path_factory.mktemp("canary") / "k8s"
    shutil.copytree(K8S, k8s)
    canary_rules(k8s / "istio")
    folder = k8s / PRODUCTION.relative_to(K8S)
    overlay = yaml.safe_load((folder / FILE).read_text())
    overlay |= {field: added[field] + entries for field, entries in without.items()}
    (folder / FILE).write_text(yaml.safe_dump(overlay))
    return folder


@pytest.fixture(scope="module")
def objects(production_with_canary: Path) -> list[Object]:
    return build(production_with_canary)


def deployments(objects: list[Object]) -> list[Object]:
    return [find(objects, "Deployment", name) for name in (NAME, CANARY_NAME)]


def test_production_lists_it_before_the_components_that_change_it() -> None:
    """Each changes the Deployments that are there by then: only one version would ask the pooler, for instance."""
    components = yaml.safe_load((PRODUCTION / FILE).read_text()).get("components") or []

    assert "../../components/canary" not in components[1:], "let it be the first one: docs/canary.md"


def test_it_adds_a_deployment_and_changes_nothing_else(
    objects: list[Object], production_without: list[Object]
) -> None:
    rules_of_ingress = {"DestinationRule", "VirtualService"}
    expected = [item for item in without_hashes(production_without) if item["kind"] not in rules_of_ingress]
    with_canary = [item for item in without_hashes(objects) if item["kind"] not in rules_of_ingress]

    assert [item for item in with_canary if item["metadata"]["name"] != CANARY_NAME] == expected
    assert len(with_canary) == len(expected) + 1


def test_the_canary_is_the_first_deployment_but_for_name_label_image_and_replicas(
    objects: list[Object], added: dict[str, Any]
) -> None:
    stable, canary = deepcopy(deployments(objects))
    stable["metadata"]["name"] = CANARY_NAME
    stable["spec"]["replicas"] = 1  # of the others, or the autoscaler's
    assert stable["spec"]["strategy"]["rollingUpdate"].pop("maxUnavailable") == 1
    assert canary["spec"]["strategy"]["rollingUpdate"].pop("maxUnavailable") == 0  # it has one replica
    for labels in (
        stable["metadata"]["labels"],
        stable["spec"]["selector"]["matchLabels"],
        stable["spec"]["template"]["metadata"]["labels"],
    ):
        assert labels["version"] == "stable"
        labels["version"] = "canary"
    _, images = ({container.pop("image") for container in containers(item)} for item in (stable, canary))
    [image] = added["images"]

    assert stable == canary
    assert images == {f"{image['newName']}:{image['newTag']}"}


def test_each_deployment_selects_its_own_pods_and_all_others_select_both(objects: list[Object]) -> None:
    both = deployments(objects)
    for deployment in both:
        assert selected(objects, NAME, deployment["spec"]["selector"]["matchLabels"]) == [deployment]
    selectors = {
        "Service": find(objects, "Service", NAME)["spec"]["selector"],
        "PodDisruptionBudget": find(objects, "PodDisruptionBudget", "service")["spec"]["selector"]["matchLabels"],
        "NetworkPolicy": find(objects, "NetworkPolicy", "service")["spec"]["podSelector"]["matchLabels"],
        "AuthorizationPolicy": find(objects, "AuthorizationPolicy", "service")["spec"]["selector"]["matchLabels"],
    }
    assert {kind: selected(objects, NAME, selector) for kind, selector in selectors.items()} == dict.fromkeys(
        selectors, both
    )


def test_each_subset_has_pods_of_one_version(objects: list[Object]) -> None:
    [rule] = of_kind(objects, "DestinationRule")
    stable, canary = (describe(deployment) for deployment in deployments(objects))
    found = {
        subset["name"]: [describe(item) for item in selected(objects, NAME, subset["labels"])]
        for subset in rule["spec"]["subsets"]
    }
    assert found == {"streams": [stable], "stable": [stable], "canary": [canary]}


def test_the_replicas_of_the_workbench_have_the_same_labels(objects: list[Object]) -> None:
    ours = pod_labels(SERVICE_MANIFESTS)
    for deployment, labels in zip(deployments(objects), (ours, {**ours, **CANARY}), strict=True):
        template = pod_template(deployment)
        assert template
        assert labels.items() <= template["metadata"]["labels"].items()


@pytest.mark.parametrize("check", [*references.CHECKS, *rules.CHECKS], ids=lambda check: check.__name__)
def test_the_manifests_pass(objects: list[Object], check: references.Check) -> None:
    assert check(objects) == []


def test_the_connections_of_both_versions_fit_into_the_database(objects: list[Object]) -> None:
    needed, limit = needed_connections(objects, *deployments(objects))
    assert needed <= limit


def test_its_objects_are_valid(objects: list[Object]) -> None:
    for deployment in deployments(objects):
        kubernetes_validate.validate(deployment, kubernetes_version(), strict=True)


def test_its_rules_are_valid(objects: list[Object], istio_schemas: dict[tuple[str, str], Object]) -> None:
    for item in of_kind(objects, "DestinationRule", "VirtualService"):
        check_custom(item, istio_schemas)


@pytest.mark.skipif(real_command() is None, reason="neither kubectl nor kustomize is installed")
def test_kustomize_and_its_stand_in_agree(production_with_canary: Path, objects: list[Object]) -> None:
    command = real_command()
    assert command
    assert without_hashes(objects) == without_hashes(build_with(command, production_with_canary))
