"""The virtual environment of `make`: it has what is locked, whatever a person has configured."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from workbench import virtualenv
from workbench.machine.folders import ROOT

PACKAGE = "locked-package"
FOLDER = "locked_package"


class Project:
    """A copy of what `make dev` needs to create .venv, with one package to install, from a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.wheels = root / "wheels"

    def write(self) -> None:
        """Makes its files; a copy of a project has them."""
        root = self.root
        self.wheels.mkdir()
        wheel = self.wheels / f"{FOLDER}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            info = f"{FOLDER}-1.0.dist-info"
            archive.writestr(f"{FOLDER}/__init__.py", "")
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", f"{FOLDER}/__init__.py,,\n{info}/METADATA,,\n{info}/RECORD,,\n")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        digest = f"--hash=sha256:{digest}"
        locked = f"{PACKAGE}==1.0 \\\n    {digest}\nabsent==1 ; sys_platform == 'win32' {digest}\n"
        (root / "requirements").mkdir()
        for name in virtualenv.CONTAINS:
            (root / f"requirements/{name}.txt").write_text(f"# {name}\n{locked}")
        shutil.copytree(ROOT / "workbench", root / "workbench", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "Makefile", root)
        shutil.copy(ROOT / "pyproject.toml", root)

    @property
    def packages(self) -> Path:
        return next(self.root.glob(".venv/lib/python*/site-packages"))

    def empty(self) -> None:
        """Removes the package, and the record that it was installed."""
        for path in self.packages.glob(f"{FOLDER}*"):
            shutil.rmtree(path)
        (self.root / ".venv/installed").unlink(missing_ok=True)

    def make(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """`make environment-workbench`, as every make command begins, without any configuration of this machine."""
        left_out = ("PIP_", "PYTHON", "MAKE", "XDG_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        env |= {"HOME": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"} | variables
        command = ("make", "environment-workbench", f"PYTHON={sys.executable}")
        return subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, check=False)

    def fault(self) -> str:
        """What is wrong with .venv."""
        asks = "from workbench import virtualenv as v; print(v.fault(set(v.INSTALLED.read_text().split())))"
        command = (sys.executable, "-c", asks)
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """With a .venv whose Python was removed, so that it has to be created again."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.write()
    python = project.root / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/nonexistent/python")
    made = project.make(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(project.wheels))
    assert made.returncode == 0, made.stderr
    assert made.stdout == ""  # of other targets, a program takes it: $(make token)
    lines = made.stderr.splitlines()
    assert lines[0] == ".venv is created again: its Python was removed, or does not run any more"
    assert [line.split()[-1] for line in lines[1:]] == ["...", "s", "...", "s"]
    return project


def test_variables_that_send_packages_elsewhere(project: Project, tmp_path: Path) -> None:
    project.empty()
    elsewhere = dict.fromkeys(("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"), str(tmp_path / "elsewhere"))
    never = dict.fromkeys(("PIP_DRY_RUN", "PIP_USER", "PIP_REQUIRE_VIRTUALENV"), "1")
    python = dict.fromkeys(("PYTHONSAFEPATH", "PYTHONINSPECT"), "1") | {"PYTHONHOME": "/nonexistent"}
    made = project.make(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(project.wheels), **elsewhere, **never, **python)
    assert made.returncode == 0, made.stderr
    assert (project.packages / FOLDER).is_dir()
    assert not (tmp_path / "elsewhere").exists()


def test_a_configuration_that_sends_packages_elsewhere(project: Project, tmp_path: Path) -> None:
    project.empty()
    file = tmp_path / "pip.conf"
    elsewhere = f"target = {tmp_path / 'elsewhere'}\ndry-run = true\nuser = true\nquiet = 3\n"
    file.write_text(f"[global]\nno-index = true\n{elsewhere}[install]\nfind-links = {project.wheels}\n{elsewhere}")
    made = project.make(PIP_CONFIG_FILE=str(file))
    assert made.returncode == 0, made.stderr
    assert (project.packages / FOLDER).is_dir()
    assert not (tmp_path / "elsewhere").exists()


def folder_of_pip(root: Path) -> str:
    """Of the pip that the script runs: `pip 26.1 from FOLDER (python 3.11)`."""
    command = (root / ".venv/bin/pip", "--version")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(" from ")[1]


def test_a_project_that_was_copied_gets_its_own(project: Project, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project.root, copy, symlinks=True)
    made = Project(copy).make(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(project.wheels))
    assert f".venv is created again: it was made in {project.root}, and its scripts run the Python of" in made.stderr
    assert folder_of_pip(copy).startswith(f"{copy}/.venv/lib/")
    assert Project(copy).make().stderr == ""


def test_another_path_of_the_same_folder_is_no_copy(project: Project, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project.root, copy, ignore=shutil.ignore_patterns(".venv"))
    (copy / ".venv").symlink_to(project.root / ".venv")
    assert Project(copy).make().stderr == ""


@pytest.mark.parametrize("removed", [FOLDER, f"{FOLDER}*"])
def test_a_package_that_was_removed_is_noticed(project: Project, removed: str) -> None:
    assert project.fault() == "None"
    for path in project.packages.glob(removed):
        path.rename(project.root / path.name)
    try:
        assert project.fault() == f"files of {PACKAGE} are missing"
    finally:
        for path in project.root.glob(removed):
            path.rename(project.packages / path.name)
    assert project.fault() == "None"


def test_another_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its interpreter is a script, because the machine may have only one Python."""
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho 3.10\n")
    python.chmod(0o755)
    monkeypatch.setattr(virtualenv, "VENV", tmp_path)
    monkeypatch.setattr(virtualenv, "PYTHON", python)
    monkeypatch.delenv("PYTHON", raising=False)
    assert virtualenv.fault(set()) == "its Python is 3.10 now, and was another one when it was made"
    (tmp_path / "lib/python3.10/site-packages").mkdir(parents=True)
    assert virtualenv.fault(set()) is None
    monkeypatch.setenv("PYTHON", "python3")
    this = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert virtualenv.fault(set()) == f"PYTHON=python3 is Python {this}, and it has 3.10"


def test_packages_that_go_elsewhere_all_the_same_are_an_error(project: Project, tmp_path: Path) -> None:
    project.empty()
    sends = project.packages / "elsewhere.pth"  # not the module sitecustomize: Debian has one, which comes first
    sends.write_text(f"import os; os.environ['PIP_TARGET'] = {str(tmp_path / 'elsewhere')!r}\n")
    try:
        made = project.make(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(project.wheels))
    finally:
        sends.unlink()
    assert made.returncode != 0
    assert "pip installed requirements/workbench.txt, but not all of it is in .venv" in made.stderr
    assert not (project.root / ".venv/installed").exists()


def without_it() -> set[str]:
    """The modules that make runs with the Python of the machine."""
    named = re.findall(r"\$\(PYTHON\) -m (\S+)", (ROOT / "Makefile").read_text())
    either = re.findall(r"\$\(PYTHON\) -m \$\(call module_for,(\w+)\)", (ROOT / "Makefile").read_text())
    in_both = {f"{package}.{name}" for name in either for package in ("workbench", "cluster")}
    return {name for name in named if "." in name} | in_both


@pytest.mark.parametrize("module", sorted(without_it()))
def test_commands_that_do_without_it_need_only_the_standard_library(module: str) -> None:
    done = subprocess.run([sys.executable, "-S", "-c", f"import {module}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
