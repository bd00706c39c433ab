"""promtool, the checker of Prometheus. Debian's package `prometheus` contains it."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "k8s" / "observability" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yaml"))


def program(name: str) -> str:
    """The path of a program of Prometheus. The test fails without it, because nothing here can be checked then."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"the tests of metrics and alerts need {name}: `apt install --no-install-recommends prometheus`")
    return path


def promtool(*arguments: str | Path) -> str:
    """The output of promtool. The test fails if promtool finds an error."""
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output
