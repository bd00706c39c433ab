"""The project's files that several tests of the cluster read."""

import tomllib
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
"""A Kubernetes object, as its YAML says it."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader of YAML that is written in C, ten times as fast as the one in Python, where there is one."""

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
INSTALL = K8S / "istio" / "install.yaml"
PRODUCTION = K8S / "overlays" / "production"
"""An overlay of which a team changes the names and the list of components: docs/production.md."""


def cluster_file() -> tuple[Object, Object]:
    """The registry and the cluster of ctlptl.yaml."""
    registry, cluster = yaml.safe_load_all((ROOT / "ctlptl.yaml").read_text())
    return registry, cluster


def istio_install() -> Object:
    """The spec of Istio's installation."""
    spec: Object = yaml.safe_load(INSTALL.read_text())["spec"]
    return spec


def tools() -> dict[str, str]:
    """The version of each tool that `mise install` installs."""
    found: dict[str, str] = tomllib.loads((ROOT / "mise.toml").read_text())["tools"]
    return found
