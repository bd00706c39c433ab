"""`make backup`, `make restore FILE=name` and, without FILE, what there is to restore."""

import os
import subprocess
import sys
import time

from cluster.kubectl import CONTEXT, ClusterError, command, kubectl, main

POD = "postgres-0"
CRONJOB = "cronjob/postgres-backup"
BACKED_UP_WITHIN = "1h"


def run() -> int:
    if sys.argv[1:] == ["backup"]:
        return backup()
    if sys.argv[1:] == ["restore"]:
        file = os.environ.get("FILE")
        return restore(file) if file else show()
    sys.stderr.write("usage: python -m cluster.backups (backup|restore), the second with FILE=name\n")
    return 2


def backup() -> int:
    """Runs tonight's job now, and waits for it."""
    job = f"postgres-backup-{int(time.time())}"
    kubectl("create", "job", job, f"--from={CRONJOB}")
    try:
        kubectl("wait", f"job/{job}", "--for=condition=Complete", f"--timeout={BACKED_UP_WITHIN}")
    finally:
        sys.stdout.write(kubectl("logs", f"job/{job}", "--container=backup", check=False).stdout)
    return 0


def restore(file: str) -> int:
    """Puts the database back to a dump; on any error it stays as it is."""
    if "/" in file or not file.endswith(".dump"):
        raise ClusterError(f"FILE={file}: give one of the names that `make restore` lists")
    return _in_pod("bash", "/scripts/restore.sh", file)


def show() -> int:
    sys.stdout.write(f"Dumps in {CONTEXT}, newest first; `make restore FILE=name` goes back to one:\n")
    sys.stdout.flush()
    return _in_pod("sh", "-c", "cd /backups && ls -1t -- *.dump 2>/dev/null || echo 'none: `make backup` makes one'")


def _in_pod(*arguments: str) -> int:
    return subprocess.run(command("exec", POD, "--container=postgres", "--", *arguments), check=False).returncode


if __name__ == "__main__":
    main(run, "backups")
