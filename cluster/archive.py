"""`make backup` and `make restore` with WHERE=production: the archive of k8s/components/postgres-archive.

AT=moment makes a new Cluster from the archive, as PostgreSQL was at that moment, and lets it serve: see switch.py.
TO=name lets another Cluster serve that exists, as the one before the restore does. Without both, `make restore` says
what can be restored.
"""

import os
import sys
import time
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from cluster.kubectl import CONTEXT, ClusterError, apply, find, get, main
from cluster.postgres import CLUSTERS, OF_CLUSTER, cluster_named, primary, psql, serving
from cluster.switch import say, switch, until_healthy

Object = dict[str, Any]

PLUGIN = "barman-cloud.cloudnative-pg.io"
STORES = "objectstores.barmancloud.cnpg.io"
BACKUPS = "backups.postgresql.cnpg.io"
BACKED_UP_WITHIN = 6 * 3600.0  # s
ARCHIVED_WITHIN = 60.0
_EXAMPLE = 'AT="2026-11-28 10:00:00Z"'

# A recovery ends at the first commit after its moment. So there has to be one, and it has to be in the archive.
NOW = "SELECT pg_current_xact_id(); SELECT pg_walfile_name(pg_switch_wal());"
ARCHIVED = "SELECT last_archived_wal >= '{}' FROM pg_stat_archiver WHERE last_archived_wal ~ '^[0-9A-F]{{24}}$'"


def run() -> int:
    at, to = os.environ.get("AT"), os.environ.get("TO")
    match sys.argv[1:]:
        case ["backup"]:
            return backup(_serving())
        case ["restore"] if at and to:
            raise ClusterError("AT makes a new Cluster, and TO names one that exists: only one of them is possible")
        case ["restore"] if at:
            return restore(moment(at, datetime.now(UTC)))
        case ["restore"] if to:
            return switch(_serving(), to)
        case ["restore"]:
            return show()
    sys.stderr.write("usage: python -m cluster.archive (backup|restore); restore takes AT=moment or TO=name\n")
    return 2


def backup(cluster: str, within: float = BACKED_UP_WITHIN) -> int:
    """Makes a base backup now, and waits until it is in the archive."""
    made = base_backup(cluster)
    apply(made)
    name, deadline = made["metadata"]["name"], time.monotonic() + within
    while True:
        status = (find(BACKUPS, name) or {}).get("status", {})
        match status.get("phase"):
            case "completed":
                say(f"backup: {name} is in the archive, from {status['startedAt']} to {status['stoppedAt']}")
                return 0
            case "failed":
                raise ClusterError(f"the backup {name} has failed: {status.get('error', 'nothing more is known')}")
        if time.monotonic() > deadline:
            raise ClusterError(f"the backup {name} takes longer than {within:g} s: `kubectl describe` says why")
        time.sleep(1)  # a watch would end with its connection, and a backup takes hours


def base_backup(cluster: str) -> Object:
    namespace = cluster_named(cluster)["metadata"]["namespace"]
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Backup",
        "metadata": {"name": f"{cluster}-{_stamp()}", "namespace": namespace},
        "spec": {"cluster": {"name": cluster}, "method": "plugin", "pluginConfiguration": {"name": PLUGIN}},
    }


def show() -> int:
    """What can be restored: the window of the Cluster that serves, its base backups, and other Clusters."""
    name = _serving()
    first, last = window(cluster_named(name))
    say(f"{name} serves in {CONTEXT}.")
    if first is None:
        say("Nothing can be restored: no base backup is complete. `make backup WHERE=production` makes one.")
    else:
        say(f"Any moment since {_utc(first)} can be restored: `make restore WHERE=production {_EXAMPLE}`")
        say(f"The last base backup is of {_utc(last) if last else 'before that'}. Of these, by their ends:")
    for item in get(BACKUPS):
        status = item.get("status", {})
        if item["spec"]["cluster"]["name"] == name:
            say(f"  {status.get('phase', 'new'):10} {status.get('stoppedAt', ''):21} {item['metadata']['name']}")
    for cluster in get(CLUSTERS):
        if (other := cluster["metadata"]["name"]) != name:
            say(f"{other} does not serve: `make restore WHERE=production TO={other}` switches to it")
    return 0


def restore(at: datetime) -> int:
    """Makes a Cluster as it was `at` that moment, waits until it is healthy, and lets it serve.

    Raises ClusterError if the archive does not reach so far back, or the Cluster cannot be made.
    """
    started = time.monotonic()
    old = cluster_named(_serving())
    old_name = old["metadata"]["name"]
    first, _ = window(old)
    if first is None:
        raise ClusterError(f"{old_name} has no complete base backup: nothing can be restored")
    if at < first:
        raise ClusterError(
            f"AT={_utc(at)} is before {_utc(first)}, the end of the first base backup of {old_name}: choose a later "
            "moment, or a Cluster of before, which `make restore WHERE=production` lists"
        )
    archive_until_now(old_name)
    new = restored(old, f"postgres-{_stamp()}", at)
    name = new["metadata"]["name"]
    apply(new)
    say(f"restore: the Cluster {name} begins, as {old_name} was at {_utc(at)}; {old_name} still serves")
    until_healthy(name)
    say(f"restore: {name} is healthy after {time.monotonic() - started:.0f} s")
    return switch(old_name, name)


def restored(old: Object, name: str, at: datetime) -> Object:
    """A Cluster like the old one, which begins with what the archive has of it."""
    spec = deepcopy(old["spec"])
    old_name = old["metadata"]["name"]
    plugin = _archiver(old)
    [began] = spec["bootstrap"].values()
    spec["bootstrap"] = {
        "recovery": {
            **{field: began[field] for field in ("database", "owner", "secret")},
            "source": old_name,
            "recoveryTarget": {"targetTime": at.astimezone(UTC).isoformat()},
        }
    }
    parameters = plugin["parameters"]
    source = {"name": plugin["name"], "parameters": {**parameters, "serverName": _server(old)}}
    spec["externalClusters"] = [{"name": old_name, "plugin": source}]
    # It archives under its own name, beside the old one, whose archive stays as it is.
    parameters = {field: value for field, value in parameters.items() if field != "serverName"}
    spec["plugins"] = [{**plugin, "parameters": parameters}]
    for constraint in spec.get("topologySpreadConstraints", []):
        constraint["labelSelector"]["matchLabels"][OF_CLUSTER] = name
    metadata = {"name": name, "namespace": old["metadata"]["namespace"], "labels": old["metadata"].get("labels", {})}
    return {"apiVersion": old["apiVersion"], "kind": "Cluster", "metadata": metadata, "spec": spec}


def moment(text: str, now: datetime) -> datetime:
    """Raises ClusterError if the text is not a moment of the past."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ClusterError(f"AT={text} is not a moment: write it as in {_EXAMPLE}") from None
    if at.tzinfo is None:
        raise ClusterError(f"AT={text} has no time zone: write UTC as in {_EXAMPLE}, or an offset such as +02:00")
    if at > now:
        raise ClusterError(f"AT={text} is in the future: it is {_utc(now)} now")
    return at


def window(cluster: Object) -> tuple[datetime | None, datetime | None]:
    """From when on the archive can restore a Cluster, and the time of its last base backup."""
    store = find(STORES, _archiver(cluster)["parameters"]["barmanObjectName"]) or {}
    found = store.get("status", {}).get("serverRecoveryWindow", {}).get(_server(cluster), {})
    first, last = (found.get(field) for field in ("firstRecoverabilityPoint", "lastSuccessfulBackupTime"))
    return (datetime.fromisoformat(first) if first else None, datetime.fromisoformat(last) if last else None)


def archive_until_now(cluster: str, within: float = ARCHIVED_WITHIN) -> None:
    """Lets the archive have all that is committed. If PostgreSQL does not answer, it has what it has."""
    deadline = time.monotonic() + within
    try:
        pod = primary(cluster)
        file = psql(pod, NOW).splitlines()[-1]
        while psql(pod, ARCHIVED.format(file)) != "t":
            if time.monotonic() > deadline:
                raise ClusterError(f"{file} is not in the archive after {within:g} s")
            time.sleep(0.5)  # the archiver has no event
    except ClusterError as error:
        say(f"restore: the archive may not have the last changes of {cluster}: {error}")


def _serving() -> str:
    name = serving()
    if name is None:
        raise ClusterError(
            "PostgreSQL is one pod here, without an archive: `make backup` and `make restore`, without "
            "WHERE=production, dump and restore it"
        )
    return name


def _archiver(cluster: Object) -> Object:
    for plugin in cluster["spec"].get("plugins", []):
        if plugin["name"] == PLUGIN:
            found: Object = plugin
            return found
    raise ClusterError(
        f"the Cluster {cluster['metadata']['name']} has no archive: list postgres-archive in the overlay"
    )


def _server(cluster: Object) -> str:
    """The name under which the archive has a Cluster."""
    name: str = _archiver(cluster)["parameters"].get("serverName") or cluster["metadata"]["name"]
    return name


def _stamp() -> str:
    return f"{datetime.now(UTC):%Y%m%d%H%M%S}"


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


if __name__ == "__main__":
    main(run, "archive")
