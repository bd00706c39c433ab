"""The Tiltfile as Tilt would read it, and a copy of it to break."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.k8s.project import K8S, ROOT
from tests.k8s.tiltfile.declared import Declared
from tests.k8s.tiltfile.interpreter import run
from tests.k8s.tiltfile.machine import Machine
from workbench.project import NAME

Run = Callable[..., Declared]  # tests.k8s.tiltfile.interpreter.run, of the project's Tiltfile on one machine


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the machine. One for all tests, as its secrets take a while to make."""
    return tmp_path_factory.mktemp("machine")


@pytest.fixture(scope="session")
def tilt(folder: Path) -> Run:
    return partial(run, ROOT, Machine(folder))


@pytest.fixture(scope="session")
def declared(tilt: Run) -> Declared:
    """What `tilt up` declares. Tests do not change it."""
    return tilt(context=f"k3d-{NAME}")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the Tiltfile, with the project's own manifests."""
    shutil.copytree(ROOT / "tilt", tmp_path / "tilt")
    shutil.copy(ROOT / "Tiltfile", tmp_path)
    (tmp_path / "k8s").symlink_to(K8S)
    return tmp_path
