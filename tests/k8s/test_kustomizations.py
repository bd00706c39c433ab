"""The kustomizations build, include every file, and differ between dev and production only where they have to."""

from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from tests.k8s.kustomization import build, build_with, real_command, without_hashes
from tests.k8s.objects import describe, find
from tests.k8s.project import INSTALL, K8S, Object
from workbench.project import NAME


def test_every_kustomization_builds(folders: list[Path]) -> None:
    assert folders
    for folder in folders:
        assert build(folder), folder


def test_every_manifest_is_in_its_kustomization(folders: list[Path]) -> None:
    for folder in folders:
        kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
        named = {*kustomization["resources"], *(patch.get("path", "") for patch in kustomization.get("patches", []))}
        named |= {file for made in kustomization.get("configMapGenerator", []) for file in made["files"]}
        named = {entry for entry in named if "/" not in entry}
        files = {file.name for file in folder.glob("*.yaml") if file.name != INSTALL.name} - {"kustomization.yaml"}
        assert {entry for entry in named if entry.endswith(".yaml")} == files, folder


def test_each_file_holds_one_object(folders: list[Path]) -> None:
    for file in (file for folder in folders for file in folder.glob("*.yaml")):
        assert len(list(yaml.safe_load_all(file.read_text()))) == 1, file


@pytest.mark.skipif(real_command() is None, reason="neither kubectl nor kustomize is installed")
@pytest.mark.parametrize("overlay_name", ["dev", "dev-without-identity", "production"])
def test_kustomize_and_its_stand_in_agree(overlay_name: str) -> None:
    folder = K8S / "overlays" / overlay_name
    command = real_command()
    assert command

    assert without_hashes(build(folder)) == without_hashes(build_with(command, folder))


def test_the_stand_in_refuses_an_unknown_field(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("apiVersion: x\nkind: Kustomization\nnamePrefix: my-\n")

    with pytest.raises(ValueError, match="does not know namePrefix"):
        build(tmp_path)


def test_by_default_the_local_cluster_has_users_and_their_provider_or_neither(
    dev: list[Object], with_users: list[Object], without_users: list[Object]
) -> None:
    assert without_hashes(dev) in (without_hashes(with_users), without_hashes(without_users))


def test_dev_changes_only_what_live_update_needs(without_users: list[Object]) -> None:
    base = without_hashes(build(K8S / "base"))
    changed = [item for item in without_hashes(without_users) if item not in base]

    assert {*map(describe, changed)} == {f"Deployment {NAME}/{NAME}", "Deployment observability/grafana"}
    service, expected = (find(objects, "Deployment", NAME) for objects in (changed, deepcopy(base)))
    [container] = service["spec"]["template"]["spec"]["containers"]
    [expected_container] = expected["spec"]["template"]["spec"]["containers"]
    for field in ("env", "resources", "securityContext"):
        expected_container[field] = container[field]
    assert service == expected
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": False,
    }
