"""`make switchover`: another instance of PostgreSQL becomes the primary, while writes wait for some seconds.

What `kubectl cnpg promote` does, with three differences. The standbys do not look into the archive meanwhile, see
streaming.py. Clients find the new primary sooner: the Service selects it by a label, and before the operator sets
that, it asks each instance for its state, also the old primary, which does not answer; so this command sets the label
as soon as the promotion is done. And the pod of the old primary is deleted: an instance whose pod lacks what the
Cluster has got since, such as the plugin of the archive, would never give way.
"""

import os
import time
from datetime import UTC, datetime

from cluster.api import api_server
from cluster.kubectl import NAMESPACE, ClusterError, get, kubectl, main
from cluster.line import conditions_of
from cluster.postgres import CLUSTERS, OF_CLUSTER, ROLE, cluster_named, psql, serving
from cluster.streaming import streaming_only
from cluster.switch import say

HEALTHY = "Cluster in healthy state"  # the operator's texts, in status.phase
WAITING = "Waiting for user action"  # after a change for which the primary has to restart
SEEN_WITHIN = 10  # s
PROMOTED_WITHIN = 120
WELL_WITHIN = 300


def run() -> int:
    name = serving()
    if name is None:
        raise ClusterError(
            "PostgreSQL is one pod here: only k8s/components/postgres-ha has another one that takes over"
        )
    status, why = cluster_named(name).get("status", {}), f"`kubectl describe cluster {name} -n {NAMESPACE}` says why"
    if (phase := status.get("phase", "new")) not in {HEALTHY, WAITING}:
        raise ClusterError(f"{name} is busy ({phase}): {why}")
    old = status["currentPrimary"]
    standbys = _standbys(name, old)
    new = _choose(name, standbys, os.environ.get("TO"))
    say(f"switchover: {new} takes over from {old}")
    with streaming_only(standbys) as streaming:
        if new not in streaming:
            raise ClusterError(f"{new} does not stream from {old}, so it may lack writes: {why}")
        psql(old, "CHECKPOINT")  # so that the one of its shutdown has little to do
        since = time.monotonic()
        _promote(name, old, new)
        say(f"switchover: {new} is the primary, after {time.monotonic() - since:.1f} s")
        well = f"--for=jsonpath={{.status.phase}}={HEALTHY}"
        wait = kubectl("wait", f"{CLUSTERS}/{name}", well, f"--timeout={WELL_WITHIN}s", check=False)
        if wait.returncode != 0:
            raise ClusterError(f"{new} serves, but {old} is not a standby after {WELL_WITHIN} s: {why}")
    say(f"switchover: {old} is a standby")
    return 0


def _standbys(cluster: str, primary: str) -> dict[str, str]:
    """The standbys that are ready, each with its node."""
    return {
        pod["metadata"]["name"]: pod["spec"]["nodeName"]
        for pod in get("pods", f"--selector={OF_CLUSTER}={cluster},cnpg.io/podRole=instance")
        if conditions_of(pod).get("Ready", {}).get("status") == "True" and pod["metadata"]["name"] != primary
    }


def _choose(cluster: str, nodes: dict[str, str], wanted: str | None) -> str:
    """The one that is `wanted`, or one on a node that takes pods, or any."""
    cordoned = {node["metadata"]["name"] for node in get("nodes") if node["spec"].get("unschedulable")}
    if wanted and wanted in nodes:
        return wanted
    if not nodes:
        raise ClusterError(
            f"no standby of {cluster} is ready: `kubectl describe cluster {cluster} -n {NAMESPACE}` says why"
        )
    if wanted:
        ready = ", ".join(sorted(nodes))
        raise ClusterError(f"TO={wanted} cannot take over: the standbys of {cluster} that are ready: {ready}")
    return min(nodes, key=lambda name: (nodes[name] in cordoned, name))


def _promote(cluster: str, old: str, new: str) -> None:
    """Returns when the Service leads to `new`. Raises ClusterError if it does not become the primary in time."""
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    clusters = f"/apis/postgresql.cnpg.io/v1/namespaces/{NAMESPACE}/clusters"
    status = {
        "targetPrimary": new,
        "targetPrimaryTimestamp": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "phase": "Switchover in progress",
        "phaseReason": f"Switching over to {new}",
    }
    with api_server() as api:
        api.patch(f"{clusters}/{cluster}/status", {"status": status})
        # The operator changes the label of the old primary when it knows what is wanted. Before that, it would take
        # the end of the pod for a failure: a failover, which is all that is left if it does not react.
        if all(pod["metadata"]["labels"].get(ROLE) == "primary" for pod in api.changes(pods, old, SEEN_WITHIN)):
            say(f"switchover: the operator has not reacted within {SEEN_WITHIN} s; it goes on without it")
        api.delete(f"{pods}/{old}")
        changes = api.changes(clusters, cluster, PROMOTED_WITHIN)
        if not any(change["status"]["currentPrimary"] == new for change in changes):
            why = f"`kubectl describe cluster {cluster} -n {NAMESPACE}` says why"
            raise ClusterError(f"{new} is not the primary after {PROMOTED_WITHIN} s: {why}")
        api.patch(f"{pods}/{new}", {"metadata": {"labels": {ROLE: "primary"}}})


if __name__ == "__main__":
    main(run, "switchover")
