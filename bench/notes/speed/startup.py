"""How long a start takes, from the command to the first answer, and how much memory an idle replica uses."""

import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.notes.speed.arena import Arena
from harness import usage
from harness.sandbox import Sandbox
from workbench.console import Console
from workbench.machine import ports
from workbench.machine.folders import ROOT
from workbench.parts.probe import until_ok
from workbench.parts.process import Part
from workbench.parts.replica import service_environment

_SERVICE_STARTS = 10
_MAKE_DEV_STARTS = 5
_WITHIN = 300.0
_PAUSE = 0.005  # s between two probes
_STOPS_WITHIN = 20.0


@dataclass(frozen=True, slots=True)
class Startup:
    """Seconds from the command to the first 200, one figure for each start; memory in MiB (PSS)."""

    service_s: Sequence[float]
    """`python -m service` on a migrated database, until /readyz answers 200."""
    service_cpu_s: Sequence[float]
    idle_mib: Sequence[float]
    """Memory of that process when it is ready."""
    warm_s: Sequence[float]
    """`make dev` with everything installed and an existing data folder, until / answers through the ingress."""
    cold_s: Sequence[float]
    """`make dev` in a copy of the sources, without .venv and data, but with pip's cache."""


async def measure(arena: Arena, console: Console) -> Startup:
    service = [await _service(arena, console) for _ in range(_SERVICE_STARTS)]
    with tempfile.TemporaryDirectory(prefix="start-") as folder:
        data = Path(folder) / "data"
        await _make_dev(ROOT, data, console)  # creates the data folder
        warm = [await _make_dev(ROOT, data, console) for _ in range(_MAKE_DEV_STARTS)]
        copy = Sandbox(Path(folder) / "copy", "Makefile", "requirements")
        cold = await _make_dev(copy.root, copy.root / ".workbench", console)
    seconds, cpu, memory = zip(*service, strict=True)
    return Startup(seconds, cpu, memory, warm, [cold])


def markdown(startup: Startup) -> str:
    """A table of medians and ranges."""
    rows = (
        ("`python -m service` to `/readyz`, s", startup.service_s),
        ("CPU s of that start", startup.service_cpu_s),
        ("an idle replica, MiB (PSS)", startup.idle_mib),
        ("`make dev`, warm, to `/` through the ingress, s", startup.warm_s),
        ("`make dev`, nothing installed, packages cached, s", startup.cold_s),
    )
    lines = ["| start | median | minimum | maximum | starts |", "|---|---|---|---|---|"]
    for what, values in rows:
        cells = (statistics.median(values), min(values), max(values))
        lines.append(f"| {what} | {' | '.join(f'{value:.2f}' for value in cells)} | {len(values)} |")
    return "\n".join(lines)


async def _service(arena: Arena, console: Console) -> tuple[float, float, float]:
    """Seconds until `python -m service` is ready, its CPU seconds until then, and its memory in MiB."""
    port, ops_port = ports.free(2)
    settings = {
        "SERVICE_API_BIND": f"127.0.0.1:{port}",
        "SERVICE_OPS_BIND": f"127.0.0.1:{ops_port}",
        "SERVICE_LOG_LEVEL": "warning",
    }
    begin = time.monotonic()
    env = service_environment(arena.postgres, settings)
    part = await Part.start("service", sys.executable, "-m", "service", console=console, env=env)
    try:
        await part.becomes_ready(until_ok(ops_port, "/readyz", _WITHIN, _PAUSE))
        return time.monotonic() - begin, usage.cpu_seconds(part.pid), usage.pss_mib(part.pid)
    finally:
        await part.kill()


async def _make_dev(sources: Path, data: Path, console: Console) -> float:
    """Seconds from `make dev` to the first 200 through its ingress."""
    [ingress_port] = ports.free(1)
    env = _shell() | {"DATA": str(data), "INGRESS_PORT": str(ingress_port), "PROMETHEUS": "no"}
    env |= {"API_PORT": "0", "OPS_PORT": "0"}
    begin = time.monotonic()
    part = await Part.start(
        "make dev", "/usr/bin/env", "make", "dev", console=console, env=env, cwd=sources, on_line=_quiet
    )
    try:
        await part.becomes_ready(until_ok(ingress_port, "/", _WITHIN, _PAUSE))
        return time.monotonic() - begin
    finally:
        await part.stop((signal.SIGTERM, _STOPS_WITHIN))  # make forwards it


def _shell() -> dict[str, str]:
    """The environment without the variables that the outer make has set."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "SERVICE_"))}


def _quiet(_line: str) -> bool:
    return False
