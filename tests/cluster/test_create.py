"""`make cluster` says what is missing or in the way before ctlptl begins. Docker and ctlptl are scripts here."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.create import FILE, NODE, REGISTRY, ports
from tests.k8s.project import cluster_file
from workbench.project import NAME

ROOT = Path(__file__).parents[2]
NO_CONTAINER = "echo no such container >&2; exit 1"


class Programs:
    """A folder with the programs that `make cluster` runs; each is a script."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.applied = folder / "applied"
        for name in ("k3d", "kubectl"):
            self.write(name, "exit 0")
        self.write("ctlptl", f'echo "$@" > {self.applied}')
        self.docker()

    def write(self, name: str, script: str) -> None:
        (self.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.folder / name).chmod(0o755)

    def docker(
        self, *, version: str = "echo 1.50", buildx: str = "exit 0", node: str = "", registry: str = ""
    ) -> None:
        cases = {
            "version*": version,
            "buildx*": buildx,
            f"*{NODE}": node or NO_CONTAINER,
            f"*{REGISTRY}": registry or NO_CONTAINER,
        }
        lines = "\n".join(f"{arguments}) {script} ;;" for arguments, script in cases.items())
        self.write("docker", f'case "$*" in\n{lines}\nesac')

    def create(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cluster.create"],
            cwd=ROOT,
            env={**os.environ, "PATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )

    def refused(self) -> str:
        """The one line with which nothing is applied."""
        done = self.create()
        assert done.returncode == 1, done
        assert not self.applied.exists()
        [line] = done.stderr.splitlines()
        return line


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


def test_a_running_cluster_is_applied_again(programs: Programs) -> None:
    programs.docker(node="echo running", registry="echo running")

    assert programs.create().returncode == 0
    assert programs.applied.read_text() == f"apply -f {FILE}\n"


def test_the_exit_status_is_that_of_ctlptl(programs: Programs) -> None:
    programs.docker(node="echo running")
    programs.write("ctlptl", "exit 3")

    assert programs.create().returncode == 3


@pytest.mark.parametrize("program", ["ctlptl", "k3d", "kubectl", "docker"])
def test_a_missing_program(programs: Programs, program: str) -> None:
    (programs.folder / program).unlink()

    assert programs.refused().startswith(f"cluster: {program} is not installed: ")


def test_docker_that_does_not_answer(programs: Programs) -> None:
    programs.docker(version="echo 'Cannot connect to the Docker daemon' >&2; exit 1")

    assert programs.refused() == "cluster: Docker does not answer: start it (Cannot connect to the Docker daemon)"


def test_docker_that_is_too_old(programs: Programs) -> None:
    programs.docker(version="echo 1.41")

    assert "ctlptl needs API 1.44 (Engine 25), this one has 1.41: update it" in programs.refused()


def test_docker_without_buildkit(programs: Programs) -> None:
    programs.docker(buildx="exit 1")

    assert "install Docker's plugin buildx" in programs.refused()


def test_a_stopped_cluster_is_not_replaced(programs: Programs) -> None:
    programs.docker(node="echo exited", registry="echo running")

    assert f"{NODE} is exited: `k3d cluster start {NAME}` starts it as it was" in programs.refused()


def test_a_stopped_registry_is_not_replaced(programs: Programs) -> None:
    programs.docker(node="echo running", registry="echo exited")

    assert f"{REGISTRY} is exited: `docker start {REGISTRY}` starts it as it was" in programs.refused()


def test_a_port_in_use(programs: Programs) -> None:
    try:
        taken = socket.create_server(("127.0.0.1", ports()[0]))
    except OSError:  # by something else, which is as good
        taken = socket.socket()
    with taken:
        assert f"port {ports()[0]} of 127.0.0.1 cannot be used (" in programs.refused()


def test_the_ports_and_names_are_those_of_the_file() -> None:
    registry, cluster = cluster_file()
    simple = cluster["k3d"]["v1alpha5Simple"]

    assert ports() == [int(entry["port"].split(":")[1]) for entry in simple["ports"]]
    assert registry["name"] == REGISTRY
    assert f"{cluster['name']}-server-0" == NODE
