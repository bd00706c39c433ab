"""The actions of the buttons in Tilt's UI: python -m cluster.actions (restart-replica|sql|delete-notes)."""

import os
import subprocess
import sys
from collections.abc import Callable

from cluster.kubectl import REPLICAS, ClusterError, command, get, kubectl, main


def restart_replica() -> int:
    """Deletes the oldest pod of the service; its Deployment creates a new one."""
    pods = sorted(get("pods", REPLICAS), key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    if not pods:
        raise ClusterError("no replica of the service runs: start it with `tilt up`")
    name = pods[0]["metadata"]["name"]
    sys.stdout.write(f"{name} drains and ends; a new pod replaces it\n")
    kubectl("delete", "pod", name, "--wait=false")
    return 0


def sql() -> int:
    """Runs the statement in the variable SQL as the service's role, which cannot change the schema."""
    statement = os.environ.get("SQL", "").strip()
    if not statement:
        raise ClusterError("the variable SQL is empty: set it to a statement")
    return _psql(statement, "-c role=app_rw")


def delete_notes() -> int:
    """Deletes all notes. The database's triggers notify open pages."""
    return _psql("DELETE FROM idempotency_keys; DELETE FROM notes;")


def _psql(statements: str, settings: str = "") -> int:
    # psql connects as the superuser by the Unix socket, where the container's user needs no password.
    psql = ("env", f"PGOPTIONS=-c search_path=app {settings}", "psql", "--dbname=app", "--no-psqlrc")
    line = command("exec", "postgres-0", "--container=postgres", "--", *psql, f"--command={statements}")
    return subprocess.run(line, check=False).returncode


ACTIONS: dict[str, Callable[[], int]] = {
    "restart-replica": restart_replica,
    "sql": sql,
    "delete-notes": delete_notes,
}


def run() -> int:
    action = ACTIONS.get(" ".join(sys.argv[1:]))
    if action is None:
        sys.stderr.write(f"usage: python -m cluster.actions ({'|'.join(ACTIONS)})\n")
        return 2
    return action()


if __name__ == "__main__":
    main(run, "cluster")
