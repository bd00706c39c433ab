"""Debian's packages, for root on Debian and its relatives."""

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import StepFailed

ANSWER_WITHIN = 6.0
"""Until the first answer: apt-get itself waits for each of its sources, one after the other."""

_OPTIONS = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=5", "-o", "Acquire::https::Timeout=5")
_INSTALL = ("apt-get", "install", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=60", *_OPTIONS)
_POLICY = Path("/usr/sbin/policy-rc.d")
_NO_SERVICE = "#!/bin/sh\nexit 101\n"


def is_possible() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def update() -> None:
    """Raises StepFailed if no source of packages answers."""
    lines: list[str] = []
    with subprocess.Popen(
        ("apt-get", "update", *_OPTIONS),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=_quiet(),
        start_new_session=True,  # so that the processes that apt-get starts can be killed with it
    ) as process:
        waiting = threading.Timer(ANSWER_WITHIN, os.killpg, (process.pid, signal.SIGKILL))
        waiting.start()
        try:
            for line in process.stdout or ():
                lines.append(line.strip())
                if _is_answer(line):
                    waiting.cancel()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            waiting.cancel()
    if not any(map(_is_answer, lines)):
        wrong = [line for prefix in ("E:", "W:", "Err:") for line in lines if line.startswith(prefix)]
        raise StepFailed(f"apt-get update: {wrong[0] if wrong else f'no answer within {ANSWER_WITHIN:.0f} s'}")


def size(packages: Sequence[str]) -> int:
    """The bytes that an installation would fetch. Raises StepFailed if there is no such package."""
    files = _run((*_INSTALL, "--print-uris", *packages))
    return sum(map(int, re.findall(r"(?m)^'\S+' \S+ (\d+)", files)))


def install(packages: Sequence[str]) -> None:
    """Starts no service, now or when the machine starts. Raises StepFailed."""
    _run((*_INSTALL, "--download-only", "--yes", *packages))
    with _no_services():
        _run((*_INSTALL, "--yes", *packages), whole=True)
        services = [name for name in packages if name.startswith("prometheus")]
        if services and shutil.which("systemctl"):
            _run(("systemctl", "disable", *services), whole=True)


@contextmanager
def _no_services() -> Iterator[None]:
    """The scripts of packages ask this file before they start a service, see invoke-rc.d(8)."""
    if _POLICY.exists():
        yield
        return
    try:
        _POLICY.write_text(_NO_SERVICE)
        _POLICY.chmod(0o755)
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def _run(command: Sequence[str], *, whole: bool = False) -> str:
    """The output. A command that has to run as a whole gets no Ctrl-C, and ends before this one does."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=_quiet(),
        start_new_session=whole,
    ) as process:
        try:
            output, errors = process.communicate()
        except BaseException:
            if whole:
                process.communicate()
            else:
                process.kill()
            raise
    if process.returncode != 0:
        lines = [line.strip() for line in (errors or output).splitlines() if line.strip()]
        raise StepFailed(f"{command[0]}: {lines[-1] if lines else f'status {process.returncode}'}")
    return output


def _is_answer(line: str) -> bool:
    return line.startswith(("Get:", "Hit:"))


def _quiet() -> dict[str, str]:
    return {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
