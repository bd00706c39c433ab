"""The comparison. In each round, each contender is loaded once at each endpoint, one after another."""

import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bench.notes.speed import wrk
from bench.notes.speed.arena import Arena, Runner
from bench.notes.speed.contenders import Contender
from bench.notes.speed.results import Sample, Series

_WARM_UP = 1  # s, before the first round: connections, caches, prepared statements


@dataclass(frozen=True)
class Plan:
    """What is measured, and for how long."""

    endpoints: Sequence[str] = ("note", "list", "create", "root")
    vias: Sequence[str] = ("direct", "envoy")
    rounds: int = 5
    seconds: int = 3
    connections: int = 16
    rows: int = 10_000


async def compare(arena: Arena, contenders: Sequence[Contender], plan: Plan) -> tuple[list[Series], dict[str, float]]:
    """Returns the samples of all contenders, and their memory after the load in MiB."""
    await arena.fill(plan.rows)
    series: dict[tuple[str, str, str], Series] = {}
    async with AsyncExitStack() as stack:
        runners = [await stack.enter_async_context(arena.running(contender)) for contender in contenders]
        for runner in runners:
            await wrk.run(runner.port, arena.load("note"), plan.connections, _WARM_UP)
        for number in range(1, plan.rounds + 1):
            sys.stderr.write(f"round {number} of {plan.rounds}\n")
            for endpoint in plan.endpoints:
                for via in plan.vias:
                    for runner in runners:
                        if runner.contender.notes_only and (endpoint, via) != ("note", "direct"):
                            continue
                        key = runner.contender.name, endpoint, via
                        sample = await measure(arena, runner, endpoint, via, plan)
                        series.setdefault(key, Series(*key)).samples.append(sample)
        memory = {runner.contender.name: runner.memory_mib for runner in runners}
    return list(series.values()), memory


async def measure(arena: Arena, runner: Runner, endpoint: str, via: str, plan: Plan) -> Sample:
    """Loads one runner. Raises LoadFailed with its name and the endpoint if a request fails."""
    port = runner.port if via == "direct" else runner.envoy_port
    before = runner.cpu_seconds
    try:
        run = await wrk.run(port, arena.load(endpoint), plan.connections, plan.seconds)
    except wrk.LoadFailed as error:
        raise wrk.LoadFailed(f"{runner.contender.name}, {endpoint}, {via}: {error}") from error
    cpu = runner.cpu_seconds - before
    return Sample(cpu / run.requests * 1e6, run.requests / run.seconds, run.p50_ms, run.p99_ms)
