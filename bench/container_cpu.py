"""What a request costs each container of a cluster: its CPU time under a steady load, less that of a time without.

The kubelet of each node knows the CPU time of its containers, and measures it every 10 to 15 seconds.
"""

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from cluster.kubectl import NAMESPACE, kubectl

NAMESPACES = {NAMESPACE, "istio-system"}
_EVERY = 2.0  # s
_PARTS = re.compile(
    r"(-[bcdf-hj-np-tv-xz2456789]{6,10}-[bcdf-hj-np-tv-xz2456789]{5}|-\d+)$"
)  # as Kubernetes makes them


class Sample(NamedTuple):
    at: float
    """When the kubelet measured it, in seconds since 1970."""
    used: float
    """The CPU time since the container began, in seconds."""


Samples: TypeAlias = Mapping[tuple[str, str], Sample]
"""By pod and container."""


async def cores(seconds: float) -> dict[str, float]:
    """How many CPUs each kind of container uses from now on, measured over `seconds` or a little more.

    A kind is a pod's name without its last parts, and the container's name.
    """
    begun = await _measured_after(time.time())
    ended = await _measured_after(max(sample.at for sample in begun.values()) + seconds)
    used = defaultdict[str, float](float)
    for (pod, container), sample in ended.items():
        if before := begun.get((pod, container)):
            used[f"{kind(pod)} {container}"] += (sample.used - before.used) / (sample.at - before.at)
    return used


def kind(pod: str) -> str:
    """`web-5f94cf8fc7-hntnf` and `web-1` are both `web`."""
    return _PARTS.sub("", pod)


async def _measured_after(moment: float) -> Samples:
    while True:
        samples = await asyncio.to_thread(_samples)
        if samples and all(sample.at >= moment for sample in samples.values()):
            return samples
        await asyncio.sleep(_EVERY)  # the kubelet has no event


def _samples() -> Samples:
    nodes = json.loads(kubectl("get", "nodes", "--output=json").stdout)["items"]
    found = dict[tuple[str, str], Sample]()
    for node in nodes:
        path = f"/api/v1/nodes/{node['metadata']['name']}/proxy/stats/summary"
        for pod in json.loads(kubectl("get", "--raw", path).stdout)["pods"]:
            if pod["podRef"]["namespace"] in NAMESPACES:
                found |= _of_pod(pod)
    return found


def _of_pod(pod: Mapping[str, Any]) -> dict[tuple[str, str], Sample]:
    return {
        (pod["podRef"]["name"], part["name"]): Sample(
            datetime.fromisoformat(part["cpu"]["time"]).timestamp(), part["cpu"]["usageCoreNanoSeconds"] / 1e9
        )
        for part in pod.get("containers", [])
        if "usageCoreNanoSeconds" in part.get("cpu", {})
    }
