"""`make faults WHERE=cluster`: faults of the cluster, with load through its gateway and the same accounting.

INGRESS_URL is the URL of the gateway. The load writes and reads a collection that the API describes, or the one that
COLLECTION names: its path, and the field of its members that holds a text. Needs a running `tilt up`; leaves new pods
and members behind.
"""

import argparse
import asyncio
import json
import math
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from cluster.kubectl import CONTEXT, NAME, REPLICAS, ClusterError, command
from cluster.postgres import serving
from harness.sign_in import to_ingress
from tests.faults import overload, restored
from tests.faults.recorder import NO_ANSWER
from tests.faults.table import HEAD, row
from tests.faults.trial import complaints, trial
from tests.probe.collection import Collection, NoCollection
from workbench.errors import WorkbenchError

_READY_WITHIN = "180s"
_GATEWAY_NAMESPACE = "istio-system"
_GATEWAYS = "--selector=istio=ingressgateway"
_UNAVAILABLE = frozenset({"503"})
_BROKEN = frozenset({"503", "504"})

# Runs in the container. kill(-1) reaches every process except the first one and this one.
_SIGNAL = "import os, signal; os.kill(-1, signal.{})"


@dataclass(frozen=True, slots=True)
class ClusterFault:
    """Like faults.Fault, but for a cluster."""

    name: str
    inject: Callable[[float], Awaitable[float | None]]
    """If PostgreSQL gets another primary, it returns the time.monotonic() at which that was there."""
    seconds: float = 0
    failures: frozenset[str] = frozenset()
    gap: float = math.inf
    """Seconds without a successful write that are allowed."""


async def service_killed(_: float) -> None:
    await _in_a_replica(_SIGNAL.format("SIGKILL"))


async def replica_killed(_: float) -> None:
    """Without a grace period: the answers to requests in flight are lost."""
    await kubectl("delete", await _a_replica(), "--grace-period=0", "--force")
    await asyncio.sleep(1)  # until there is a new pod
    await _replicas_ready()


async def replica_hangs(seconds: float) -> None:
    pod = await _a_replica()
    await _exec(pod, _SIGNAL.format("SIGSTOP"))
    try:
        await asyncio.sleep(seconds)
    finally:
        await _exec(pod, _SIGNAL.format("SIGCONT"))


async def replicas_rolled(_: float) -> None:
    await kubectl("rollout", "restart", f"deployment/{NAME}")
    await rolled_out(f"deployment/{NAME}")


async def database_killed(_: float) -> None:
    await kubectl("delete", "pod/postgres-0", "--grace-period=0", "--force")
    await rolled_out("statefulset/postgres")


async def gateway_rolled(_: float) -> None:
    await kubectl("rollout", "restart", "deployment/istio-ingressgateway", namespace="istio-system")
    await rolled_out("deployment/istio-ingressgateway", namespace="istio-system")


async def replicas_evicted(_: float) -> None:
    await _evicted(*await _pods(REPLICAS))
    await rolled_out(f"deployment/{NAME}")


async def replicas_scaled(_: float) -> None:
    """To twice as many and back. An autoscaler, if there is one, may choose another number."""
    deployment = f"deployment/{NAME}"

    async def wanted() -> int:
        return int(await kubectl("get", deployment, "--output=jsonpath={.spec.replicas}"))

    before = await wanted()
    for replicas in (2 * before, before):
        await kubectl("scale", deployment, f"--replicas={replicas}")
        await rolled_out(deployment)
        while len(await _pods(REPLICAS)) > await wanted():  # noqa: ASYNC110 - pods that end have no event
            await asyncio.sleep(1)


async def gateways_evicted(_: float) -> None:
    await _evicted(*await _pods(_GATEWAYS, namespace=_GATEWAY_NAMESPACE), namespace=_GATEWAY_NAMESPACE)
    await rolled_out("deployment/istio-ingressgateway", namespace=_GATEWAY_NAMESPACE)


FAULTS = (
    ClusterFault("service, kill -9 in its pod", service_killed, failures=_UNAVAILABLE),
    ClusterFault("replica, pod deleted without grace", replica_killed, failures=_UNAVAILABLE),
    ClusterFault("replica, SIGSTOP", replica_hangs, 20, _BROKEN),
    ClusterFault("all replicas, rollout restart", replicas_rolled),
    ClusterFault("all replicas, evicted one after the other as by a drain", replicas_evicted),
    ClusterFault("replicas, scaled to twice as many and back", replicas_scaled),
    ClusterFault("PostgreSQL, pod deleted without grace", database_killed, failures=_BROKEN),
    ClusterFault("gateway, rollout restart", gateway_rolled, failures=_UNAVAILABLE | {NO_ANSWER}),
    ClusterFault(
        "all gateways, evicted one after the other as by a drain",
        gateways_evicted,
        failures=_UNAVAILABLE | {NO_ANSWER},
    ),
)


_say = partial(print, flush=True)


Restore = Callable[[str], Awaitable[object]]


def run(name: str, faults: Sequence[ClusterFault], url: str, restore: Restore | None = None) -> int:
    """Runs as `python -m name`: injects the faults through the gateway at `url`. Returns the exit status.

    If there is a restore() to a moment, it comes last: what is written after the moment is lost on purpose.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}")
    parser.add_argument("--rate", type=float, default=50, help="requests a second; %(default)g")
    parser.add_argument(
        "--only", default="", help="only faults whose name contains this text; load: only the overload"
    )
    parser.add_argument("--overloaded-for", type=float, default=60, help="seconds of overload; %(default)g")
    chosen = parser.parse_args()
    try:
        wrong = asyncio.run(_run(faults, url, chosen.rate, chosen.only, chosen.overloaded_for, restore))
    except (ClusterError, NoCollection, WorkbenchError) as error:
        sys.exit(f"make faults: {error}")
    return 1 if wrong else 0


async def _run(
    faults: Sequence[ClusterFault], url: str, rate: float, only: str, overloaded_for: float, restore: Restore | None
) -> list[str]:
    """Returns what went wrong, which it prints too. A fault that cannot be injected is wrong as well."""
    collection, wrong, user = await Collection.of(url), list[str](), await asyncio.to_thread(to_ingress, url)
    _say(f"{datetime.now(UTC):%Y-%m-%d}, {CONTEXT}, {url}, {rate:g} requests a second to {collection.path}")
    _say(HEAD)
    for fault in faults:
        if only in fault.name:
            promoted, inject = _timed(fault)
            with _reported(fault.name, wrong) as found:
                ended = await trial(fault.name, url, collection, rate, inject, user=user)
                since = [f" written {ended.gap.ended - time:.1f} s after the new primary" for time in promoted]
                _say(row(ended, fault.seconds) + "".join(since))
                found += complaints(ended, fault.failures, fault.gap)
    if only in {"", "load"}:
        result = await overload.flood(url, collection, overloaded_for)
        _say(f"\n- {overload.describe(result, overloaded_for)}")
        for line in overload.wrong(result):
            _say(line)
            wrong.append(line)
    if restore and only in restored.NAME:
        with _reported(restored.NAME, wrong) as found:
            ended = await restored.restored(url, collection, rate, restore, user)
            _say(row(ended, 0))
            found += complaints(ended, restored.FAILURES)
    return wrong


@contextmanager
def _reported(name: str, wrong: list[str]) -> Iterator[list[str]]:
    """Prints what is found in the block, or why it ended early, and adds it to `wrong`."""
    found = list[str]()
    try:
        yield found
    except (RuntimeError, TimeoutError) as error:
        found.append(f"{name}: {error or 'not within its time'}")
    for line in found:
        _say(line)
    wrong += found


def _timed(fault: ClusterFault) -> tuple[list[float], Callable[[], Awaitable[None]]]:
    """Returns what injects the fault, and where that puts the time at which there was a new primary."""
    promoted = list[float]()

    async def inject() -> None:
        if (time := await fault.inject(fault.seconds)) is not None:
            promoted.append(time)

    return promoted, inject


async def _a_replica() -> str:
    await _replicas_ready()
    return (await kubectl("get", "pods", REPLICAS, "--output=name")).split()[0]


async def _pods(selector: str, **where: str) -> list[str]:
    return (await kubectl("get", "pods", selector, "--output=name", **where)).split()


async def _evicted(*pods: str, namespace: str = NAME) -> None:
    """Evicts pods one after the other, and waits until each has ended."""
    for pod in pods:
        await evict(pod, namespace)
        await kubectl("wait", pod, "--for=delete", f"--timeout={_READY_WITHIN}", namespace=namespace)


async def evict(pod: str, namespace: str = NAME) -> None:
    """Through the API that `kubectl drain` uses, as soon as the pod's disruption budget allows it."""
    name = pod.removeprefix("pod/")
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
    while True:
        try:
            await kubectl("create", "--raw", path, "--filename=-", given=json.dumps(eviction))
            return
        except RuntimeError as error:
            if "(NotFound)" in str(error):
                return  # it ended by itself
            if "disruption budget" not in str(error):
                raise
        await asyncio.sleep(1)  # a budget has no event


async def _replicas_ready() -> None:
    await kubectl("wait", "pods", REPLICAS, "--for=condition=Ready", f"--timeout={_READY_WITHIN}")


async def _in_a_replica(code: str) -> None:
    await _exec(await _a_replica(), code)


async def _exec(pod: str, code: str) -> None:
    await kubectl("exec", pod, "--container=service", "--", "python", "-c", code)


async def rolled_out(what: str, **where: str) -> None:
    await kubectl("rollout", "status", what, f"--timeout={_READY_WITHIN}", **where)


async def kubectl(*arguments: str, given: str = "", **where: str) -> str:
    """The output of a kubectl that gets `given` on its standard input."""
    process = await asyncio.create_subprocess_exec(
        *command(*arguments, **where),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(given.encode())
    if process.returncode != 0:
        raise RuntimeError(f"kubectl {' '.join(arguments)}: {errors.decode().strip()}")
    return output.decode()


if __name__ == "__main__":
    try:
        if serving():
            sys.exit("make faults: PostgreSQL is not one pod here: WHERE=production breaks it, and the rest as well")
    except ClusterError as error:
        sys.exit(f"make faults: {error}")
    sys.exit(run("tests.faults.cluster", FAULTS, os.environ.get("INGRESS_URL") or "http://localhost:8080"))
