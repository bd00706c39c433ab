"""What the Tiltfile needs: its own cluster, and tools in the right version."""

import shutil
from pathlib import Path

import pytest

from tests.k8s.project import K8S, ROOT, cluster_file
from tests.k8s.tiltfile.api import TiltfileError
from tests.k8s.tiltfile.conftest import Run
from tests.k8s.tiltfile.declared import Declared
from tests.k8s.tiltfile.interpreter import run
from tests.k8s.tiltfile.machine import ISTIO, Machine
from workbench.project import NAME


@pytest.mark.parametrize("context", ["kind-other", "k3d-other", "production"])
def test_another_cluster_is_refused_before_anything_runs(context: str) -> None:
    with pytest.raises(TiltfileError, match=rf"is {context}, not k3d-{NAME}: run `make cluster`"):
        run(ROOT, lambda command: pytest.fail(f"{command} runs"), context=context)


def test_its_own_cluster_and_no_current_one_are_accepted(declared: Declared, tilt: Run) -> None:
    assert declared.only("allow_k8s_contexts")["contexts"] == cluster_file()[1]["name"] == f"k3d-{NAME}"
    assert tilt(context="").waits_for == declared.waits_for


def test_missing_tools_are_named_with_how_to_get_them(folder: Path) -> None:
    with pytest.raises(TiltfileError) as failed:
        run(ROOT, Machine(folder, missing=("istioctl", "openssl")))

    first, *lines = str(failed.value).splitlines()
    assert first == "Tools are missing:"
    assert [line.split(":")[0] for line in lines] == ["  istioctl", "  openssl"]
    assert "`mise install`, or https://istio.io/" in lines[0]
    assert "package openssl" in lines[1]


def test_every_tool_is_looked_for(declared: Declared) -> None:
    [looked_for] = [set(command[4:]) for command in declared.commands if command[0] == "sh"]

    # openssl is started by cluster.secrets, a shell is everywhere.
    assert looked_for == {command[0] for command in declared.commands} - {"sh"} | {"openssl"}


@pytest.mark.parametrize("version", ["client version: 1.30.4", f"{ISTIO}0", "unknown", ""])
def test_another_version_of_istioctl_is_refused(version: str, folder: Path) -> None:
    with pytest.raises(TiltfileError, match=rf"^istioctl is {version}, .*install\.yaml asks for Istio {ISTIO}: "):
        run(ROOT, Machine(folder, istioctl=version))


def test_the_version_of_istio_is_read_from_its_file(project: Path, folder: Path) -> None:
    (project / "k8s").unlink()
    shutil.copytree(K8S, project / "k8s")
    install = project / "k8s" / "istio" / "install.yaml"
    install.write_text(install.read_text().replace(f"tag: {ISTIO}", "tag: 1.99.0"))

    with pytest.raises(TiltfileError, match=r"asks for Istio 1\.99\.0"):
        run(project, Machine(folder))
    assert run(project, Machine(folder, istioctl="client version: 1.99.0")).resources


def test_tilt_logs_no_secrets_and_sends_nothing_to_its_makers(declared: Declared) -> None:
    assert all(call["quiet"] and call["echo_off"] for call in declared.calls if call.function == "local")
    assert declared.only("analytics_settings")["enable"] is False
    assert declared.only("version_settings")["check_updates"] is False
