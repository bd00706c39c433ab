"""What has to be there: its cluster and its tools."""

import tomllib
from pathlib import Path

import pytest

from tests.k8s.kustomization import ROOT
from tests.k8s.tiltfile.declared import Declared, TiltfileFailed, commands
from tests.k8s.tiltfile.interpreter import run
from tests.k8s.tiltfile.machine import Machine
from tests.k8s.tiltfile.project_files import ISTIO, cluster_file, replace


@pytest.mark.parametrize("context", ["kind-other", "k3d-other", "production"])
def test_another_cluster_is_refused(context: str, machine: Machine) -> None:
    with pytest.raises(TiltfileFailed) as refused:
        run(ROOT, machine, context=context)
    assert f"{context}, not k3d-slipway" in str(refused.value)
    assert "ctlptl apply -f ctlptl.yaml" in str(refused.value)
    assert machine.commands == []


def test_its_own_cluster_or_none(declared: Declared, machine: Machine) -> None:
    names = {item["name"] for item in cluster_file() if item["kind"] == "Cluster"}
    assert set(declared.contexts) == names == {"k3d-slipway"}
    assert run(ROOT, machine, context="").graph == declared.graph


def test_missing_tools_are_named_with_how_to_get_them(folder: Path) -> None:
    with pytest.raises(TiltfileFailed) as failed:
        run(ROOT, Machine(folder, missing=("istioctl", "openssl")))
    first, *lines = str(failed.value).splitlines()
    assert first == "Tools are missing:"
    assert [line.split(":")[0] for line in lines] == ["  istioctl", "  openssl"]
    assert "https://istio.io/" in lines[0]
    assert "mise install" in lines[0]
    assert "package openssl" in lines[1]


def test_every_tool_is_looked_for(declared: Declared, machine: Machine) -> None:
    run(ROOT, machine)
    [looked_for] = [set(command[4:]) for command in machine.commands if command[0] == "sh"]
    used = {command[0] for command in commands(declared)} | {command[0] for command in machine.commands}
    assert used - {"sh"} <= looked_for
    assert "openssl" in looked_for  # which cluster.secrets starts


@pytest.mark.parametrize("version", ["client version: 1.30.4", f"{ISTIO}0", "unknown", ""])
def test_another_istioctl_is_refused(version: str, folder: Path) -> None:
    with pytest.raises(TiltfileFailed, match=rf"^istioctl is {version}, .*install\.yaml asks for Istio {ISTIO}: "):
        run(ROOT, Machine(folder, istioctl=version))


def test_the_version_that_is_asked_for_is_read_from_its_file(project: Path, folder: Path) -> None:
    replace(project / "k8s" / "istio" / "install.yaml", f"tag: {ISTIO}", "tag: 1.99.0")
    with pytest.raises(TiltfileFailed, match=r"asks for Istio 1\.99\.0"):
        run(project, Machine(folder))
    assert run(project, Machine(folder, istioctl="client version: 1.99.0")).resources


def test_mise_installs_the_istioctl_that_is_asked_for() -> None:
    assert installed("istioctl") == ISTIO


def test_the_tilt_that_is_installed_is_new_enough(declared: Declared) -> None:
    constraint = declared.settings["version"]["constraint"]
    assert constraint.startswith(">=")
    assert version(installed("tilt")) >= version(constraint[2:])


def installed(tool: str) -> str:
    """The version that `mise install` brings."""
    return str(tomllib.loads((ROOT / "mise.toml").read_text())["tools"][tool])


def version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def test_nothing_is_sent_to_anybody(declared: Declared) -> None:
    assert declared.settings["analytics"] == {"enable": False}
    assert declared.settings["version"]["check_updates"] is False
