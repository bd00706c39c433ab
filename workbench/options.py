"""The options of `make dev`: its variables, and those of .env."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from workbench.errors import UsageError
from workbench.ingress.rule_files import IngressRuleError, load
from workbench.machine import passwords
from workbench.machine.env_file import ENV_FILE, read_env_file
from workbench.machine.folders import (
    ALERTS,
    DEV_OVERLAY,
    IDENTITY,
    IDENTITY_PROVIDER,
    INGRESS_RULES,
    ROOT,
    data_folder,
)
from workbench.programs import prometheus

MAX_REPLICAS = 9
TRACES = ("console", "otlp", "none")
SERVICE = (sys.executable, "-m", "service")


@dataclass(frozen=True)
class StackOptions:
    """Port 0 means any free port. `settings` are SERVICE_* and OTEL_* variables, `postgres` settings of PostgreSQL.

    `service` is the command of a replica, and `sources` the folder it runs in: tests that edit files pass a copy of
    the project. `rules` and `alerts` are folders: the rules of the ingress and of Prometheus. Folders of kustomize's
    components add to the rules of the ingress. The workbench's identity provider runs if `provider` is the folder of
    its configuration, with the passwords in the folder `secrets`; otherwise one may listen on `identity_port`.
    `prometheus` is the path of the program, or None to run none; it scrapes every `scrape_interval` seconds. With
    `debug`, a debugger can attach to the first replica through `debug_port`. One more replica runs the files of the
    commit `stable`, if it is not empty, of the repository that `sources` is in. With `branch_databases`, each branch
    of that repository has a database of its own.
    """

    data: Path
    ingress_port: int = 0
    api_port: int = 0
    ops_port: int = 0
    replicas: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    postgres: Mapping[str, str] = field(default_factory=dict)
    service: Sequence[str] = SERVICE
    sources: Path = ROOT
    stable: str = ""
    branch_databases: bool = False
    rules: Path = INGRESS_RULES
    components: Sequence[Path] = ()
    provider: Path | None = None
    secrets: Path = passwords.LOCAL
    identity_port: int | None = None
    alerts: Path = ALERTS
    prometheus: str | None = None
    prometheus_port: int = 0
    scrape_interval: float = 5
    debug: bool = False
    debug_port: int = 0


def from_environment(variables: Mapping[str, str], env_file: Path = ENV_FILE) -> StackOptions:
    """The options of `make dev`. Raises UsageError, which names the variable, or the line of the file."""
    chosen = {name: value for name, value in variables.items() if name.startswith(("SERVICE_", "OTEL_"))}
    if traces := variables.get("TRACES"):
        if traces not in TRACES:
            raise UsageError(f"TRACES={traces} is not valid: use {', '.join(TRACES[:-1])} or {TRACES[-1]}")
        chosen["OTEL_TRACES_EXPORTER"] = traces
    stable, branch_databases = variables.get("STABLE") or "", _yes(variables, "BRANCH_DATABASES")
    if stable and branch_databases:
        raise UsageError(
            f"BRANCH_DATABASES=yes follows your checkout, and STABLE={stable} does not: leave out one of them"
        )
    options = StackOptions(
        data=data_folder(variables),
        ingress_port=_number(variables, "INGRESS_PORT", 8080, 65535),
        api_port=_number(variables, "API_PORT", 8000, 65535),
        ops_port=_number(variables, "OPS_PORT", 9000, 65535),
        replicas=_number(variables, "REPLICAS", 1, MAX_REPLICAS),
        settings=read_env_file(env_file) | chosen,
        service=(sys.executable, "-m", "workbench.reload"),
        stable=stable,
        branch_databases=branch_databases,
        prometheus=_prometheus(variables.get("PROMETHEUS") or ""),
        prometheus_port=_number(variables, "PROMETHEUS_PORT", 9095, 65535),
        debug=_yes(variables, "DEBUG"),
        debug_port=_number(variables, "DEBUG_PORT", 5678, 65535),
    )
    return with_users(options) if _yes(variables, "IDENTITY", users_by_default()) else options


def users_by_default(overlay: Path = DEV_OVERLAY) -> bool:
    """Whether `tilt up` has users, so that `make dev` has them too. Raises UsageError if it cannot be read."""
    try:
        kustomization = load(overlay / "kustomization.yaml")
    except IngressRuleError as error:
        raise UsageError(f"{error}: it says whether there are users") from error
    components = kustomization.get("components") if isinstance(kustomization, dict) else None
    return any((overlay / str(component)).resolve() == IDENTITY for component in components or [])


def with_users(options: StackOptions) -> StackOptions:
    """The same, but only users reach the API, and the workbench's provider signs them in."""
    return replace(
        options,
        settings={"SERVICE_IDENTITY": "gateway", **options.settings},
        components=(IDENTITY, IDENTITY_PROVIDER),
        provider=IDENTITY_PROVIDER,
    )


def _prometheus(wanted: str) -> str | None:
    """The path of the program that PROMETHEUS names, or else of the one that this machine has. None if there is none.

    `yes` means the same here: workbench/__main__.py has brought the program before.
    """
    if wanted == "no":
        return None
    if wanted in ("", "yes"):
        return prometheus.server()
    found = shutil.which(wanted)
    if found is None:
        raise UsageError(
            f"PROMETHEUS={wanted} is not a program: use a path, `yes` to fetch Prometheus, or `no` to run without it"
        )
    return found


def _yes(variables: Mapping[str, str], name: str, default: bool = False) -> bool:
    text = variables.get(name) or ("yes" if default else "no")
    if text not in {"yes", "no"}:
        raise UsageError(f"{name}={text} is neither yes nor no")
    return text == "yes"


def _number(variables: Mapping[str, str], name: str, default: int, maximum: int) -> int:
    text = variables.get(name) or str(default)
    minimum = 1 if name == "REPLICAS" else 0
    if not (text.isascii() and text.isdigit() and minimum <= int(text) <= maximum):
        raise UsageError(f"{name}={text} is not a number from {minimum} to {maximum}")
    return int(text)
