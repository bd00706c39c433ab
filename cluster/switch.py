"""Lets another Cluster of CloudNativePG serve: what `make restore WHERE=production` ends with.

The old Cluster is fenced first: its pods stay, without PostgreSQL, and keep the data. So no connection of before goes
on, and no write is lost in a database that nobody reads any more.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from cluster.kubectl import ClusterError, find, get, kubectl
from cluster.postgres import CLUSTERS, OF_CLUSTER, SERVICE, cluster_named, primary, psql

RESET_EVENTS = Path(__file__).resolve().parent.parent / "k8s" / "postgres" / "reset-events.sql"
BUDGET = f"{SERVICE}-instances"
# The Service `postgres` is the last one: it says which Cluster serves, so an interrupted switch can be repeated.
SERVICES = (f"{SERVICE}-standbys", SERVICE)
# What else names the Cluster, if it is there. No field of theirs that does may change, so they are made anew.
OTHERS = (("poolers.postgresql.cnpg.io", f"{SERVICE}-pooler"), ("scheduledbackups.postgresql.cnpg.io", SERVICE))
FENCED = "cnpg.io/fencedInstances"
HEALTHY_WITHIN = 24 * 3600.0  # s; a restore of a large database takes hours
STOPPED_WITHIN = 90.0  # s; longer than the Cluster's switchoverDelay
RESTARTED_WITHIN = "10m"
# psql's words without a server, and kubectl's without a pod or a container.
_STOPPED = ("Is the server running", "not found")


def switch(old: str, new: str) -> int:
    """Lets the Cluster `new` serve instead of `old`, and the subscribers of all resources read their lists again.

    Raises ClusterError if `new` cannot serve; then `old` does.
    """
    if new == old:
        raise ClusterError(f"{new} serves already")
    cluster_named(new)
    _fence(new, fenced=False)
    until_healthy(new)
    since = time.monotonic()
    try:
        _fence(old, fenced=True)
        _until_stopped(old)
        psql(primary(new), f"BEGIN;\n{RESET_EVENTS.read_text(encoding='utf-8')}COMMIT;")
    except (ClusterError, KeyboardInterrupt):
        _fence(old, fenced=False)
        raise
    for kind, name in OTHERS:
        if found := find(kind, name):
            kubectl("replace", "--force", "--save-config", "--filename=-", sent=json.dumps(_of_cluster(found, new)))
    _patch("poddisruptionbudget", BUDGET, {"spec": {"selector": {"matchLabels": {OF_CLUSTER: new}}}})
    for service in SERVICES:
        _patch("service", service, {"spec": {"selector": {OF_CLUSTER: new}}})
    say(f"restore: {new} serves; writes were stopped for {time.monotonic() - since:.1f} s")
    say(
        f"restore: {old} is fenced and keeps its data. `make restore WHERE=production TO={old}` switches back; what "
        f"was written since then stays in {new}\n"
        f"restore: before the next `kubectl apply -k`, name {new} in the overlay: docs/database.md#after-a-restore"
    )
    _restart()
    return 0


def until_healthy(name: str, within: float = HEALTHY_WITHIN) -> None:
    """Waits until all instances of a Cluster are ready, and says what it does meanwhile.

    Raises ClusterError if its recovery has failed for good.
    """
    deadline, said = time.monotonic() + within, ""
    while True:
        status = cluster_named(name).get("status", {})
        if _condition(status, "Ready") and status.get("readyInstances") == status.get("instances"):
            return
        if (phase := status.get("phase", "")) != said:
            say(f"restore: {name}: {phase}")
            said = phase
        for job in get("jobs", f"--selector={OF_CLUSTER}={name}"):
            if _condition(job.get("status", {}), "Failed"):
                job_name = job["metadata"]["name"]
                raise ClusterError(
                    f"the job {job_name} has failed: `kubectl logs job/{job_name}` says why; then delete the Cluster "
                    f"{name}. Nothing has changed for the one that serves"
                )
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{name} is not healthy after {within:g} s ({said}): `kubectl describe cluster {name}` says why. "
                f"Later, `make restore WHERE=production TO={name}` lets it serve"
            )
        time.sleep(1)


def _until_stopped(cluster: str) -> None:
    """Waits until the primary of a fenced Cluster has stopped. Its pod is not ready only some time later."""
    pod, deadline = cluster_named(cluster).get("status", {}).get("currentPrimary"), time.monotonic() + STOPPED_WITHIN
    if not pod:
        return
    while time.monotonic() < deadline:
        try:
            psql(pod, "SELECT 1")
        except ClusterError as error:  # which may also be one of the API server, that says nothing about PostgreSQL
            if any(sign in str(error) for sign in _STOPPED):
                return
        time.sleep(0.2)
    raise ClusterError(
        f"the PostgreSQL of {cluster} has not stopped within {STOPPED_WITHIN:g} s, so it goes on to serve"
    )


def _restart() -> None:
    """New pods migrate what a database of before lacks, and no feed of theirs is further than the database."""
    selector = "--selector=app.kubernetes.io/component=service"
    kubectl("rollout", "restart", "deployment", selector)
    for deployment in get("deployments", selector):
        name = deployment["metadata"]["name"]
        kubectl("rollout", "status", f"deployment/{name}", f"--timeout={RESTARTED_WITHIN}")


def _fence(cluster: str, *, fenced: bool) -> None:
    value = json.dumps(["*"]) if fenced else None
    _patch(CLUSTERS, cluster, {"metadata": {"annotations": {FENCED: value}}})


def _patch(kind: str, name: str, patch: dict[str, Any]) -> None:
    kubectl("patch", kind, name, "--type=merge", f"--patch={json.dumps(patch)}")


def _of_cluster(item: dict[str, Any], cluster: str) -> dict[str, Any]:
    """The same object for another Cluster, without what the API server adds."""
    metadata = {field: item["metadata"][field] for field in ("name", "namespace", "labels")}
    spec = {**item["spec"], "cluster": {"name": cluster}}
    return {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": metadata, "spec": spec}


def _condition(status: dict[str, Any], kind: str) -> bool:
    return any(item["type"] == kind and item["status"] == "True" for item in status.get("conditions", []))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
