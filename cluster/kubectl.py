"""kubectl, in the one context that is meant: never whatever cluster happens to be the current one."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

CONTEXT = os.environ.get("KUBE_CONTEXT") or "k3d-slipway"
NAMESPACE = "slipway"

_TIMEOUT = "10s"  # of a request to the API server


class ClusterError(Exception):
    """str() says what failed and what to do."""


def kubectl(*arguments: str, namespace: str = NAMESPACE, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs it and returns what it printed. Raises ClusterError with its own words if it fails."""
    done = subprocess.run(command(*arguments, namespace=namespace), capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise ClusterError(f"kubectl {arguments[0]}: {done.stderr.strip() or f'exit status {done.returncode}'}")
    return done


def command(*arguments: str, namespace: str = NAMESPACE) -> list[str]:
    """The whole command line. Raises ClusterError if there is no kubectl."""
    if shutil.which("kubectl") is None:
        raise ClusterError("kubectl is not installed: `mise install` brings it")
    return ["kubectl", "--context", CONTEXT, "--namespace", namespace, *arguments]


def get(kind: str, *arguments: str, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
    """The objects of a kind."""
    asked = kubectl("get", kind, *arguments, "--output=json", f"--request-timeout={_TIMEOUT}", namespace=namespace)
    items: list[dict[str, Any]] = json.loads(asked.stdout)["items"]
    return items


def main(run: Callable[[], int], name: str) -> None:
    """Ends the process with run()'s exit status; an error is one line, and status 1."""
    try:
        sys.exit(run())
    except ClusterError as error:
        sys.exit(f"{name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
