"""Where tilt is, it has to see the same."""

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.k8s.kustomization import ROOT, Object
from tests.k8s.tiltfile.blob import Blob
from tests.k8s.tiltfile.declared import identity
from tests.k8s.tiltfile.interpreter import run
from tests.k8s.tiltfile.machine import Machine
from tests.k8s.tiltfile.project_files import INSTALL


@pytest.mark.skipif(
    not all(map(shutil.which, ("tilt", "istioctl", "kubectl"))),
    reason="needs tilt, istioctl and kubectl: `mise install` brings them",
)
@pytest.mark.parametrize("arguments", [[], ["--replicas=3", "--observability=false"]])
def test_tilt_sees_the_same(arguments: list[str], tmp_path: Path, project: Path) -> None:
    shutil.copytree(ROOT / "cluster", project / "cluster")  # it makes its secrets beside itself
    for name in ("requirements", "service", "workbench"):
        (project / name).symlink_to(ROOT / name)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "k3d-slipway",
                "clusters": [{"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}}],
                "users": [{"name": "nobody", "user": {}}],
                "contexts": [{"name": "k3d-slipway", "context": {"cluster": "nowhere", "user": "nobody"}}],
            }
        )
    )
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path), "DO_NOT_TRACK": "1"}
    separator = ["--"] if arguments else []
    done = subprocess.run(
        ["tilt", "alpha", "tiltfile-result", "--file", project / "Tiltfile", *separator, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = {manifest["Name"]: manifest for manifest in json.loads(done.stdout)["Manifests"]}

    generate = ["istioctl", "manifest", "generate", "-f", str(INSTALL)]
    istio = subprocess.run(generate, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout
    machine = Machine(tmp_path, istio=istio)
    declared = run(project, machine, subcommand="alpha tiltfile-result", arguments=arguments)
    assert {name: set(manifest["ResourceDependencies"] or ()) for name, manifest in seen.items()} == declared.graph
    assert {name: set(manifest["Labels"]) for name, manifest in seen.items()} == {
        name: resource.labels for name, resource in declared.resources.items()
    }
    for name, resource in declared.resources.items():
        assert Counter(map(identity, deployed(seen[name]))) == Counter(map(identity, resource.objects)), name
        assert replicas(deployed(seen[name])) == replicas(resource.objects), name


def deployed(manifest: dict[str, Any]) -> list[Object]:
    target = manifest["DeployTarget"]
    return Blob(target.get("yaml", "")).objects


def replicas(items: list[Object]) -> dict[str, int]:
    return {
        item["metadata"]["name"]: item["spec"]["replicas"] for item in items if "replicas" in item.get("spec", {})
    }
