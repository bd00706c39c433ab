"""The actions of the buttons in Tilt's UI: python -m cluster.actions (restart-replica|sql|delete-data)."""

import os
import subprocess
import sys
from collections.abc import Callable

from cluster.kubectl import REPLICAS, ClusterError, command, get, kubectl, main
from cluster.postgres import SERVICE

# The rows of all tables at once, whatever foreign keys they have, or of none. The events stay, and a reset tells the
# subscribers of every resource to read its list again. It fails if it cannot lock all tables within five seconds, for
# example during an export, because requests wait behind it. Tables of extensions contain no data of the service.
DELETE_DATA = """
    SET lock_timeout = '5s';
    DO $$
    DECLARE
        found text;
    BEGIN
        SELECT string_agg(format('%I', relname), ', ' ORDER BY relname) INTO found
          FROM pg_class
         WHERE relnamespace = 'app'::regnamespace
           AND relkind IN ('r', 'p')
           AND relname NOT IN ('schema_migrations', 'events', 'events_pruned')
           AND NOT EXISTS (
               SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'
           );
        IF found IS NOT NULL THEN
            EXECUTE 'TRUNCATE ' || found;
            PERFORM reset_events();
        END IF;
        RAISE NOTICE 'deleted all rows of: %', coalesce(found, 'no table, because there is none');
    END
    $$
"""


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


def delete_data() -> int:
    """Deletes the rows of all tables, and prints the names of the tables."""
    return _psql(DELETE_DATA)


def _psql(statements: str, settings: str = "") -> int:
    # psql connects as the superuser by the Unix socket, where the container's user needs no password. The Service has
    # one pod: the only PostgreSQL, or the primary.
    psql = ("env", f"PGOPTIONS=-c search_path=app {settings}", "psql", "--dbname=app", "--no-psqlrc")
    line = command("exec", f"service/{SERVICE}", "--container=postgres", "--", *psql, f"--command={statements}")
    return subprocess.run(line, check=False).returncode


ACTIONS: dict[str, Callable[[], int]] = {
    "restart-replica": restart_replica,
    "sql": sql,
    "delete-data": delete_data,
}


def run() -> int:
    action = ACTIONS.get(" ".join(sys.argv[1:]))
    if action is None:
        sys.stderr.write(f"usage: python -m cluster.actions ({'|'.join(ACTIONS)})\n")
        return 2
    return action()


if __name__ == "__main__":
    main(run, "cluster")
