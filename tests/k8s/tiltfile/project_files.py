"""The project's files beside the Tiltfile, which its tests read, or change in a copy."""

from pathlib import Path

import yaml

from tests.k8s.kustomization import ROOT, Object

INSTALL = ROOT / "k8s" / "istio" / "install.yaml"
ISTIO = str(yaml.safe_load(INSTALL.read_text())["spec"]["tag"])


def cluster_file() -> list[Object]:
    return list(yaml.safe_load_all((ROOT / "ctlptl.yaml").read_text()))


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
