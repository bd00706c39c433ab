"""What `tilt up` would do: the Tiltfile, run without tilt."""

import shutil
from pathlib import Path

import pytest

from tests.k8s.kustomization import ROOT
from tests.k8s.tiltfile.declared import Declared
from tests.k8s.tiltfile.interpreter import run
from tests.k8s.tiltfile.machine import Machine


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the machine keeps its secrets: made once, so that they are the same each time."""
    return tmp_path_factory.mktemp("machine")


@pytest.fixture
def machine(folder: Path) -> Machine:
    return Machine(folder)


@pytest.fixture(scope="session")
def declared(folder: Path) -> Declared:
    """By `tilt up`. Tests do not change it."""
    return run(ROOT, Machine(folder), context="k3d-slipway")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the Tiltfile reads, to be broken."""
    copy = tmp_path / "project"
    copy.mkdir()
    for name in ("Tiltfile", "Dockerfile"):
        shutil.copy(ROOT / name, copy)
    for name in ("tilt", "k8s"):
        shutil.copytree(ROOT / name, copy / name)
    return copy
