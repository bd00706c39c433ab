"""`make rotate SECRET=app-rw-password`: a new password, while requests go on.

For a while the old password and the next one are both known to those who connect, so it does not matter which of them
PostgreSQL accepts. A rotation that was interrupted goes on with the same password when it is started again.
"""

import json
import os
import secrets
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from cluster import certificate, grafana
from cluster.kubectl import ClusterError, apply, find, get, kubectl, main
from cluster.postgres import primary, psql, serving
from cluster.secrets import OF_ROLES, REMEDY, keep_password, of_role
from workbench.machine.passwords import FOLDER

SECRET = "database"  # noqa: S105 - the name of the Secret
PASSWORDS = "/passwords"  # where the pods of the service have their passwords as files
SEEN_WITHIN = 300.0  # s; the kubelet brings a changed Secret into a pod within two minutes
SET_WITHIN = 120.0

# Pods that read a password when they start, and then no more.
STARTED_WITH = {"metrics-password": "deployment/postgres-exporter"}

# A PgBouncer logs in to PostgreSQL with what a client of before has proved. New ones know only new log-ins.
POOLER = "postgres-pooler"

# In a pod of the service: the SHA-256 of a file. The password itself stays there.
DIGEST = "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())"
# In the pod of PostgreSQL, over TCP, where a password is asked for. It comes from standard input.
LOG_IN = (
    "read -r PGPASSWORD; export PGPASSWORD; "
    'exec psql --host=127.0.0.1 --username="$1" --dbname=app --no-psqlrc --no-password --quiet --command="SELECT 1"'
)


def run() -> int:
    name = os.environ.get("SECRET", "")
    rotation = ROTATIONS.get(name)
    if rotation is None:
        raise ClusterError(f"SECRET={name} cannot be rotated: only {', '.join(sorted(ROTATIONS))} can")
    started = time.monotonic()
    rotation(name)
    say(f"rotate: {name} is new, after {time.monotonic() - started:.0f} s")
    return 0


def of_database(key: str) -> None:
    """A new password of a role of PostgreSQL. Raises ClusterError if a step fails; the next call goes on there."""
    role = next((role for role, of_it in OF_ROLES.items() if of_it == key), "postgres")
    if role == "postgres" and serving():
        raise ClusterError(f"{key}: the superuser of CloudNativePG has no password")
    before = _read(key)
    if before is None:
        raise ClusterError(f"the Secret {SECRET} has no {key}: {REMEDY}")
    new = _read(f"{key}-next") or secrets.token_urlsafe(24)
    _write({f"{key}-next": new})
    if role == "app_rw":
        say("rotate: waiting until each replica knows the next password")
        _until(
            lambda: _all_replicas_know(key, new), SEEN_WITHIN, "not each replica has the file of the next password"
        )
    _set(role, new)
    if role == "app_rw" and find("deployment", POOLER):
        _restart(f"deployment/{POOLER}")
    keep_password(FOLDER / key, before, new)  # before the Secret, which then no longer says what was in the file
    _write({key: new, f"{key}-next": None})
    _set(role, new)  # again, if PostgreSQL has started in between, with the old one
    if pods := STARTED_WITH.get(key):
        _restart(pods)


ROTATIONS: dict[str, Callable[[str], None]] = {
    **dict.fromkeys(("postgres-password", *OF_ROLES.values()), of_database),
    certificate.SECRET: certificate.renew,
    "grafana-admin-password": grafana.new_password,
}


def _set(role: str, password: str) -> None:
    """Lets PostgreSQL accept this password of a role, and waits until it does."""
    if serving():
        apply(of_role(role, password))
    else:
        quoted = password.replace("'", "''")
        quiet = "SET log_min_error_statement = panic; SET log_min_duration_statement = -1"  # no password in the log
        psql(primary(), f"{quiet}; ALTER ROLE {role} PASSWORD '{quoted}';")
    _until(lambda: _is_accepted(role, password), SET_WITHIN, f"PostgreSQL refuses the next password of {role}")


def _is_accepted(role: str, password: str) -> bool:
    shell = ("sh", "-c", LOG_IN, "sh", role)
    line = ("exec", "--stdin", primary(), "--container=postgres", "--", *shell)
    return kubectl(*line, sent=f"{password}\n", check=False).returncode == 0


def _all_replicas_know(key: str, password: str) -> bool:
    wanted = sha256(password.encode()).hexdigest()
    for pod in get("pods", "--selector=app.kubernetes.io/component=service", "--field-selector=status.phase=Running"):
        if "deletionTimestamp" in pod["metadata"]:
            continue
        python = ("python", "-c", DIGEST, f"{PASSWORDS}/{key}-next")
        line = ("exec", pod["metadata"]["name"], "--container=service", "--", *python)
        if kubectl(*line, check=False).stdout.strip() != wanted:
            return False
    return True


def _restart(pods: str) -> None:
    kubectl("rollout", "restart", pods)
    kubectl("rollout", "status", pods, f"--timeout={SET_WITHIN:g}s")


def _until(holds: Callable[[], bool], within: float, error: str) -> None:
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            raise ClusterError(f"{error} after {within:g} s; start it again, and it goes on with the same password")
        time.sleep(1)  # files in pods, and roles, have no event


def _read(key: str) -> str | None:
    secret = find("secret", SECRET) or {}
    value = secret.get("data", {}).get(key)
    return None if value is None else b64decode(value).decode()


def _write(values: dict[str, Any]) -> None:
    """Sets keys of the Secret, or removes those whose value is None. No value is an argument of a command."""
    data = {key: None if value is None else b64encode(value.encode()).decode() for key, value in values.items()}
    kubectl("patch", "secret", SECRET, "--type=merge", "--patch-file=/dev/stdin", sent=json.dumps({"data": data}))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(run, "rotate")
