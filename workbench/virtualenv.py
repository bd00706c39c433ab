"""python -m workbench.virtualenv (workbench|dev|all): creates or updates the virtual environment .venv.

It runs with the system's Python, so it needs only the standard library. Several may run at once: `make dev` and
`make test` in two terminals of a new clone install one after the other.
"""

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

from workbench.console import Console
from workbench.errors import StepFailed, WorkbenchError
from workbench.machine import packages, pip
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
        why = fault(installed)
        if why is not None:
            if why:
                console.say(f"{display_path(VENV)} is created again: {why}")
            version = ".".join(str(number) for number in sys.version_info[:3])
            with console.step("virtualenv", f"{display_path(VENV)}, Python {version}", slow=True):
                _create()
            installed = set()
        if not wanted <= installed:
            with console.step("virtualenv", f"requirements/{name}.txt", slow=True):
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


def fault(installed: Set[str]) -> str | None:
    """Why .venv has to be created: empty for a new one, None if it is good. It runs at each start, so it is quick."""
    if not PYTHON.is_symlink() and not PYTHON.exists():
        return ""
    asks = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = _output("-S", "-c", asks)
    if not version:
        return "its Python was removed, or does not run any more"
    folder = next(VENV.glob(f"lib/python{version}*/site-packages"), None)  # python3.13t without the lock of threads
    if folder is None:
        return f"its Python is {version} now, and was another one when it was made"
    if was := _former_folder():
        return f"it was made in {was}, and its scripts run the Python of that folder"
    this = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if "PYTHON" in os.environ and version != this:  # without it, what an earlier PYTHON= made stays
        return f"PYTHON={os.environ['PYTHON']} is Python {this}, and it has {version}"
    if not installed:  # was its creation interrupted?
        return None if _output("-m", "pip", "--version") else ""
    if folder.stat().st_mtime_ns > INSTALLED.stat().st_mtime_ns:
        files = [REQUIREMENTS / f"{name}.txt" for name in CONTAINS if _digest(name) in installed]
        damaged = _output(packages.__file__, *files).split()
        if damaged:
            return f"files of {', '.join(damaged[:3])}{' and others' * (len(damaged) > 3)} are missing"
        INSTALLED.touch()
    return None


def _former_folder() -> Path | None:
    """Where .venv was made, if the project was moved or copied since then."""
    config = VENV / "pyvenv.cfg"
    text = config.read_text() if config.exists() else ""
    made = re.search(r"^command = .*? -m venv (?:--\S+ )*(/.+)$", text, re.MULTILINE)
    was = Path(made[1]) if made else VENV
    return None if was.exists() and was.samefile(VENV) else was.parent


def _output(*arguments: str | Path) -> str:
    """What the Python of .venv prints; nothing if it cannot run."""
    try:
        return subprocess.run((PYTHON, "-I", *arguments), capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _create() -> None:
    try:
        venv.create(VENV, clear=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise StepFailed(
            f"cannot create {display_path(VENV)} ({error}): on Debian and Ubuntu, install python3-venv"
        ) from error


def _install(requirements: Path) -> None:
    locked = ("install", "--require-hashes", "--quiet", "--requirement", requirements)
    if pip.run(VENV, *locked, env=pip.environment(os.environ, VENV)) != 0:
        raise StepFailed(
            f"pip cannot install {display_path(requirements)}, see its error above: check the network, and that this "
            "is Linux with glibc 2.31 or macOS 15 on arm64, or later, since Envoy has no package for other systems"
        )
    # Without an index this succeeds only if nothing is left to install.
    if pip.run(VENV, *locked, "--dry-run", "--no-index", "--no-deps", env=pip.isolated(os.environ)) != 0:
        raise StepFailed(
            f"pip installed {display_path(requirements)}, but not all of it is in {display_path(VENV)}, see its error"
            " above: look for what sends packages to another folder, then run `make clean` and try again"
        )


if __name__ == "__main__":
    try:
        ensure(sys.argv[1], Console())
    except WorkbenchError as error:
        sys.exit(f"make: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
