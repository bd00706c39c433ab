"""`python -m bench.cluster (edits|defects|rollout|database|costs)`: what clients of the running cluster notice.

    edits      a file of service/ is saved again and again; needs a running `tilt up`
    defects    code is saved that starts and whose handlers raise, then the code before; needs it too
    rollout    kubectl rollout restart of the service
    database   kubectl delete pod postgres-0
    costs      the CPU time of a request in each container, see container_cpu.py

Each runs under a steady load through the gateway; half of the requests are POST, see target.py.
"""

import argparse
import asyncio
import json
import math
import os
import platform
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench.container_cpu import cores
from bench.operations import request_each
from bench.reload import reasons
from bench.target import CannotCreate, Target, find_target
from cluster.kubectl import NAME, REPLICAS, get, kubectl, main
from cluster.live import EVERY, of_cluster
from harness.breakages import APP, DEFECTS, MODULE
from harness.resource import Resource
from harness.sign_in import SignIn, to_ingress
from harness.steady_load import Answer, Load, loaded
from workbench import live
from workbench.errors import WorkbenchError
from workbench.reload import code

EDITED = Path(MODULE)
BROKEN = "\nthis is not Python\n"
SETTLE = (3.0, 5.0)  # s between two edits, chosen at random, so that edits do not align with the reload before
ANSWERS_WITHIN = 30.0
IN_FLIGHT = 64
"""How many requests at most: when a busy machine stalls, an open loop would exceed the limits of the gateway."""
ROUNDS = 4
"""How often each operation is requested for each replica, which knows only what it was asked: the gateway chooses."""


say = partial(print, flush=True)

Measurement = Callable[[argparse.Namespace, Target], Awaitable[None]]


async def edits(arguments: argparse.Namespace, target: Target) -> None:
    """Saves a file again and again, then a version that does not compile, then the original."""
    original = EDITED.read_text()  # noqa: ASYNC240 - a few kilobytes, now and then
    before = pods()
    replicas = set(before)
    first: list[float] = []
    last: list[float] = []
    try:
        async with loaded(_load(arguments, target)) as load:
            await load.more(int(arguments.rate))
            await _fill_rehearsals(arguments, target.resource.user, len(replicas))
            for number in range(arguments.edits):
                begin, saved = len(load.answers), time.time()
                save(f"{original}\n# edit {number} of {saved}\n")
                version = code.version(code.read())
                times = await _all_answer(load, version, replicas, begin)
                first.append((min(times) - saved) * 1000)
                last.append((max(times) - saved) * 1000)
                await asyncio.sleep(random.uniform(*SETTLE))  # noqa: S311 - no secret
            good, begin = len(load.failures), len(load.answers)
            save(original + BROKEN)
            await load.more(int(arguments.rate * 5), within=60)
            broken = Counter(answer.version for answer in load.answers[begin:])
            save(original)
            await load.more(int(arguments.rate * 3), within=60)
    finally:
        save(original)
    say(f"{arguments.edits} edits with {len(replicas)} replicas at {arguments.rate:g} requests/s, from the save")
    say(f"  {sorted(round(value) for value in last)}")
    say(f"  to the first new answer: {distribution(first)}")
    say(f"  to new answers of every replica: {distribution(last)}")
    say(f"  {good} failed; with the broken edit {outcome(load)}")
    say(f"  answers by version while the code was broken: {dict(broken)}")
    say(f"  pods and restarts {'the same' if pods() == before else f'{before} before, {pods()} after'}")


async def defects(arguments: argparse.Namespace, target: Target) -> None:
    """Every replica has to refuse each of them, and knows only its own requests."""
    file = Path(APP)
    original, before = file.read_text(), pods()  # noqa: ASYNC240 - a few kilobytes, now and then
    refused, broken, repaired = 0, set[str](), 0
    try:
        async with loaded(_load(arguments, target)) as load:
            await load.more(int(arguments.rate))
            await _fill_rehearsals(arguments, target.resource.user, len(before))
            for number, (_, _, defect) in enumerate(DEFECTS):
                save(original + defect, file)
                broken.add(code.version(code.read()))
                refused += await asyncio.to_thread(_all_refuse)
                save(f"{original}\n# repaired {number}\n", file)
                verdict = await asyncio.to_thread(live.wait, of_cluster, ANSWERS_WITHIN, None, EVERY)
                repaired += verdict["live"]
            await load.more(int(arguments.rate))
    finally:
        save(original, file)
    answered = len({answer.version for answer in load.answers} & broken)
    say(f"{len(DEFECTS)} edits that start and raise, {len(before)} replicas, {arguments.rate:g} requests/s")
    say(f"  {refused} refused by all replicas, {answered} answered a request, {repaired} repaired versions live")
    say(f"  {outcome(load)}")
    say(f"  pods and restarts {'the same' if pods() == before else f'{before} before, {pods()} after'}")


def _load(arguments: argparse.Namespace, target: Target) -> Load:
    return replace(target.load(arguments.port, arguments.rate), most=IN_FLIGHT)


async def _fill_rehearsals(arguments: argparse.Namespace, user: SignIn, replicas: int) -> None:
    for _ in range(ROUNDS * replicas):
        await request_each(_url(arguments), user)


def _all_refuse() -> bool:
    """Whether every replica refuses the code in the files, within ANSWERS_WITHIN."""
    version, end = code.version(code.read()), time.monotonic() + ANSWERS_WITHIN
    while time.monotonic() < end:
        if all(verdict.refuses(version, 0) for verdict in of_cluster().values()):
            return True
        time.sleep(EVERY)  # the pods' files have no event
    return False


def save(text: str, file: Path = EDITED) -> None:
    file.write_text(text)


async def _all_answer(load: Load, version: str, replicas: set[str], begin: int) -> list[float]:
    """Returns for each replica when it first answered with this version."""
    found: dict[str, float] = {}
    async with asyncio.timeout(ANSWERS_WITHIN):
        while found.keys() < replicas:
            for answer in load.answers[begin:]:
                if answer.version == version:
                    found.setdefault(answer.instance, answer.ended)
            begin = len(load.answers)
            await load.more(1)
    return list(found.values())


async def rollout(arguments: argparse.Namespace, target: Target) -> None:
    before = set(pods())
    async with loaded(target.load(arguments.port, arguments.rate)) as load:
        await load.more(int(arguments.rate))
        await _kubectl("rollout", "restart", f"deployment/{NAME}")
        await _kubectl("rollout", "status", f"deployment/{NAME}", "--timeout=180s")
        await _kubectl("wait", "pod", *before, "--for=delete", "--timeout=120s", check=False)
        await load.more(int(arguments.rate * 3))
    say(f"rollout restart at {arguments.rate:g} requests/s: {outcome(load)}")


async def database(arguments: argparse.Namespace, target: Target) -> None:
    async with loaded(target.load(arguments.port, arguments.rate, keys=False)) as load:
        await load.more(int(arguments.rate))
        await _kubectl("delete", "pod", "postgres-0")
        await _kubectl("wait", "pod/postgres-0", "--for=condition=Ready", "--timeout=180s")
        await load.more(int(arguments.rate * 5), within=60)
    failures = load.failures
    away = failures[-1].ended - failures[0].begun if failures else 0.0
    lost = await target.lost(_url(arguments), load)
    say(f"delete pod postgres-0 at {arguments.rate:g} requests/s: {outcome(load)}")
    say(f"  longest failed request {maximum(failures):.0f} ms, database unavailable for {away:.1f} s")
    say(f"  {len(lost)} of {len(load.created)} acknowledged writes lost")


async def costs(arguments: argparse.Namespace, target: Target) -> None:
    """A page of a list, one member of it, and a member created and one read in turn."""
    resource, rate = target.resource, arguments.rate
    idle = await cores(arguments.seconds)
    page = replace(resource, read=resource.path)
    one = replace(resource, read=f"{resource.path}/{await _member(arguments, resource)}")
    loads = {
        f"GET {resource.path}": Load(arguments.port, rate, page, posts=False),
        "GET of a member": Load(arguments.port, rate, one, posts=False),
        "POST and GET of a member in turn": Load(arguments.port, rate, one),
    }
    say(f"CPU in microseconds for each of {rate:g} requests/s, {arguments.seconds:g} s for each row")
    for name, load in loads.items():
        async with loaded(load):
            used = await cores(arguments.seconds)
        each = {kind: (cpu - idle.get(kind, 0)) / rate * 1e6 for kind, cpu in used.items()}
        shown = ", ".join(f"{kind} {cost:.0f}" for kind, cost in sorted(each.items()) if cost >= 1)
        say(f"  {name}: {sum(each.values()):.0f} = {shown}; {len(load.failures)} failed")


async def _member(arguments: argparse.Namespace, resource: Resource) -> str:
    async with loaded(Load(arguments.port, 1, resource)) as load:
        while not load.created:
            await load.more(1)
    return load.created.pop()


def pods() -> dict[str, int]:
    """The names of the replicas, and how often each was restarted."""
    found = get("pods", REPLICAS)
    return {
        pod["metadata"]["name"]: sum(status["restartCount"] for status in pod["status"]["containerStatuses"])
        for pod in found
        if "deletionTimestamp" not in pod["metadata"]
    }


def outcome(load: Load) -> str:
    statuses = Counter(answer.status or "no answer" for answer in load.answers)
    seconds = load.answers[-1].ended - load.answers[0].begun if load.answers else 0.0
    rate = len(load.answers) / max(seconds, 1)
    return (
        f"{len(load.failures)} of {len(load.answers):,} failed, {rate:.0f} requests/s, {dict(statuses)}, "
        f"maximum {maximum(load.answers):.0f} ms {reasons(load) or ''}"
    )


def maximum(answers: list[Answer]) -> float:
    return max((answer.ended - answer.begun for answer in answers), default=0.0) * 1000


def distribution(milliseconds: list[float]) -> str:
    ordered = sorted(milliseconds)
    p95 = ordered[math.ceil(len(ordered) * 0.95) - 1]  # nearest rank
    return f"p50 {statistics.median(ordered):.0f} ms, p95 {p95:.0f} ms, max {ordered[-1]:.0f} ms"


async def _kubectl(*arguments: str, check: bool = True) -> None:
    await asyncio.to_thread(kubectl, *arguments, check=check)


def run() -> int:
    measurements: dict[str, Measurement] = {
        "edits": edits,
        "defects": defects,
        "rollout": rollout,
        "database": database,
        "costs": costs,
    }
    parser = argparse.ArgumentParser(prog="python -m bench.cluster")
    parser.add_argument("measurement", choices=measurements)
    parser.add_argument("--edits", type=int, default=20, help="how many; default: %(default)s")
    parser.add_argument("--rate", type=float, default=100, help="requests a second; default: %(default)g")
    parser.add_argument("--seconds", type=float, default=40, help="of each row of costs; default: %(default)g")
    parser.add_argument(
        "--port", type=int, default=8080, help="port of the gateway on this machine; default: %(default)s"
    )
    chosen = parser.parse_args()
    kubernetes = json.loads(kubectl("version", "--output=json").stdout)["serverVersion"]["gitVersion"]
    say(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} CPUs ({platform.machine()}), Kubernetes {kubernetes}")
    try:
        asyncio.run(_measure(measurements[chosen.measurement], chosen))
    except (CannotCreate, WorkbenchError) as error:
        sys.exit(f"bench.cluster: {error}")
    return 0


async def _measure(measurement: Measurement, arguments: argparse.Namespace) -> None:
    target = await find_target(_url(arguments), await asyncio.to_thread(to_ingress, _url(arguments)))
    say(f"{target}. {target.why_only_reads}".strip())
    await measurement(arguments, target)


def _url(arguments: argparse.Namespace) -> str:
    return f"http://localhost:{arguments.port}"


if __name__ == "__main__":
    main(run, "bench.cluster")
