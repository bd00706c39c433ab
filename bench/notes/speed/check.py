"""make bench-check: fails if the service uses more CPU time than before, relative to FastAPI in the same run.

Exits with status 1 if a ratio is more than 15 % above that of the baseline; ARGS=--update makes the results the new
baseline. A busy machine can cause a failure: repeat the run before you believe it.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping

from bench.notes.speed import wrk
from bench.notes.speed.arena import opened
from bench.notes.speed.compare import Plan, compare
from bench.notes.speed.contenders import ON_UVICORN, REFERENCE, SERVICE
from bench.notes.speed.results import find, share
from workbench.errors import WorkbenchError
from workbench.machine.folders import ROOT

BASELINE = ROOT / "bench" / "notes" / "measured" / "baseline.json"
_TOLERATED = 1.15
_PLAN = Plan(endpoints=("note", "list", "create", "root"), vias=("direct",), rounds=10, seconds=2)

Ratios = Mapping[str, Mapping[str, float]]


async def measured() -> dict[str, dict[str, float]]:
    """By contender and endpoint: the service's CPU time per request, divided by that of the reference."""
    wrk.check()
    async with opened() as arena:
        series, _ = await compare(arena, (SERVICE, ON_UVICORN, REFERENCE), _PLAN)
    found: dict[str, dict[str, float]] = {}
    for contender in (SERVICE, ON_UVICORN):
        for endpoint in _PLAN.endpoints:
            mine, other = (find(series, name, endpoint, "direct") for name in (contender.name, REFERENCE.name))
            if mine and other:
                found.setdefault(contender.name, {})[endpoint] = round(share(mine, other, "cpu_us"), 3)
    return found


def losses(now: Ratios, baseline: Ratios) -> list[str]:
    """One sentence for each ratio that is above what the baseline tolerates."""
    return [
        f"{contender}, {endpoint}: {value:.2f} of {REFERENCE.name}'s CPU per request, {before:.2f} in the baseline"
        for contender, endpoints in now.items()
        for endpoint, value in endpoints.items()
        if value > (before := baseline[contender][endpoint]) * _TOLERATED
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-check ARGS=...", description=__doc__)
    parser.add_argument("--update", action="store_true", help="make the results the new baseline")
    arguments = parser.parse_args()
    if not (arguments.update or BASELINE.exists()):
        sys.stderr.write("make bench-check: there is no baseline yet: ARGS=--update measures and writes one\n")
        return 2
    try:
        now = asyncio.run(measured())
    except (wrk.LoadFailed, WorkbenchError) as error:
        sys.stderr.write(f"make bench-check: {error}\n")
        return 1
    sys.stdout.write(json.dumps(now, indent=2) + "\n")
    if arguments.update:
        BASELINE.parent.mkdir(exist_ok=True)
        BASELINE.write_text(json.dumps(now, indent=2) + "\n")
        return 0
    lost = losses(now, json.loads(BASELINE.read_text()))
    sys.stderr.writelines(f"make bench-check: {loss}\n" for loss in lost)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
