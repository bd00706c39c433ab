"""PostgreSQL behind the Service `postgres`: one pod, or the primary of a Cluster of CloudNativePG."""

from typing import Any

from cluster.kubectl import ClusterError, find, get, kubectl

SERVICE = "postgres"
CLUSTERS = "clusters.postgresql.cnpg.io"
OF_CLUSTER = "cnpg.io/cluster"
"""The label of a Cluster's pods with its name, by which the Service selects them."""
ROLE = "cnpg.io/instanceRole"
"""The label of an instance with its role. The Service leads to the one whose role is `primary`."""


def serving() -> str | None:
    """The name of the Cluster that serves; None if PostgreSQL is one pod."""
    name: str | None = _selector().get(OF_CLUSTER)
    return name


def primary(cluster: str | None = None) -> str:
    """The pod whose PostgreSQL accepts writes: of this Cluster, or behind the Service."""
    selector = {OF_CLUSTER: cluster, ROLE: "primary"} if cluster else _selector()
    text = ",".join(f"{name}={value}" for name, value in selector.items())
    for pod in get("pods", f"--selector={text}"):
        if "deletionTimestamp" not in pod["metadata"]:
            name: str = pod["metadata"]["name"]
            return name
    raise ClusterError(f"no PostgreSQL accepts writes: there is no pod with {text}: look at `make status`")


def psql(pod: str, statements: str, *settings: str) -> str:
    """Runs SQL as the superuser in the schema of the application, and returns what it selects.

    Raises ClusterError with PostgreSQL's message if a statement fails.
    """
    options = ("--dbname=app", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
    session = " ".join(f"-c {setting}" for setting in ("search_path=app", *settings))
    line = ("exec", "--stdin", pod, "--container=postgres", "--", "env", f"PGOPTIONS={session}", "psql", *options)
    return kubectl(*line, sent=statements).stdout.strip()


def cluster_named(name: str) -> dict[str, Any]:
    """Raises ClusterError if there is no Cluster of this name."""
    found = find(CLUSTERS, name)
    if found is None:
        others = ", ".join(other["metadata"]["name"] for other in get(CLUSTERS)) or "none"
        raise ClusterError(f"there is no Cluster {name}: there are {others}")
    return found


def _selector() -> dict[str, Any]:
    service = find("service", SERVICE)
    if service is None:
        raise ClusterError(f"there is no Service {SERVICE}: apply an overlay first")
    selector: dict[str, Any] = service["spec"]["selector"]
    return selector
