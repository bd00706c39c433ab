"""Where Prometheus is looked for, and which archive is fetched."""

import platform
import re
from pathlib import Path

import pytest

from tests.workbench.programs.archives import write_archive
from tests.workbench.programs.conftest import program
from workbench.errors import StepFailed, UsageError
from workbench.machine.folders import ROOT
from workbench.programs import prometheus


def test_the_version_is_the_one_of_the_cluster() -> None:
    """After an update there, put the four digests of the new release into workbench/programs/prometheus.py."""
    manifest = (ROOT / "k8s" / "observability" / "prometheus" / "statefulset.yaml").read_text()
    [pinned] = re.findall(r"prom/prometheus:v([\d.]+)", manifest)
    assert pinned == prometheus.VERSION


def test_both_have_to_be_on_the_path(bare: Path) -> None:
    assert prometheus.find() is None
    server = program(bare / "prometheus")
    assert prometheus.find() is None
    assert prometheus.server() == str(server)
    checker = program(bare / "promtool")
    assert prometheus.find() == (str(server), str(checker))


def test_variables_name_them(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bare / "prometheus")
    checker = program(bare / "promtool")
    server = program(tmp_path / "mine")
    monkeypatch.setenv("PROMETHEUS", str(server))
    assert prometheus.find() == (str(server), str(checker))
    monkeypatch.setenv("PROMTOOL", "/nowhere")
    with pytest.raises(UsageError, match=r"^PROMTOOL=/nowhere is not a program: "):
        prometheus.find()


@pytest.mark.parametrize("word", ["yes", "no", ""])
def test_words_of_make_dev_name_nothing(bare: Path, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS", word)
    server, checker = program(bare / "prometheus"), program(bare / "promtool")
    assert prometheus.find() == (str(server), str(checker))


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("Linux", "x86_64", "linux-amd64"),
        ("Linux", "aarch64", "linux-arm64"),
        ("Darwin", "x86_64", "darwin-amd64"),
        ("Darwin", "arm64", "darwin-arm64"),
    ],
)
def test_each_machine_has_its_archive(system: str, machine: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setenv("PROMETHEUS_MIRROR", "https://mirror.example/prometheus/")
    version = prometheus.VERSION
    assert prometheus.address() == (
        f"https://mirror.example/prometheus/v{version}/prometheus-{version}.{name}.tar.gz"
    )


def test_another_machine_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(StepFailed, match=r"^there is no Prometheus for \w+-riscv64, only for linux-amd64, "):
        prometheus.address()


def publish(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts an archive where Prometheus's would be, with two programs that print their name."""
    path = prometheus.address().removeprefix("http://127.0.0.1:9/")
    inside = Path(path).name.removesuffix(".tar.gz")
    members = {f"{inside}/{name}": f"#!/bin/sh\necho {name}\n" for name in ("prometheus", "promtool")}
    digest = write_archive(files / path, members)
    monkeypatch.setattr(prometheus, "SHA256", dict.fromkeys(prometheus.SHA256, digest))
