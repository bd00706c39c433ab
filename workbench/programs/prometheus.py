"""Prometheus and its checker, promtool. The archive of a release contains both."""

import os
import platform
import shutil
from collections.abc import Mapping
from typing import NamedTuple

from workbench.errors import StepFailed
from workbench.machine.folders import ROOT
from workbench.programs import archive, lookup

VERSION = "3.13.2"  # as in the cluster; the project publishes the digests as sha256sums.txt beside the archives
SHA256 = {
    "linux-amd64": "0e8c4d46101bd025ea8265e377d2caabc57f488fc1be1c367f37db69ea41be6f",
    "linux-arm64": "7cecb17a6f41d59814e1a0581a1f81f79051ad5973d1ecf39e23a9f747d6572a",
    "darwin-amd64": "e57095aed0b69e10edaee28b92718d4a65f46d466bf93aeda54075e901d15c2a",
    "darwin-arm64": "f68ca4f1dbedd6366bbfdd8ac5d2c0b7ba1f273474acc8d38eb33202fbeec7a4",
}
RELEASES = "https://github.com/prometheus/prometheus/releases/download"
BROUGHT = ROOT / ".venv" / "prometheus"

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class Programs(NamedTuple):
    """Paths."""

    prometheus: str
    promtool: str


def find() -> Programs | None:
    """Those that PROMETHEUS and PROMTOOL name, or else both on the PATH, or else both that an earlier run brought.

    Raises UsageError for an invalid variable. `yes` and `no` are words for `make dev`, and name no program.
    """
    named = _named()
    for source in (_on_path(), _brought()):
        programs = {**source, **named}
        if len(programs) == len(Programs._fields):
            return Programs(**programs)
    return None


def server() -> str | None:
    """The path of Prometheus alone, for those who do not need promtool."""
    return next((each["prometheus"] for each in (_on_path(), _brought()) if "prometheus" in each), None)


def address() -> str:
    """The archive for this machine, of PROMETHEUS_MIRROR if that is set. Raises StepFailed if there is none."""
    system = _system()
    if system not in SHA256:
        raise StepFailed(f"there is no Prometheus for {system}, only for {', '.join(SHA256)}")
    releases = os.environ.get("PROMETHEUS_MIRROR") or RELEASES
    return f"{releases.rstrip('/')}/v{VERSION}/{_name()}.tar.gz"


def fetch() -> None:
    """Installs the archive. Raises StepFailed."""
    members = [f"{_name()}/{program}" for program in Programs._fields]
    archive.install(address(), SHA256[_system()], members, BROUGHT / VERSION)


def _named() -> Mapping[str, str]:
    if os.environ.get("PROMETHEUS") in ("yes", "no"):
        variables = {"promtool": "PROMTOOL"}
    else:
        variables = {"prometheus": "PROMETHEUS", "promtool": "PROMTOOL"}
    found = {program: lookup.named(variable) for program, variable in variables.items()}
    return {program: path for program, path in found.items() if path}


def _on_path() -> Mapping[str, str]:
    return {program: path for program in Programs._fields if (path := shutil.which(program))}


def _brought() -> Mapping[str, str]:
    folder = BROUGHT / VERSION
    return {program: str(folder / program) for program in Programs._fields} if folder.exists() else {}


def _system() -> str:
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{_ARCHITECTURES.get(machine, machine)}"


def _name() -> str:
    return f"prometheus-{VERSION}.{_system()}"
