"""The lines of `make status` for what the operators of production look after, and for autoscalers."""

import json

from cluster.line import Line, Object, conditions_of, name_of
from cluster.switch import FENCED
from cluster.switchover import HEALTHY, WAITING

POOLERS = "poolers.postgresql.cnpg.io"
CERTIFICATES = "certificates.cert-manager.io"

_BACKUP = "`make backup WHERE=production`"


def is_fenced(cluster: Object) -> bool:
    """Whether PostgreSQL is stopped in all instances, as `make restore` leaves the Cluster of before."""
    return "*" in json.loads(cluster["metadata"].get("annotations", {}).get(FENCED, "[]"))


def cluster_line(cluster: Object, *, serves: bool) -> Line:
    """A Cluster is ok if it is healthy. The one that serves also needs its archive, if it has one.

    One that is fenced and does not serve is ok: it keeps its data.
    """
    metadata, status = cluster["metadata"], cluster.get("status", {})
    ready, wanted = status.get("readyInstances", 0), cluster["spec"]["instances"]
    name, where = metadata["name"], f"-n {metadata['namespace']}"
    state = f"primary {status.get('currentPrimary', 'none')}, {ready}/{wanted} ready"
    if is_fenced(cluster) and not serves:
        remark = (
            f"fenced, it keeps its data: `make restore WHERE=production TO={name}` goes back to it, `kubectl delete "
            f"cluster {name} {where}` deletes it, see docs/database.md#after-a-restore"
        )
        return Line("cluster", name_of(cluster), "fenced", remark=remark)
    if is_fenced(cluster):
        error = f"fenced, so nobody can write: `kubectl annotate cluster {name} {where} {FENCED}-` ends that"
    elif (phase := status.get("phase", "new")) == WAITING:
        error = "the primary has to restart: `make switchover` lets another instance take over"
    elif phase != HEALTHY:
        error = ": ".join(part for part in (phase, status.get("phaseReason", "")) if part)
    elif ready < wanted:
        error = f"{wanted - ready} instances are not ready"
    else:
        error = _unsafe(cluster) if serves else ""
    return Line("cluster", name_of(cluster), state, error)


def _unsafe(cluster: Object) -> str:
    """Why the archive could not bring back what is in the Cluster; empty if it could, or if there is none."""
    if not any(plugin.get("isWALArchiver") for plugin in cluster["spec"].get("plugins", [])):
        return ""
    conditions = conditions_of(cluster)
    archiving, backup = conditions.get("ContinuousArchiving", {}), conditions.get("LastBackupSucceeded")
    if archiving.get("status") == "False":
        return (
            f"the write-ahead log does not reach the archive: {archiving.get('message', '')}: "
            "see docs/operations.md#archivingfails"
        )
    if backup is None:
        return f"no base backup yet, so nothing can be restored: {_BACKUP} makes one"
    if backup["reason"] == "LastBackupFailed":
        return (
            f"the last base backup has failed: {backup.get('message', '')}: {_BACKUP} makes one, "
            "see docs/operations.md#basebackuptooold"
        )
    return ""


def pooler_line(pooler: Object, found: list[Object]) -> Line:
    """A Pooler is ok if all of its pods are ready: those of the Deployment of its name, which is among `found`."""
    wanted = pooler["spec"].get("instances", 1)
    made = (item for item in found if item["kind"] == "Deployment" and name_of(item) == name_of(pooler))
    ready = next(made, {}).get("status", {}).get("readyReplicas", 0)
    error = "" if ready >= wanted else f"{wanted - ready} of its pods are not ready"
    return Line("pooler", name_of(pooler), f"to {pooler['spec']['cluster']['name']}, {ready}/{wanted} ready", error)


def certificate_line(certificate: Object) -> Line:
    """A Certificate is ok if it is valid, and its renewal has not failed."""
    metadata, status, conditions = certificate["metadata"], certificate.get("status", {}), conditions_of(certificate)
    ready, failed = conditions.get("Ready", {}), status.get("failedIssuanceAttempts", 0)
    error = ""
    if failed:
        error = f"{failed} tries to get a new one have failed: {conditions.get('Issuing', {}).get('message', '')}"
    elif ready.get("status") != "True":
        error = ready.get("message", "not issued yet")
    if error:
        error += f": `kubectl describe certificate {metadata['name']} -n {metadata['namespace']}` says more"
    return Line("certificate", name_of(certificate), f"valid until {status.get('notAfter', 'never')}", error)


def autoscaler_line(autoscaler: Object) -> Line:
    """A HorizontalPodAutoscaler is ok if it works, and has not reached its maximum."""
    spec, conditions = autoscaler["spec"], conditions_of(autoscaler)
    least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
    error = ""
    for kind in ("AbleToScale", "ScalingActive"):
        if conditions.get(kind, {}).get("status") == "False":
            error = error or f"it does not scale: {conditions[kind].get('message', '')}"
    limited = conditions.get("ScalingLimited", {})
    # With equal bounds somebody holds the number on purpose.
    if not error and limited.get("reason") == "TooManyReplicas" and least < most:
        error = f"the load asks for more than {most}: raise its maximum, see docs/scaling.md#what-follows-the-load"
    there = autoscaler.get("status", {}).get("currentReplicas", 0)
    return Line("autoscaler", name_of(autoscaler), f"{there} replicas, from {least} to {most}", error)
