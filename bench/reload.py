"""Compares live reload with three other reloaders, under load through the ingress: make bench-reload ARGS=--help

For each edit it measures the time from the save to the first answer of the new code; for each subject the failed
requests and the longest gap between two answers. The subjects run one after another on this machine and use the same
database.
"""

import argparse
import asyncio
import json
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version as installed
from itertools import pairwise
from pathlib import Path

import httpx

from bench.operations import request_each
from bench.subjects import PEERS, Subject, behind_envoy
from bench.target import CannotCreate, Target, find_target
from harness.breakages import BREAKAGES, DEFECTS
from harness.sandbox import Sandbox
from harness.sign_in import to_stack
from harness.steady_load import Load, loaded
from workbench.console import Console
from workbench.options import StackOptions, from_environment
from workbench.stack import Stack

ANSWERS_WITHIN = 30.0
SETTLE = 0.5  # s between an answer of the new code and the next edit


say = partial(print, flush=True)


@dataclass
class Result:
    name: str
    rate: float
    milliseconds: list[float] = field(default_factory=list)
    """From each save to the first answer of the new code."""
    stages: dict[str, list[float]] = field(default_factory=dict)
    """The stages of these times, in milliseconds; empty for subjects that do not report them."""
    requests: int = 0
    failed: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    """The number of failures, by answer."""
    outdated: int = 0
    """Answers of an old version to requests that started after a newer version had answered."""
    lost: int = 0
    """Acknowledged writes that are missing."""
    max_gap: float = 0.0
    """Milliseconds between two successful answers."""
    never: int = 0
    """Edits whose code never answered."""

    def add(self, load: Load, versions: list[str]) -> None:
        ends = sorted(answer.ended for answer in load.answers if not answer.failed)
        self.requests, self.failed, self.failures = len(load.answers), len(load.failures), reasons(load)
        self.outdated = len(load.outdated(versions))
        self.max_gap = max((later - earlier for earlier, later in pairwise(ends)), default=0.0) * 1000

    def percentile(self, share: float) -> float:
        ordered = sorted(self.milliseconds)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")

    def row(self) -> str:
        times = " | ".join(
            f"{value:,.0f}" for value in (self.percentile(0.5), self.percentile(0.95), self.percentile(1))
        )
        answered = f"{len(self.milliseconds)}" + (f" ({self.never} never answered)" if self.never else "")
        return f"| {self.name} | {answered} | {times} | {self.failed} of {self.requests:,} | {self.max_gap:,.0f} |"


async def main(arguments: argparse.Namespace) -> None:
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name, (Path(name) / "log").open("w") as log:
        folder, console = Path(name), Console(log)
        sources = Sandbox(folder / "sources", "bench")
        # With users or without, and with the settings of `make dev`, such as SERVICE_REHEARSAL_BUDGET=0.
        of_dev = from_environment(os.environ)
        options = StackOptions(
            data=folder / "data",
            sources=sources.root,
            service=(sys.executable, "-m", "workbench.reload"),
            settings={"SERVICE_LOG_LEVEL": "warning", **of_dev.settings},
            components=of_dev.components,
            provider=of_dev.provider,
            secrets=folder / "secrets",
        )
        async with Stack(options, console) as stack:
            user = to_stack(stack)
            target = await find_target(stack.ingress_url, user)
            if target.why_only_reads:
                say(target.why_only_reads)
            operations = await request_each(stack.ingress_url, user)
            say(f"new code is rehearsed with {operations} operations, and with the load")
            ours = Subject("make dev", (), ops_port=stack.replicas[0].ops_port)
            load = target.load(stack.envoy.port, arguments.rate, keys=False)
            result = await edits(ours, load, sources, arguments.edits)
            result.lost = len(await target.lost(stack.ingress_url, load))
            results.append(result)
            for kind, those in (("cannot start", BREAKAGES), ("start and raise", DEFECTS)):
                if chosen := those[: arguments.breakages]:
                    load = target.load(stack.envoy.port, arguments.rate, keys=False)
                    say(f"{len(chosen)} edits that {kind}: {await breakages(load, sources, chosen)}")
            await stack.replicas[0].stop()
            for peer in PEERS if arguments.peer_edits else ():
                async with behind_envoy(peer, stack, sources, folder, console) as port:
                    load = target.load(port, arguments.rate, keys=False)
                    results.append(await edits(peer, load, sources, arguments.peer_edits))
    report(results, target, arguments)


async def edits(subject: Subject, load: Load, sources: Sandbox, count: int) -> Result:
    """Edits a file `count` times under load."""
    result = Result(subject.name, load.rate)
    versions = [subject.version(sources)]
    async with loaded(load), httpx.AsyncClient() as client:
        await load.more(int(load.rate))
        for number in range(count):
            begin, saved = len(load.answers), time.time()
            sources.append(subject.path, f"\n# edit {number}\n")
            versions.append(subject.version(sources))
            try:
                answer = await load.first(versions[-1], since=begin, within=ANSWERS_WITHIN)
                result.milliseconds.append((answer.ended - saved) * 1000)
            except TimeoutError:
                result.never += 1
            await asyncio.sleep(SETTLE)
            if subject.ops_port:
                await _add_stages(result, client, subject.ops_port)
    result.add(load, versions)
    return result


def reasons(load: Load) -> dict[str, int]:
    """Counts the failed requests by their answers."""
    return dict(Counter(f"{answer.method} {answer.status} {_detail(answer.body)}" for answer in load.failures))


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:100]


async def _add_stages(result: Result, client: httpx.AsyncClient, ops_port: int) -> None:
    metrics = (await client.get(f"http://127.0.0.1:{ops_port}/metrics")).text
    for stage, seconds in re.findall(r'^reload_last_stage_seconds\{stage="(.*)"\} (\S+)$', metrics, re.MULTILINE):
        result.stages.setdefault(stage, []).append(float(seconds) * 1000)


async def breakages(load: Load, sources: Sandbox, chosen: list[tuple[str, str, str]]) -> str:
    """Saves code that cannot serve, then repairs it. The old version has to answer until then."""
    versions, broken, repaired = [sources.version], [], 0
    async with loaded(load):
        for number, (_, path, code) in enumerate(chosen):
            good = sources.read(path)
            sources.append(path, code)
            broken.append(sources.version)
            await load.more(int(load.rate))
            sources.write(path, good + f"\n# repaired {number}\n")
            versions.append(sources.version)
            with suppress(TimeoutError):
                await load.first(versions[-1], within=ANSWERS_WITHIN)
                repaired += 1
    answered = len({answer.version for answer in load.answers} & set(broken))
    return (
        f"at {load.rate:g} requests/s, "
        f"{len(load.failures)} of {len(load.answers):,} requests failed {reasons(load) or ''}, "
        f"{answered} broken versions answered, {len(load.outdated(versions))} answers were outdated, "
        f"{repaired} of {len(chosen)} repaired versions answered"
    )


def report(results: list[Result], target: Target, arguments: argparse.Namespace) -> None:
    ours = results[0]
    packages = ", ".join(f"{name} {_installed(name)}" for name in ("hypercorn", "uvicorn", "flask", "watchfiles"))
    say(
        f"\n{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} CPUs ({platform.machine()}), "
        f"Python {platform.python_version()}, {packages}; "
        f"{arguments.rate:g} requests/s, {target}, through Envoy\n"
    )
    say("| | edits | p50 ms | p95 ms | max ms | failed requests | longest gap ms |")
    say("|---|---|---|---|---|---|---|")
    for result in results:
        say(result.row())
    for result in results:
        for why, count in result.failures.items():
            say(f"{result.name}: {count} times {why}")
    say(f"\nmake dev: {ours.outdated} outdated answers, {ours.lost} acknowledged writes lost")
    say(
        "the stages of the median reload of make dev, in ms: "
        + ", ".join(f"{stage} {statistics.median(values):.0f}" for stage, values in ours.stages.items())
    )
    for peer in results[1:]:
        say(f"{peer.name}: {peer.percentile(0.95) / ours.percentile(0.95):.0f} times as long (p95)")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps([asdict(result) for result in results], indent=2))


def _installed(name: str) -> str:
    try:
        return installed(name)
    except ModuleNotFoundError:
        return "missing"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.reload")
    parser.add_argument(
        "--edits", type=int, default=100, help="edits of the service under make dev; default: %(default)s"
    )
    parser.add_argument(
        "--peer-edits", type=int, default=20, help="edits of each other reloader, 0 skips them; default: %(default)s"
    )
    parser.add_argument(
        "--breakages",
        type=int,
        default=20,
        help="broken edits of each kind under make dev, at most 20; default: %(default)s",
    )
    parser.add_argument("--rate", type=float, default=200, help="requests a second; default: %(default)g")
    parser.add_argument("--json", metavar="FILE", help="also write all results to this file")
    try:
        asyncio.run(main(parser.parse_args()))
    except CannotCreate as error:
        sys.exit(f"make bench-reload: {error}")
