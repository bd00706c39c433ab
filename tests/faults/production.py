"""`make faults WHERE=production`: what production has beside the local cluster, above all PostgreSQL that fails over.

INGRESS_URL is the URL of the gateway, and KUBE_CONTEXT the cluster; COLLECTION and the load are those of cluster.py.
The cluster needs k8s/components/postgres-ha. It stays as it was, but with new pods, new secrets, another primary and
more members. With k8s/components/postgres-archive, a restore comes last: then another Cluster serves, and the one of
before is fenced; docs/database.md says what to do.
"""

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Self

import httpx

from cluster import certificate
from cluster.kubectl import NAME, ClusterError, command
from cluster.postgres import CLUSTERS, cluster_named, serving
from cluster.secrets import OF_ROLES
from cluster.switchover import HEALTHY, WAITING
from harness.tls import trusted
from tests.faults import cluster
from tests.faults.cluster import ClusterFault, evict, kubectl, rolled_out, run

_WELL_WITHIN = "300s"
_CRASH = 30.0
_PLANNED = 5.0
_UNAVAILABLE = frozenset({"503"})
_MESH = "istio-system"


async def primary_killed(_: float) -> float:
    """Without a grace period, so PostgreSQL does not shut down and its clients' connections just end."""
    old = await _primary()
    async with _Promotion(old) as promotion:
        await kubectl("delete", f"pod/{old}", "--grace-period=0", "--force")
        return await promotion.seen()


async def primary_deleted(_: float) -> float:
    """With its grace period, as when its node shuts down."""
    old = await _primary()
    async with _Promotion(old) as promotion:
        await kubectl("delete", f"pod/{old}", "--wait=false")
        return await promotion.seen()


async def primary_evicted(_: float) -> float:
    """As by a drain of its node."""
    old = await _primary()
    async with _Promotion(old) as promotion:
        await evict(f"pod/{old}")
        return await promotion.seen()


async def primary_switched(_: float) -> float:
    """By `make switchover`, as before a drain."""
    old = await _primary()
    async with _Promotion(old) as promotion:
        await _switchover()
        return await promotion.seen()


async def instances_restarted(_: float) -> float:
    """As for a new minor release or a setting that needs it: first the standbys, then a switchover."""
    old = await _primary()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    async with _Promotion(old) as promotion:
        await kubectl("annotate", _cluster(), "--overwrite", f"kubectl.kubernetes.io/restartedAt={now}")
        await _phase(WAITING)
        await _switchover()
        return await promotion.seen()


async def standby_killed(_: float) -> None:
    primary = await _primary()
    standby = next(name for name in await _instances() if name != primary)
    await kubectl("delete", f"pod/{standby}", "--grace-period=0", "--force")
    await asyncio.sleep(1)  # until the operator has seen it


async def istiod_killed(_: float) -> None:
    pods = await kubectl("get", "pods", "--selector=app=istiod", "--output=name", namespace=_MESH)
    await kubectl("delete", pods.split()[0], "--grace-period=0", "--force", namespace=_MESH)
    await rolled_out("deployment/istiod", namespace=_MESH)


def rotated(secret: str) -> ClusterFault:
    async def rotate(_: float) -> None:
        await _program({"SECRET": secret}, sys.executable, "-m", "cluster.rotation")

    return ClusterFault(f"rotation of {secret}", rotate)


async def certificate_renewed(_: float) -> None:
    """With a connection of its own for each request, because those that are open keep the old certificate."""
    rotation = asyncio.create_task(_program({"SECRET": certificate.SECRET}, sys.executable, "-m", "cluster.rotation"))
    url = os.environ["INGRESS_URL"]
    failed = list[str]()
    while not rotation.done():
        try:
            async with httpx.AsyncClient(verify=trusted(url)) as client:
                (await client.get(f"{url}/openapi.json")).raise_for_status()
        except httpx.HTTPError as error:
            failed.append(str(error) or type(error).__name__)
    await rotation
    if failed:
        raise RuntimeError(f"{len(failed)} requests with a connection of their own failed, such as: {failed[0]}")


async def restore(moment: str) -> None:
    await _program({"AT": moment}, sys.executable, "-m", "cluster.archive", "restore")


FAULTS = (
    ClusterFault("primary, pod deleted without grace", primary_killed, failures=_UNAVAILABLE, gap=_CRASH),
    ClusterFault("primary, pod deleted", primary_deleted, failures=_UNAVAILABLE, gap=_PLANNED),
    ClusterFault("primary, evicted as by a drain", primary_evicted, failures=_UNAVAILABLE, gap=_PLANNED),
    ClusterFault("primary, switchover", primary_switched, failures=_UNAVAILABLE, gap=_PLANNED),
    ClusterFault("all instances, restart", instances_restarted, failures=_UNAVAILABLE, gap=_PLANNED),
    ClusterFault("standby, pod deleted without grace", standby_killed),
    ClusterFault("istiod, pod deleted without grace", istiod_killed),
    # As in the local cluster, whose PostgreSQL is another one, and whose image has a process above the service.
    *(
        fault
        for fault in cluster.FAULTS
        if fault.inject not in {cluster.database_killed, cluster.service_killed, cluster.replica_hangs}
    ),
    *map(rotated, (*OF_ROLES.values(), "grafana-admin-password")),
    ClusterFault(f"rotation of {certificate.SECRET}", certificate_renewed),
)


class _Promotion:
    """Watches who is the primary, from before the fault. At its end, it waits until all instances are there again."""

    def __init__(self, old: str) -> None:
        self._old = old

    async def __aenter__(self) -> Self:
        watch = ("get", _cluster(), "--watch", '--output=jsonpath={.status.currentPrimary}{"\\n"}')
        self._watch = await asyncio.create_subprocess_exec(*command(*watch), stdout=asyncio.subprocess.PIPE)
        self._another = asyncio.create_task(self._until_another())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._another.cancel()
        self._watch.terminate()
        await self._watch.wait()
        if error == (None, None, None):
            await _well()

    async def seen(self) -> float:
        """Waits until another instance is the primary. Returns the time.monotonic() of it."""
        return await self._another

    async def _until_another(self) -> float:
        assert self._watch.stdout is not None
        async for line in self._watch.stdout:
            if line.decode().strip() not in {"", self._old}:
                return time.monotonic()
        raise RuntimeError(f"kubectl get {_cluster()} --watch has ended")


@cache
def _cluster() -> str:
    """The Cluster that serves. Raises ClusterError if PostgreSQL is one pod."""
    name = serving()
    if name is None:
        raise ClusterError("PostgreSQL is one pod here: WHERE=production is for k8s/components/postgres-ha")
    return f"{CLUSTERS}/{name}"


async def _primary() -> str:
    await _well()
    return await kubectl("get", _cluster(), "--output=jsonpath={.status.currentPrimary}")


async def _instances() -> list[str]:
    return (await kubectl("get", _cluster(), "--output=jsonpath={.status.instancesStatus.healthy[*]}")).split()


async def _well() -> None:
    await _phase(HEALTHY)


async def _phase(name: str) -> None:
    await kubectl("wait", _cluster(), f"--for=jsonpath={{.status.phase}}={name}", f"--timeout={_WELL_WITHIN}")


async def _switchover() -> None:
    await _program({}, sys.executable, "-m", "cluster.switchover")


async def _program(variables: Mapping[str, str], *line: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *line, env={**os.environ, **variables}, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, errors = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        raise
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(line)}: {errors.decode().strip()}")


if __name__ == "__main__":
    gateway = os.environ.get("INGRESS_URL")
    if not gateway:
        sys.exit(f"make faults: INGRESS_URL= names the gateway, such as https://{NAME}.example.com")
    try:
        plugins = cluster_named(_cluster().rpartition("/")[2])["spec"].get("plugins", [])
    except ClusterError as error:
        sys.exit(f"make faults: {error}")
    has_archive = any(plugin.get("isWALArchiver") for plugin in plugins)
    sys.exit(run("tests.faults.production", FAULTS, gateway, restore if has_archive else None))
