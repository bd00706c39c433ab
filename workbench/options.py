"""What can be chosen: the variables of `make dev`, and a git-ignored .env file with SERVICE_* settings."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import UsageError
from workbench.machine.folders import INGRESS_RULES, ROOT

MOST_REPLICAS = 9
TRACES = ("console", "otlp", "none")


@dataclass(frozen=True)
class StackOptions:
    """Port 0 is any free one. `settings` are SERVICE_* and OTEL_* variables, `postgres` are settings of PostgreSQL.

    `sources` is the project whose service runs: tests of what follows from edits give a copy. `prometheus` is the
    program, if one is to run; it scrapes every `scrape_interval` seconds.
    """

    data: Path
    ingress_port: int = 0
    api_port: int = 0
    ops_port: int = 0
    replicas: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    postgres: Mapping[str, str] = field(default_factory=dict)
    service: Sequence[str] = (sys.executable, "-m", "service")
    sources: Path = ROOT
    rules: Path = INGRESS_RULES
    prometheus: str | None = None
    prometheus_port: int = 0
    scrape_interval: float = 5


def from_environment(variables: Mapping[str, str], env_file: Path = ROOT / ".env") -> StackOptions:
    """The options of `make dev`. Raises UsageError with the name of the variable, or the line of the file."""
    chosen = {name: value for name, value in variables.items() if name.startswith(("SERVICE_", "OTEL_"))}
    if traces := variables.get("TRACES"):
        if traces not in TRACES:
            raise UsageError(f"TRACES={traces} is none of {', '.join(TRACES)}")
        chosen["OTEL_TRACES_EXPORTER"] = traces
    return StackOptions(
        data=data_folder(variables),
        ingress_port=_number(variables, "INGRESS_PORT", 8080, 65535),
        api_port=_number(variables, "API_PORT", 8000, 65535),
        ops_port=_number(variables, "OPS_PORT", 9000, 65535),
        replicas=_number(variables, "REPLICAS", 1, MOST_REPLICAS),
        settings=read_env_file(env_file) | chosen,
        service=(sys.executable, "-m", "workbench.reload"),
        prometheus=_prometheus(variables.get("PROMETHEUS") or ""),
        prometheus_port=_number(variables, "PROMETHEUS_PORT", 9095, 65535),
    )


def data_folder(variables: Mapping[str, str]) -> Path:
    return Path(variables.get("DATA") or ".workbench").expanduser().absolute()


def read_env_file(path: Path) -> dict[str, str]:
    """Lines of SERVICE_NAME=value, taken as they are: quotes belong to the value. # starts a comment line."""
    settings: dict[str, str] = {}
    if not path.exists():
        return settings
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.startswith("SERVICE_") or not name.isidentifier():
            raise UsageError(f"{path.name}, line {number}: expected SERVICE_NAME=value, found {line!r}")
        settings[name] = value.strip()
    return settings


def _prometheus(wanted: str) -> str | None:
    """The program: the one that is wanted, or the one on the PATH; None if there is none, or `no` is wanted."""
    if wanted == "no":
        return None
    found = shutil.which(wanted or "prometheus")
    if wanted and found is None:
        raise UsageError(f"PROMETHEUS={wanted} is not a program: name Prometheus's, or `no` to do without")
    return found


def _number(variables: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = variables.get(name) or str(default)
    least = 1 if name == "REPLICAS" else 0
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise UsageError(f"{name}={text} is not a number from {least} to {most}")
    return int(text)
