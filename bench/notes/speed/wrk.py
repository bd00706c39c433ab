"""The load generator: wrk (the Debian package), a closed loop on a number of connections."""

import asyncio
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.notes.speed.contenders import LOAD_CORE

_SCRIPT = Path(__file__).with_name("requests.lua")


class LoadFailed(Exception):
    """wrk is missing, or requests failed."""


@dataclass(frozen=True, slots=True)
class Load:
    """`lines` is a file with one path on each line, or for POST one body on each line."""

    method: str
    lines: Path
    user: str = ""
    """For services that have users: who the gateway says that it is."""


@dataclass(frozen=True, slots=True)
class Run:
    """The result of one run of wrk."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float


def check() -> None:
    """Raises LoadFailed if a program is missing."""
    for program, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if shutil.which(program) is None:
            raise LoadFailed(f"{program} is missing: install it (Debian and Ubuntu: apt install {package})")


async def version() -> str:
    process = await asyncio.create_subprocess_exec("wrk", "-v", stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()  # wrk -v exits with status 1
    return output.decode().partition(" [")[0].strip() or "wrk"


async def run(port: int, load: Load, connections: int, seconds: int) -> Run:
    """Loads `port` for `seconds` seconds. Raises LoadFailed if a request failed."""
    process = await asyncio.create_subprocess_exec(
        *("taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"),
        *("-s", str(_SCRIPT), f"http://127.0.0.1:{port}", "--", load.method, str(load.lines)),
        *((load.user,) if load.user else ()),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    found = output.decode().partition("RESULT ")[2]
    if process.returncode != 0 or not found:
        raise LoadFailed(f"wrk failed: {output.decode().strip()}")
    result = json.loads(found)
    if failed := result.pop("failed"):
        raise LoadFailed(f"{failed} of {result['requests']} requests to port {port} failed")
    return Run(**result)
