"""Compares the service with other stacks, and measures how long it takes to start: make bench ARGS=--help"""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.notes.speed import aims, report, startup, wrk
from bench.notes.speed.arena import opened
from bench.notes.speed.compare import Plan, compare
from bench.notes.speed.contenders import CONTENDERS, chosen
from workbench.console import Console
from workbench.errors import WorkbenchError


def main() -> int:
    arguments = parser().parse_args()
    try:
        found = asyncio.run(run(arguments))
    except (wrk.LoadFailed, WorkbenchError) as error:
        sys.stderr.write(f"make bench: {error}\n")
        return 1
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=2) + "\n")
    return 0


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    wrk.check()
    contenders = chosen(arguments.only.split(",")) if arguments.only else CONTENDERS
    plan = Plan(
        arguments.endpoints.split(","),
        arguments.via.split(","),
        arguments.rounds,
        arguments.seconds,
        arguments.connections,
        arguments.rows,
    )
    async with opened() as arena:
        starts = await startup.measure(arena, Console(sys.stderr)) if arguments.startup else None
        series, memory = await compare(arena, contenders, plan)
    about = report.machine(await wrk.version())
    reached = aims.aims(series, starts)
    sys.stdout.write(report.markdown(about, plan, contenders, series, memory) + "\n")
    if starts:
        sys.stdout.write(f"\n{startup.markdown(starts)}\n")
    sys.stdout.write(f"\n{aims.markdown(reached)}\n")
    found = report.document(about, plan, series, memory)
    return found | {"startup": asdict(starts) if starts else None, "aims": [asdict(aim) for aim in reached]}


def parser() -> argparse.ArgumentParser:
    plan = Plan()
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    names = ", ".join(contender.name for contender in CONTENDERS)
    parser.add_argument("--only", help=f"contenders, separated by commas; default: {names}")
    parser.add_argument(
        "--endpoints", default=",".join(plan.endpoints), help="separated by commas; default: %(default)s"
    )
    parser.add_argument("--via", default=",".join(plan.vias), help="separated by commas; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=plan.rounds, help="default: %(default)s")
    parser.add_argument(
        "--seconds", type=int, default=plan.seconds, help="seconds of load each time; default: %(default)s"
    )
    parser.add_argument("--connections", type=int, default=plan.connections, help="default: %(default)s")
    parser.add_argument("--rows", type=int, default=plan.rows, help="notes in the table; default: %(default)s")
    parser.add_argument(
        "--startup", action=argparse.BooleanOptionalAction, default=True, help="also measure how long starts take"
    )
    parser.add_argument("--json", metavar="FILE", help="also write all results to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
