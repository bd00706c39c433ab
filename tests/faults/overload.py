"""Twice the sustainable rate of requests to a workbench, with its memory and CPU."""

import asyncio
import json
import sys

from tests.faults.flood import Flood
from tests.faults.site import Site
from tests.probe.collection import Collection


async def overloaded(site: Site, seconds: float) -> tuple[str, list[str]]:
    """Returns a line with the figures, and what should not have happened."""
    before, busy_before = site.resident(), site.busy()
    flooding = asyncio.create_task(flood(site.url, site.collection, seconds))
    highest = before
    while not flooding.done():
        highest = max(highest, site.resident())
        await asyncio.sleep(0.2)
    result = await flooding
    busy = ", ".join(f"{part} {used - busy_before[part]:.0f}" for part, used in site.busy().items())
    grown = (highest - before) / 2**20
    return f"{describe(result, seconds)}; the replicas' memory grew by {grown:.0f} MiB; CPU s: {busy}", wrong(result)


async def flood(url: str, collection: Collection, seconds: float, rate: float = 0) -> Flood:
    """Runs flood.py in a separate process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.flood", url, str(collection)),
        *("--seconds", f"{seconds:g}", "--rate", f"{rate:g}"),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError("tests.faults.flood failed; its error is above")
    return Flood(**json.loads(output))


def describe(result: Flood, seconds: float) -> str:
    answers = ", ".join(f"{count:,}x {kind}" for kind, count in sorted(result.answers.items()))
    return (
        f"twice the sustainable {result.sustainable:.0f} requests a second for {seconds:g} s: "
        f"{result.goodput:.0f} a second answered ({result.goodput / result.sustainable:.0%}), {answers}; "
        f"2xx p50 {result.answered_p50 * 1000:.0f}, p99 {result.answered_p99 * 1000:.0f} ms; "
        f"503 p50 {result.refused_p50 * 1000:.0f}, p99 {result.refused_p99 * 1000:.0f} ms; "
        f"last failure {result.recovery * 1000:.0f} ms after its end; "
        f"{result.acknowledged:,} acknowledged, {len(result.lost)} lost, {len(result.duplicated)} done twice"
    )


def wrong(result: Flood) -> list[str]:
    """429 is the gateway's limit for a user, in a cluster that has users."""
    found = [f"overload, lost: {entry}" for entry in result.lost]
    found += [f"overload, done twice: {text}" for text in result.duplicated]
    unexpected = result.answers.keys() - {"2xx", "429", "503"}
    return found + [f"overload: {result.answers[kind]} answers should not be {kind}" for kind in sorted(unexpected)]
