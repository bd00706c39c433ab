"""promtool, the checker of Prometheus, and the files that it checks."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "k8s" / "observability" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yaml"))


@dataclass(frozen=True)
class Promtool:
    path: str

    def __call__(self, *arguments: str | Path) -> str:
        """The output. The test fails if promtool finds an error."""
        done = subprocess.run([self.path, *arguments], capture_output=True, text=True, check=False)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        return output
