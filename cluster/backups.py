"""`make backup`, and `make restore FILE=name`, which without FILE lists the dumps, where PostgreSQL is one pod."""

import os
import subprocess
import sys
import time

from cluster.kubectl import CONTEXT, ClusterError, command, kubectl, main
from cluster.postgres import serving

POD = "postgres-0"
CRONJOB = "cronjob/postgres-backup"
BACKED_UP_WITHIN = "1h"


def run() -> int:
    if sys.argv[1:] == ["backup"]:
        return backup()
    if sys.argv[1:] == ["restore"]:
        file = os.environ.get("FILE")
        return restore(file) if file else show()
    sys.stderr.write("usage: python -m cluster.backups (backup|restore); restore takes FILE=name\n")
    return 2


def backup() -> int:
    """Runs the nightly job now, and waits until it has finished."""
    _check_is_one_pod()
    job = f"postgres-backup-{int(time.time())}"
    kubectl("create", "job", job, f"--from={CRONJOB}")
    try:
        kubectl("wait", f"job/{job}", "--for=condition=Complete", f"--timeout={BACKED_UP_WITHIN}")
    finally:
        sys.stdout.write(kubectl("logs", f"job/{job}", "--container=backup", check=False).stdout)
    return 0


def restore(file: str) -> int:
    """Restores the database from a dump. After an error it is unchanged."""
    if "/" in file or not file.endswith(".dump"):
        raise ClusterError(f"FILE={file} is not the name of a dump: use one that `make restore` lists")
    _check_is_one_pod()
    return _in_pod("bash", "/scripts/restore.sh", file)


def show() -> int:
    _check_is_one_pod()
    sys.stdout.write(f"Dumps in {CONTEXT}, newest first; `make restore FILE=name` restores one:\n")
    sys.stdout.flush()
    return _in_pod(
        "sh", "-c", "cd /backups && ls -1t -- *.dump 2>/dev/null || echo 'none: `make backup` creates one'"
    )


def _check_is_one_pod() -> None:
    """Raises ClusterError if PostgreSQL is a Cluster of CloudNativePG, of which there are no dumps."""
    if name := serving():
        raise ClusterError(
            f"PostgreSQL is the Cluster {name} in {CONTEXT}, of which there are no dumps: WHERE=production has its "
            "archive"
        )


def _in_pod(*arguments: str) -> int:
    return subprocess.run(command("exec", POD, "--container=postgres", "--", *arguments), check=False).returncode


if __name__ == "__main__":
    main(run, "backups")
