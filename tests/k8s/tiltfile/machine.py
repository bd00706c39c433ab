"""Stands in for the machine: it answers the commands that the Tiltfile runs."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster import secrets
from tests.k8s.kustomization import ROOT, Object
from tests.k8s.tiltfile.blob import Blob
from tests.k8s.tiltfile.project_files import INSTALL, ISTIO


def istio_manifests() -> str:
    """Like those of `istioctl manifest generate`, but few."""

    def item(group: str, kind: str, name: str, **fields: Any) -> Object:
        return {"apiVersion": group, "kind": kind, "metadata": {"name": name}, **fields}

    def namespaced(group: str, kind: str, name: str, **fields: Any) -> Object:
        made = item(group, kind, name, **fields)
        made["metadata"]["namespace"] = "istio-system"
        return made

    def workload(name: str) -> Iterator[Object]:
        template = {
            "metadata": {"labels": {"app": name, "istio": name}},
            "spec": {"containers": [{"name": name, "image": f"docker.io/istio/{name}:{ISTIO}"}]},
        }
        spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
        yield namespaced("apps/v1", "Deployment", name, spec=spec)
        yield namespaced("v1", "Service", name, spec={"selector": {"app": name}, "ports": [{"port": 80}]})
        yield namespaced("v1", "ServiceAccount", name)

    names = {"plural": "gateways", "kind": "Gateway"}
    definition = {"group": "networking.istio.io", "names": names, "scope": "Namespaced", "versions": []}
    rbac, admission = "rbac.authorization.k8s.io/v1", "admissionregistration.k8s.io/v1"
    return Blob.of(
        [
            item(
                "apiextensions.k8s.io/v1", "CustomResourceDefinition", "gateways.networking.istio.io", spec=definition
            ),
            item(rbac, "ClusterRole", "istio:reader", rules=[]),
            item(admission, "MutatingWebhookConfiguration", "istio-sidecar-injector", webhooks=[]),
            namespaced("v1", "ConfigMap", "istio", data={"mesh": "accessLogEncoding: JSON\n"}),
            *workload("istio-ingressgateway"),
            *workload("istiod"),
        ]
    ).text


@dataclass
class Machine:
    """Answers the commands that the Tiltfile runs while it is read. Any other one is an error."""

    folder: Path
    missing: tuple[str, ...] = ()
    istioctl: str = f"client version: {ISTIO}"
    istio: str = field(default_factory=istio_manifests)
    commands: list[list[str]] = field(default_factory=list)

    def __call__(self, command: list[str]) -> str:
        self.commands.append(command)
        match command:
            case ["sh", "-c", script, "sh", *tools] if "command -v" in script:
                return self._shell(script, tools)
            case ["istioctl", "manifest", "generate", "-f", file]:
                assert ROOT / file == INSTALL
                return self.istio
            case ["istioctl", "version", "--remote=false", "--short"]:
                return f"{self.istioctl}\n"
            case ["python3", "-m", "cluster.secrets"]:
                return json.dumps(secrets.manifests(self.folder / "secrets"))
        raise AssertionError(f"the Tiltfile runs {command}")

    def _shell(self, script: str, tools: list[str]) -> str:
        """With no other programs on the PATH than those of the tools that are not missing."""
        programs = self.folder / "-".join(("bin", *self.missing))
        programs.mkdir(exist_ok=True)
        for tool in set(tools) - set(self.missing):
            (programs / tool).touch(mode=0o755)
        shell = shutil.which("sh") or "/bin/sh"
        arguments = [shell, "-c", script, "sh", *tools]
        return subprocess.run(
            arguments, env={"PATH": str(programs)}, capture_output=True, text=True, check=True
        ).stdout
