"""python -m workbench.virtualenv (workbench|dev|all): creates or updates the virtual environment .venv.

It runs with the system's Python, so it needs only the standard library. Several may run at once: `make dev` and
`make test` in two terminals of a new clone install one after the other.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.console import Console
from workbench.errors import StepFailed, WorkbenchError
from workbench.machine.folders import ROOT, display_path

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements"
INSTALLED = VENV / "installed"  # the digests of the requirement files that were installed completely

# The files that each file includes. `make lock` gives all of them the same versions.
CONTAINS = {"workbench": ("workbench",), "dev": ("dev", "workbench"), "all": ("all", "dev", "workbench")}


def ensure(name: str, console: Console) -> None:
    """Installs requirements/`name`.txt if .venv does not have it. Raises StepFailed, which says what to do."""
    with _exclusive(console):
        wanted = {_digest(part) for part in CONTAINS[name]}
        installed = set(INSTALLED.read_text().split()) if INSTALLED.exists() else set()
        if not os.access(PYTHON, os.X_OK) or not (installed or _has_pip()):
            version = ".".join(str(number) for number in sys.version_info[:3])
            with console.step("virtualenv", f"{display_path(VENV)}, Python {version}"):
                _create()
            installed = set()
        if not wanted <= installed:
            with console.step("virtualenv", f"requirements/{name}.txt"):
                _install(REQUIREMENTS / f"{name}.txt")
            INSTALLED.write_text("\n".join(sorted(installed | wanted)) + "\n")


@contextmanager
def _exclusive(console: Console) -> Iterator[None]:
    descriptor = os.open(REQUIREMENTS, os.O_RDONLY)  # a lock on the folder leaves no file behind
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.say(f"waiting for another make that installs packages into {display_path(VENV)}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _digest(name: str) -> str:
    return hashlib.sha256((REQUIREMENTS / f"{name}.txt").read_bytes()).hexdigest()


def _has_pip() -> bool:
    """False if the creation of the virtual environment was interrupted."""
    return subprocess.run((PYTHON, "-m", "pip", "--version"), capture_output=True, check=False).returncode == 0


def _create() -> None:
    try:
        venv.create(VENV, clear=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise StepFailed(
            f"cannot create {display_path(VENV)} ({error}): on Debian and Ubuntu, install python3-venv"
        ) from error


def _install(requirements: Path) -> None:
    options = ("--require-hashes", "--quiet", "--no-input", "--disable-pip-version-check")
    if subprocess.run((PYTHON, "-m", "pip", "install", *options, "-r", requirements), check=False).returncode != 0:
        raise StepFailed(
            f"pip cannot install {display_path(requirements)}, see its error above: check the network, and that this "
            "is Linux with glibc 2.31 or macOS 15 on arm64, or later, since Envoy has no package for other systems"
        )


if __name__ == "__main__":
    try:
        ensure(sys.argv[1], Console())
    except WorkbenchError as error:
        sys.exit(f"make: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
