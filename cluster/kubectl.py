"""kubectl, always with the context of the local cluster, so that no command reaches another cluster by mistake."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
NAME: str = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["name"]
"""Of the Deployment, of its Service and of their namespace."""
LOCAL = f"k3d-{NAME}"
"""The context of the local cluster, which `make cluster` creates."""
CONTEXT = os.environ.get("KUBE_CONTEXT") or LOCAL
"""That of all commands of this package."""
NAMESPACE = NAME
REPLICAS = "--selector=app.kubernetes.io/component=service"
"""Selects the pods of the service."""

_TIMEOUT = "10s"  # of a request to the API server


class ClusterError(Exception):
    """str() says what failed, and what to do."""


def kubectl(
    *arguments: str, namespace: str = NAMESPACE, check: bool = True, sent: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs kubectl and returns its output. Raises ClusterError with kubectl's own message if it fails.

    What is `sent` to its standard input is no argument, which other processes of this machine could read.
    """
    line = command(*arguments, namespace=namespace)
    done = subprocess.run(line, input=sent, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        said = done.stderr.strip() or f"exit status {done.returncode}"
        raise ClusterError(f"kubectl {arguments[0]}: {said}{_remedy(said)}")
    return done


def command(*arguments: str, namespace: str = NAMESPACE) -> list[str]:
    """The whole command line. Raises ClusterError if kubectl is not installed."""
    if shutil.which("kubectl") is None:
        raise ClusterError("kubectl is not installed: `mise install` brings it")
    return ["kubectl", "--context", CONTEXT, "--namespace", namespace, *arguments]


def current_context() -> str:
    """The context that kubectl uses by default. Empty if there is none, or no kubectl. No cluster is asked."""
    if shutil.which("kubectl") is None:
        return ""
    line = ("kubectl", "config", "current-context")
    return subprocess.run(line, capture_output=True, text=True, check=False).stdout.strip()


def _remedy(said: str) -> str:
    """What to do about an error of kubectl that comes from the cluster as a whole."""
    if f'context "{CONTEXT}" does not exist' in said:
        return ": there is no cluster yet: `make cluster` creates it, or KUBE_CONTEXT= names another"
    if "connection refused" in said or "Unable to connect to the server" in said:
        return f": the cluster does not answer: start Docker, then `k3d cluster start {NAME}`"
    return ""


def get(kind: str, *arguments: str, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
    """The objects of a kind, as JSON. Raises ClusterError if kubectl fails."""
    asked = kubectl("get", kind, *arguments, "--output=json", f"--request-timeout={_TIMEOUT}", namespace=namespace)
    items: list[dict[str, Any]] = json.loads(asked.stdout)["items"]
    return items


def find(kind: str, name: str, namespace: str = NAMESPACE) -> dict[str, Any] | None:
    """One object, as JSON, or None if there is none. Raises ClusterError if kubectl fails."""
    arguments = (kind, name, "--ignore-not-found", "--output=json", f"--request-timeout={_TIMEOUT}")
    found: dict[str, Any] | None = json.loads(kubectl("get", *arguments, namespace=namespace).stdout or "null")
    return found


def apply(*items: Mapping[str, Any]) -> None:
    """Applies objects, each in the namespace that it names. Raises ClusterError if kubectl fails."""
    manifests = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    # Without --namespace, which would refuse objects of other namespaces.
    line = ["kubectl", "--context", CONTEXT, "apply", "--filename=-"]
    done = subprocess.run(line, input=manifests, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"kubectl apply: {done.stderr.strip()}")


def main(run: Callable[[], int], name: str) -> None:
    """Exits with the status that run() returns. A ClusterError is printed as one line, and the status is 1."""
    try:
        sys.exit(run())
    except ClusterError as error:
        sys.exit(f"{name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
