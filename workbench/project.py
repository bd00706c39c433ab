"""The name of the project."""

import tomllib

from workbench.machine.folders import ROOT

NAME: str = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
"""In the cluster, the Deployment, its Service and their namespace have it too, and Prometheus as the `job`."""
