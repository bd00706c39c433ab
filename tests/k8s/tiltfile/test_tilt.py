"""Where Tilt is installed, it reads the same from the Tiltfile as the interpreter here."""

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.k8s.kustomization import without_hashes
from tests.k8s.objects import identity
from tests.k8s.project import INSTALL, ROOT, Object
from tests.k8s.tiltfile.api import Blob
from tests.k8s.tiltfile.interpreter import run
from tests.k8s.tiltfile.machine import Machine
from workbench.project import NAME

KUBECONFIG = f"""
{{apiVersion: v1, kind: Config, current-context: k3d-{NAME}, users: [{{name: nobody, user: {{}}}}],
 clusters: [{{name: nowhere, cluster: {{server: "https://127.0.0.1:1"}}}}],
 contexts: [{{name: k3d-{NAME}, context: {{cluster: nowhere, user: nobody}}}}]}}
"""


@pytest.mark.skipif(
    not all(map(shutil.which, ("tilt", "istioctl", "kubectl"))),
    reason="needs tilt, istioctl and kubectl: `mise install` installs them",
)
@pytest.mark.parametrize("flags", [{}, {"replicas": "3", "observability": False}])
def test_tilt_reads_the_same(flags: dict[str, Any], project: Path) -> None:
    for name in ("Dockerfile", "pyproject.toml", "requirements", "service", "workbench"):
        (project / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "cluster", project / "cluster")  # it makes the secrets beside itself
    (project / "kubeconfig").write_text(KUBECONFIG)
    private = {"KUBECONFIG": str(project / "kubeconfig"), "HOME": str(project), "DO_NOT_TRACK": "1"}

    def output(*command: str | Path) -> str:
        return subprocess.check_output(command, env=os.environ | private, text=True)

    arguments = [f"--{name}={value}".lower() for name, value in flags.items()]
    result = output("tilt", "alpha", "tiltfile-result", "--file", project / "Tiltfile", "--", *arguments)
    machine = Machine(project, istio=output("istioctl", "manifest", "generate", "-f", INSTALL))
    declared = run(project, machine, flags=flags, subcommand="alpha tiltfile-result")

    seen = {manifest["Name"]: manifest for manifest in json.loads(result)["Manifests"]}
    assert {name: set(one["ResourceDependencies"] or ()) for name, one in seen.items()} == declared.waits_for
    for name, resource in declared.resources.items():
        deployed = Blob(seen[name]["DeployTarget"].get("yaml", "")).objects
        assert set(seen[name]["Labels"]) == {resource["labels"]}, name
        assert summary(deployed) == summary(resource["objects"]), name


def summary(items: list[Object]) -> Counter[object]:
    """Without the hashes in names: kustomize makes others than the renderer here."""
    return Counter((identity(item), (item.get("spec") or {}).get("replicas")) for item in without_hashes(items))
