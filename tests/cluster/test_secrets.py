"""`python -m cluster.secrets` gives the passwords of the local cluster to no other one by mistake."""

import os
from pathlib import Path

import pytest

from cluster import secrets
from cluster.kubectl import LOCAL, ClusterError
from tests.cluster.test_commands import run


@pytest.mark.parametrize(
    ("argument", "current", "context", "other"),
    [
        ((), "echo cloud", "", "cloud"),
        ((), "echo cloud", LOCAL, "cloud"),
        ((), f"echo {LOCAL}", "cloud", "cloud"),
        (("--production",), f"echo {LOCAL}", "", "production"),
    ],
    ids=["kubectl's context", "although KUBE_CONTEXT is local", "KUBE_CONTEXT", "--production"],
)
def test_without_secrets_another_cluster_gets_nothing(
    argument: tuple[str, ...], current: str, context: str, other: str, tmp_path: Path
) -> None:
    done = run(
        *("cluster.secrets", *argument), kubectl=current, KUBE_CONTEXT=context, SECRETS="", programs=str(tmp_path)
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"secrets: SECRETS is not set, so {other} would get the passwords of the local cluster: "
        "`export SECRETS=.secrets/production`, or SECRETS=.secrets if you mean those\n"
    )


@pytest.mark.parametrize(
    ("kubectl", "folder"),
    [
        (f"test $1-$2 = config-current-context && echo {LOCAL}", ""),
        ("echo 'error: current-context is not set' >&2; exit 1", ""),
        ("", ""),
        ("echo cloud", ".secrets"),
    ],
    ids=["the local cluster", "no context", "no kubectl", "SECRETS is set"],
)
def test_others_get_what_they_ask_for(
    kubectl: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if kubectl:
        (tmp_path / "kubectl").write_text(f"#!/bin/sh\n{kubectl}\n")
        (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setattr(os, "environ", {"PATH": str(tmp_path), "SECRETS": folder})
    monkeypatch.setattr("sys.argv", ["secrets"])
    monkeypatch.setattr(secrets, "manifests", lambda **asked: asked)

    secrets.run()

    assert capsys.readouterr().out == '{\n "production": false\n}\n'


def test_production_is_the_only_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["secrets", "--without"])

    with pytest.raises(ClusterError, match=r"^--without is not valid: only --production is$"):
        secrets.run()
