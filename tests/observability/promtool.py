"""Prometheus's own checker. Debian's package `prometheus` brings it."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "k8s" / "observability" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yaml"))


def program(name: str) -> str:
    """Where it is. Without it nothing of this folder is known to be right, so the test fails."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"the tests of metrics and alerts need {name}: `apt install --no-install-recommends prometheus`")
    return path


def promtool(*arguments: str | Path) -> str:
    """What it says; a test that uses it fails if it finds anything."""
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said
