"""Chromium, which the tests of pages drive: one of the machine, or Playwright's headless shell.

Playwright knows which shell belongs to its version, and keeps it in a cache that all projects of a user share.
"""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.errors import StepFailed, UsageError
from workbench.machine.folders import display_path
from workbench.programs import lookup

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""On the PATH. The tests take half of the time with a shell, which has no windows, no menus and no extensions."""

PACKAGE = "chromium-headless-shell"  # of Debian 12 and later
PLAYWRIGHT = (sys.executable, "-m", "playwright")
START_WITHIN = 60.0

_INSTALL = (*PLAYWRIGHT, "install", "--only-shell", "chromium")


def find() -> str | None:
    """The path of a Chromium that can be driven: of CHROMIUM, or else on the PATH, or else in Playwright's cache.

    Raises UsageError if CHROMIUM does not start.
    """
    return _browser() if _driver_problem() is None else None


def _browser() -> str | None:
    if path := lookup.named("CHROMIUM"):
        if problem := problem_of(path):
            raise UsageError(f"CHROMIUM={path} does not start: {problem}")
        if "chrom" not in _ask((path, "--version")).lower():
            raise UsageError(f"CHROMIUM={path} is no Chromium, as its --version says: use another one")
        return path
    candidates = [*map(shutil.which, NAMES), brought()]
    return next((path for path in candidates if path and not problem_of(path)), None)


def brought() -> str | None:
    """The path of Playwright's headless shell. It may lack libraries of the system."""
    folder = shell_folder()
    if not (folder / "INSTALLATION_COMPLETE").exists():
        return None
    return next(map(str, folder.glob("*/*headless*shell")), None)


def check() -> None:
    """Raises StepFailed if Playwright, or the shell that it has brought, does not start."""
    if problem := _driver_problem():
        raise StepFailed(f"{display_path(Path(_node()))} does not start: {problem}")
    if (path := brought()) and (problem := problem_of(path)):
        raise StepFailed(f"{path} does not start: {problem}")


def problem_of(path: str) -> str | None:
    """Why it does not start, such as a missing library. Ubuntu's chromium-browser can be a mere script."""
    try:
        done = subprocess.run(
            (path, "--version"), capture_output=True, text=True, check=False, timeout=START_WITHIN, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    text = " ".join((done.stderr or done.stdout).split()).removeprefix(f"{path}: ")
    return text[:200] or f"status {done.returncode}"


def addresses() -> Sequence[str]:
    """Where Playwright would fetch the shell from.

    Raises StepFailed if it has none for this system, or if it or the shell that it has brought does not start.
    """
    check()
    first = _ask((*_INSTALL, "--dry-run")).strip().split("\n\n")[0]  # the others are of ffmpeg
    found = re.findall(r"https?://\S+", first)
    if not found:
        raise StepFailed(f"Playwright has no Chromium for this system: {' '.join(first.split())[:200]}")
    return found


def packages() -> Sequence[str]:
    """The packages of Debian or Ubuntu: the libraries that the brought shell lacks, or else Chromium itself.

    For the libraries, `apt-get update` has to be done.
    """
    if _driver_problem():
        return ["libatomic1", *([] if _browser() else [PACKAGE])]
    listed = _ask((*PLAYWRIGHT, "install-deps", "chromium", "--dry-run")) if brought() else ""
    return re.findall(r"(?m)^ +([a-z0-9][a-z0-9+.-]+)$", listed) or [PACKAGE]


@contextmanager
def fetching() -> Iterator[Callable[[], None]]:
    """Starts Playwright's download. The function that it yields waits for the end, and raises StepFailed.

    What is not complete at the end is deleted.
    """
    with tempfile.TemporaryDirectory(prefix="chromium-") as temporary:
        output = Path(temporary) / "output"
        # In a session of its own, so that all its processes get the signal.
        with output.open("w") as file:
            process = subprocess.Popen(
                _INSTALL, stdout=file, stderr=file, start_new_session=True, env=_environment() | {"TMPDIR": temporary}
            )

        def finish() -> None:
            if process.wait() != 0:
                lines = [line.strip() for line in output.read_text(errors="replace").splitlines()]
                wrong = [line for line in lines if "rror" in line] or lines
                raise StepFailed(f"Playwright cannot fetch Chromium: {' '.join(wrong[:2])[:300]}")

        try:
            yield finish
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            made = shell_folder()
            if made.exists() and not (made / "INSTALLATION_COMPLETE").exists():
                shutil.rmtree(made, ignore_errors=True)


def _ask(command: Sequence[str]) -> str:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=_environment()
    )
    return done.stdout


def _environment() -> dict[str, str]:
    """Node.js reads another variable than OpenSSL does."""
    authorities = os.environ.get("SSL_CERT_FILE")
    return ({"NODE_EXTRA_CA_CERTS": authorities} if authorities else {}) | dict(os.environ)


def shell_folder() -> Path:
    """Where Playwright keeps the shell of its version."""
    listed = _driver() / "package" / "browsers.json"
    browsers = json.loads(listed.read_text(encoding="utf-8"))["browsers"]
    [revision] = [browser["revision"] for browser in browsers if browser["name"] == "chromium-headless-shell"]
    return _cache() / f"chromium_headless_shell-{revision}"


def _driver() -> Path:
    """The folder of Playwright's own programs."""
    package = importlib.util.find_spec("playwright")
    if package is None or package.origin is None:
        raise StepFailed("Playwright is not installed: run make test")
    return Path(package.origin).parent / "driver"


def _driver_problem() -> str | None:
    """Playwright brings a Node.js, which needs a library that a small Debian lacks."""
    return problem_of(_node())


def _node() -> str:
    return os.environ.get("PLAYWRIGHT_NODEJS_PATH") or str(_driver() / "node")


def _cache() -> Path:
    chosen = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    if chosen == "0":
        return _driver() / "package" / ".local-browsers"
    if chosen:
        return Path(chosen).absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "ms-playwright"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ms-playwright"
