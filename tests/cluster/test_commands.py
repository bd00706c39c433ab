"""The commands without a cluster: they print one line of error and exit with 1. kubectl is a script here."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.project import NAME
from workbench.reload import code
from workbench.reload.verdict import Verdict

ROOT = Path(__file__).parents[2]
COMMANDS = [
    ["cluster.status"],
    ["cluster.intruder"],
    ["cluster.leftovers"],
    ["cluster.live"],
    ["cluster.backups", "backup"],
    ["cluster.actions", "restart-replica"],
    ["cluster.archive", "restore"],
    ["cluster.switchover"],
    ["bench.cluster", "rollout"],
]


def run(*module: str, kubectl: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs python -m. The PATH contains only a kubectl with this script, or nothing."""
    path = Path(variables.pop("programs"))
    if kubectl:
        (path / "kubectl").write_text(f"#!/bin/sh\n{kubectl}\n")
        (path / "kubectl").chmod(0o755)
    environment = {**os.environ, **variables, "PATH": str(path)}
    return subprocess.run(
        [sys.executable, "-m", *module], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("module", COMMANDS, ids=" ".join)
def test_without_kubectl(module: list[str], tmp_path: Path) -> None:
    done = run(*module, programs=str(tmp_path))

    assert done.returncode == 1
    assert done.stderr.endswith(": kubectl is not installed: `mise install` brings it\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        (f'error: context "k3d-{NAME}" does not exist', "`make cluster` creates it, or KUBE_CONTEXT="),
        ("The connection was refused: dial tcp: connect: connection refused", f"`k3d cluster start {NAME}`"),
        ("Unable to connect to the server: EOF", f"`k3d cluster start {NAME}`"),
    ],
)
@pytest.mark.parametrize("module", COMMANDS, ids=" ".join)
def test_without_a_cluster(module: list[str], tmp_path: Path, said: str, remedy: str) -> None:
    done = run(*module, kubectl=f"echo '{said}' >&2; exit 1", programs=str(tmp_path))

    assert done.returncode == 1
    assert said in done.stderr
    assert remedy in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("target", "program"),
    [("down", "tilt"), ("destroy", "k3d"), ("test-cluster", "tilt"), ("image", "docker"), ("scan", "grype")],
)
def test_make_says_which_program_is_missing(target: str, program: str, tmp_path: Path) -> None:
    for name in ("make", "sh", "sed", "git"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}

    done = subprocess.run(
        ["make", target, "PYTHON=:", "VENV_PYTHON=:"],
        cwd=ROOT,
        env=environment | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert done.stderr.startswith(f"make {target}: {program} is not installed: ")


def test_kubectl_always_gets_the_context_of_the_local_cluster(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    run("cluster.status", kubectl=f'echo "$@" >>{asked}; echo \'{{"items": []}}\'', programs=str(tmp_path))
    lines = asked.read_text().splitlines()
    assert lines
    assert all(line.startswith(f"--context k3d-{NAME} --namespace ") for line in lines)


@pytest.mark.parametrize(
    ("context", "remedy"),
    [(f"k3d-{NAME}", "start it with `tilt up`"), ("cloud", "see docs/production.md, step 5")],
)
def test_status_of_an_empty_cluster(context: str, remedy: str, tmp_path: Path) -> None:
    empty = "echo '{\"items\": []}'"
    done = run("cluster.status", kubectl=empty, KUBE_CONTEXT=context, programs=str(tmp_path))
    assert done.returncode == 1
    assert f"nothing runs in {context}: {remedy}" in done.stdout


@pytest.mark.parametrize(
    ("context", "remedy"),
    [(f"k3d-{NAME}", "start it with `tilt up`"), ("cloud", "see docs/production.md, from step 2 on")],
)
def test_status_of_a_cluster_without_the_namespace(context: str, remedy: str, tmp_path: Path) -> None:
    """kubectl finds nothing in it, and no error."""
    nothing = "case $* in *'get namespace '*) ;; *) echo '{\"items\": []}' ;; esac"
    done = run("cluster.status", kubectl=nothing, KUBE_CONTEXT=context, programs=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, f"context {context}\n")
    assert done.stderr == f"status: there is no namespace {NAME} in {context}: {remedy}\n"


@pytest.mark.parametrize("said", ["echo '{\"items\": []}'", "exit 1"], ids=["empty", "does not answer"])
def test_status_says_first_of_which_cluster(said: str, tmp_path: Path) -> None:
    done = run("cluster.status", kubectl=said, KUBE_CONTEXT="cloud", programs=str(tmp_path))
    assert done.stdout.startswith("context cloud\n")


def test_status_names_the_pods_that_cannot_be_created(tmp_path: Path) -> None:
    """The answer is the same for each namespace."""
    refused = [
        {
            "kind": "StatefulSet",
            "metadata": {"name": "shop", "namespace": "shop", "uid": "a"},
            "spec": {"replicas": 1},
            "status": {"replicas": 0},
        },
        {
            "kind": "Event",
            "metadata": {"uid": "b"},
            "involvedObject": {"uid": "a"},
            "reason": "FailedCreate",
            "message": "exceeded quota",
        },
    ]
    answer, nothing = json.dumps({"items": refused}), json.dumps({"items": []})
    script = f"case $* in *statefulsets,events*) echo '{answer}' ;; *) echo '{nothing}' ;; esac"

    done = run("cluster.status", kubectl=script, programs=str(tmp_path))

    assert done.returncode == 1
    assert "nothing runs" not in done.stdout
    assert re.search(r"^not ok +statefulset +shop/shop +0 of 1 pods +exceeded quota$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", ["monday", "../monday.dump", "/etc/monday.dump"])
def test_an_invalid_name_of_a_dump(name: str, tmp_path: Path) -> None:
    done = run("cluster.backups", "restore", kubectl=f"touch {tmp_path}/asked", FILE=name, programs=str(tmp_path))
    assert done.returncode == 1
    assert "is not the name of a dump: use one that `make restore` lists" in done.stderr
    assert not (tmp_path / "asked").exists()


# Says which pods the Service `postgres` selects, and what else is asked for.
POSTGRES = 'case "$*" in *" get service postgres "*) echo \'{"spec": {"selector": {%s}}}\' ;; *) echo "$@" ;; esac'


def test_a_dump_is_restored_in_the_pod_of_postgresql(tmp_path: Path) -> None:
    one = POSTGRES % '"app.kubernetes.io/name": "postgres"'
    done = run("cluster.backups", "restore", kubectl=one, FILE="a.dump", programs=str(tmp_path))
    assert done.returncode == 0
    assert done.stdout.strip().endswith("exec postgres-0 --container=postgres -- bash /scripts/restore.sh a.dump")


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_cluster_of_cloudnativepg_has_no_dumps(command: str, tmp_path: Path) -> None:
    three = POSTGRES % '"cnpg.io/cluster": "postgres-2"'
    done = run("cluster.backups", command, kubectl=three, FILE="a.dump", programs=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "PostgreSQL is the Cluster postgres-2" in done.stderr
    assert "WHERE=production has its archive" in done.stderr


def test_an_empty_statement_is_refused(tmp_path: Path) -> None:
    done = run("cluster.actions", "sql", kubectl="exit 0", SQL="  ", programs=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "cluster: the variable SQL is empty: set it to a statement\n")


def test_a_statement_runs_as_the_services_role(tmp_path: Path) -> None:
    done = run("cluster.actions", "sql", kubectl='echo "$@"', SQL="SELECT 1", programs=str(tmp_path))
    assert " exec service/postgres --container=postgres -- " in done.stdout
    assert "PGOPTIONS=-c search_path=app -c role=app_rw psql " in done.stdout
    assert done.stdout.strip().endswith("--command=SELECT 1")


def test_the_code_of_all_pods_is_live(tmp_path: Path) -> None:
    pods = {"items": [{"metadata": {"name": name}} for name in ("one", "two")]}
    pods["items"].append({"metadata": {"name": "ends", "deletionTimestamp": "now"}})
    verdict = Verdict(code.version(code.read()), seconds=0.08).encode()
    script = f"""
        case "$*" in
            *"get pods"*) echo '{json.dumps(pods)}' ;;
            *"exec one"*|*"exec two"*) echo '{verdict}' ;;
            *) exit 1 ;;
        esac
    """

    done = run("cluster.live", "--json", "--within=10", kubectl=script, programs=str(tmp_path))

    assert json.loads(done.stdout)["replicas"] == {"one": 80.0, "two": 80.0}
    assert done.returncode == 0
