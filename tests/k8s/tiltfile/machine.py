"""Stands in for the developer's machine: it answers the commands that run while the Tiltfile is read."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cluster import secrets
from tests.k8s.project import INSTALL, ROOT, Object, istio_install

ISTIO = str(istio_install()["tag"])


def istio_objects() -> list[Object]:
    """One object of each sort that `istioctl manifest generate` prints, with the fields that the Tiltfile reads."""
    found: list[Object] = [
        {"kind": kind, "metadata": {"name": name}}
        for kind, name in (
            ("CustomResourceDefinition", "gateways.networking.istio.io"),
            ("ClusterRole", "istio:reader"),
        )
    ]
    for name in ("istio-ingressgateway", "istiod"):
        metadata = {"name": name, "namespace": "istio-system"}
        template = {"metadata": {"labels": {"app": name, "istio": name}}, "spec": {}}
        found.append({"kind": "Deployment", "metadata": metadata, "spec": {"template": template}})
        found.append({"kind": "Service", "metadata": metadata, "spec": {"selector": {"app": name}}})
        found.append({"kind": "ServiceAccount", "metadata": metadata})
    return [{"apiVersion": "v1", **item} for item in found]


@dataclass(frozen=True)
class Machine:
    """Takes a command and returns its output. A command that the Tiltfile has no reason to run is an error."""

    folder: Path  # for its secrets and programs
    missing: tuple[str, ...] = ()  # the tools that are not installed
    istioctl: str = f"client version: {ISTIO}"
    istio: str = json.dumps({"kind": "List", "items": istio_objects()})

    def __call__(self, command: list[str]) -> str:
        match command:
            case ["sh", "-c", script, "sh", *tools] if "command -v" in script:
                programs = self.folder / "-".join(("bin", *self.missing))
                programs.mkdir(exist_ok=True)
                for tool in set(tools) - set(self.missing):
                    (programs / tool).touch(mode=0o755)
                shell = [shutil.which("sh") or "/bin/sh", *command[1:]]
                return subprocess.run(
                    shell, env={"PATH": str(programs)}, stdout=subprocess.PIPE, text=True, check=True
                ).stdout
            case ["istioctl", "manifest", "generate", "-f", file] if ROOT / file == INSTALL:
                return self.istio
            case ["istioctl", "version", "--remote=false", "--short"]:
                return f"{self.istioctl}\n"
            case ["python3", "-m", "cluster.secrets"]:
                return json.dumps(secrets.manifests(self.folder / "secrets"))
        raise AssertionError(f"the Tiltfile runs {command}")
