"""`make cluster` checks what ctlptl and k3d need, and then lets ctlptl make the cluster.

Exit status: that of ctlptl, or 1 if something is missing or in the way.
"""

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from cluster.kubectl import NAME, ClusterError, main

FILE = Path(__file__).resolve().parent.parent / "ctlptl.yaml"
NODE, REGISTRY = f"k3d-{NAME}-server-0", f"{NAME}-registry"

_DOCKER_API = (1, 44)  # of Docker Engine 25, which ctlptl needs
_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
_ENOUGH_INSTANCES = 512  # k3s, Tilt and the supervisors of two replicas


def run() -> int:
    for program in ("ctlptl", "k3d", "kubectl"):
        if shutil.which(program) is None:
            raise ClusterError(f"{program} is not installed: `mise install` brings it")
    check_docker()
    if is_running(NODE, remedy=f"`k3d cluster start {NAME}`") is None:
        check_ports()
    is_running(REGISTRY, remedy=f"`docker start {REGISTRY}`")
    for line in warnings():
        sys.stderr.write(f"cluster: {line}\n")
    return subprocess.run(["ctlptl", "apply", "-f", FILE], check=False).returncode


def check_docker() -> None:
    """Raises ClusterError if Docker is missing, does not answer, is too old, or cannot build the image."""
    if shutil.which("docker") is None:
        raise ClusterError("docker is not installed: see https://docs.docker.com/engine/install/")
    asked = _docker("version", "--format", "{{.Server.APIVersion}}")
    if asked.returncode != 0:
        raise ClusterError(f"Docker does not answer: start it ({_last_line(asked.stderr)})")
    found = asked.stdout.strip()
    if tuple(map(int, found.split("."))) < _DOCKER_API:
        needed = ".".join(map(str, _DOCKER_API))
        raise ClusterError(
            f"Docker is too old: ctlptl needs API {needed} (Engine 25), this one has {found}: update it"
        )
    if _docker("buildx", "version").returncode != 0:
        raise ClusterError("the Dockerfile needs BuildKit: install Docker's plugin buildx (docker-buildx)")


def is_running(container: str, remedy: str) -> bool | None:
    """None if there is no such container. Raises ClusterError if it is stopped: ctlptl would replace it."""
    asked = _docker("container", "inspect", "--format", "{{.State.Status}}", container)
    if asked.returncode != 0:
        return None
    if (state := asked.stdout.strip()) != "running":
        raise ClusterError(
            f"{container} is {state}: {remedy} starts it as it was; `make destroy` removes the cluster with its data"
        )
    return True


def check_ports() -> None:
    """Raises ClusterError if a port of the cluster is in use."""
    for port in ports():
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise ClusterError(
                    f"port {port} of 127.0.0.1 cannot be used ({error.strerror}): "
                    "stop what uses it, perhaps `make dev`"
                ) from None


def ports() -> list[int]:
    """The ports that the file opens on this machine, without the registry's: its container may run already."""
    return [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+):\d+", FILE.read_text(encoding="utf-8"))]


def warnings() -> Iterator[str]:
    if _INSTANCES.exists() and (instances := int(_INSTANCES.read_text())) < _ENOUGH_INSTANCES:
        yield (
            f"fs.inotify.max_user_instances is {instances}, which may be too few for k3s and Tilt: "
            "`sudo sysctl fs.inotify.max_user_instances=1024` raises it until the next start"
        )


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1]


if __name__ == "__main__":
    main(run, "cluster")
