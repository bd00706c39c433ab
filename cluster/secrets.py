"""`python -m cluster.secrets`: prints the Secrets of a cluster as JSON, for Tilt or `kubectl apply -f -`.

The passwords and the development certificate are created once and kept in the git-ignored folder .secrets/, or in the
one that SECRETS names. The certificate is renewed a month before it expires. Needs openssl.

`--production` leaves out what only development has: the passwords of its users, and its certificate, which the
gateway would serve in the place of that of cert-manager or of a person.

Without SECRETS, nothing is printed for another cluster than the local one, whose passwords it would get.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

from cluster.kubectl import CONTEXT, LOCAL, NAME, NAMESPACE, ClusterError, current_context, main
from workbench.errors import WorkbenchError
from workbench.machine.folders import IDENTITY_PROVIDER
from workbench.machine.passwords import FOLDER, make_folder, of_user, password, write

PASSWORDS = ("postgres-password", "app-owner-password", "app-rw-password", "metrics-password")
OF_ROLES = {"app_owner": "app-owner-password", "app_rw": "app-rw-password", "metrics": "metrics-password"}
"""Those that CloudNativePG sets too, each from a Secret of its own."""
GRAFANA_PASSWORD = "admin-password"  # noqa: S105 - the key, not the password
RECEIVERS = ("page", "ticket", "heartbeat")
"""Of alerts. Each has an address, which is a secret; see docs/alerting.md."""
REMEDY = "`python3 -m cluster.secrets --production | kubectl apply --server-side -f -` makes it"
"""For a Secret that is missing."""
HOSTS = ("DNS:localhost", f"DNS:{NAME}.localhost", "IP:127.0.0.1")  # as in the comment of k8s/istio/gateway.yaml

CERTIFICATE, KEY = "tls.crt", "tls.key"
"""The files of the development certificate."""

_ALERTMANAGER = "alertmanager-"
_NOBODY = "http://localhost:9/"  # until a person writes the address of a receiver into the file
_CERTIFICATE_DAYS = 397  # browsers refuse certificates that are valid for longer
_RENEW_SECONDS = 30 * 24 * 3600


def manifests(folder: Path = FOLDER, *, production: bool = False) -> dict[str, Any]:
    """The Secrets, as a List of Kubernetes. Creates the files that are missing in the folder. Raises ClusterError."""
    try:
        make_folder(folder)
        grafana = {GRAFANA_PASSWORD: password(folder / f"grafana-{GRAFANA_PASSWORD}")}
        database = {name: password(folder / name) for name in PASSWORDS}
        alertmanager = _of_alertmanager(folder)
        development = [] if production else _of_development(folder)
    except OSError as error:
        raise ClusterError(
            f"{error.filename}: {error.strerror}: make {folder} writable, it keeps the secrets"
        ) from error
    except WorkbenchError as error:
        raise ClusterError(str(error)) from error
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            _secret(NAMESPACE, "database", "Opaque", database),
            *(of_role(role, database[name]) for role, name in OF_ROLES.items()),
            _secret("observability", "grafana", "Opaque", grafana),
            _secret("observability", "alertmanager", "Opaque", alertmanager),
            *development,
        ],
    }


def _of_alertmanager(folder: Path) -> dict[str, str]:
    """The addresses of the receivers, and what else the overlay's receivers read."""
    for file in (folder / f"{_ALERTMANAGER}{name}" for name in RECEIVERS):
        if not file.exists():
            write(file, _NOBODY)
    files = sorted(folder.glob(f"{_ALERTMANAGER}*"))
    return {file.name.removeprefix(_ALERTMANAGER): file.read_text(encoding="utf-8").strip() for file in files}


def _of_development(folder: Path) -> list[dict[str, Any]]:
    """The passwords of its users, for Dex, and its certificate."""
    identity = {name: password(of_user(name, folder)) for name in users()}
    return [_secret(NAMESPACE, "identity", "Opaque", identity), of_gateway(*_certificate(folder))]


def users() -> list[str]:
    """The names of the users for development. Their file is YAML, which the standard library cannot read."""
    text = (IDENTITY_PROVIDER / "dex.yaml").read_text(encoding="utf-8")
    return re.findall(r"^    userID: (\S+)$", text, re.MULTILINE)


def of_role(role: str, password: str) -> dict[str, Any]:
    """The Secret from which CloudNativePG sets the password of a role, as soon as it changes."""
    secret = _secret(
        NAMESPACE,
        f"database-{role.replace('_', '-')}",
        "kubernetes.io/basic-auth",
        {"username": role, "password": password},
    )
    secret["metadata"]["labels"]["cnpg.io/reload"] = "true"  # otherwise at some later time
    return secret


def keep_password(file: Path, before: str, new: str) -> None:
    """Writes a new password into the file, from which the old one would come back with the next `manifests()`.

    A file that has neither of them belongs to another cluster. It stays, and standard output says so.
    """
    found = file.read_text(encoding="utf-8").strip() if file.exists() else None
    if found == before:
        write(file, new)
    elif found != new:
        sys.stdout.write(
            f"rotate: {file} is not of this cluster and stays: SECRETS= names the folder of its secrets\n"
        )


def _secret(namespace: str, name: str, kind: str, data: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": NAME},
        },
        "data": {key: b64encode(value.encode()).decode() for key, value in data.items()},
    }


def of_gateway(certificate: str, key: str) -> dict[str, Any]:
    """The Secret with the certificate. Istio reads a Gateway's from the namespace of the gateway's pods."""
    return _secret("istio-system", f"{NAME}-tls", "kubernetes.io/tls", {"tls.crt": certificate, "tls.key": key})


def _certificate(folder: Path) -> tuple[str, str]:
    certificate, key = folder / CERTIFICATE, folder / KEY
    if new(certificate).exists() and not new(key).exists():
        keep_certificate(folder)  # it was interrupted, and the key of before is gone
    if not (certificate.exists() and key.exists() and _is_valid(certificate)):
        make_certificate(folder)
        keep_certificate(folder)
    return certificate.read_text(), key.read_text()


def make_certificate(folder: Path) -> None:
    """Makes a development certificate beside that which the folder keeps. Raises ClusterError."""
    certificate, key = new(folder / CERTIFICATE), new(folder / KEY)
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", str(_CERTIFICATE_DAYS), "-subj", f"/CN={NAME} (development)"),
        *("-addext", f"subjectAltName={','.join(HOSTS)}", "-addext", "extendedKeyUsage=serverAuth"),
        *("-out", str(certificate), "-keyout", str(key)),
    )
    key.chmod(0o600)


def keep_certificate(folder: Path) -> None:
    """Lets the folder keep the new certificate. If it is interrupted, the next call goes on."""
    for file in (folder / KEY, folder / CERTIFICATE):
        if new(file).exists():
            new(file).replace(file)


def new(file: Path) -> Path:
    """Where the next content of a file is until it takes its place."""
    return file.with_name(f"{file.name}.new")


def _is_valid(certificate: Path) -> bool:
    return _openssl("x509", "-checkend", str(_RENEW_SECONDS), "-noout", "-in", str(certificate), check=False) == 0


def _openssl(*arguments: str, check: bool = True) -> int:
    if shutil.which("openssl") is None:
        raise ClusterError("openssl is not installed: install it to create the development certificate")
    done = subprocess.run(("openssl", *arguments), capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise ClusterError(f"openssl {arguments[0]}: {done.stderr.strip()}")
    return done.returncode


def run() -> int:
    arguments = sys.argv[1:]
    if arguments not in ([], ["--production"]):
        raise ClusterError(f"{' '.join(arguments)} is not valid: only --production is")
    production = bool(arguments)
    if not os.environ.get("SECRETS") and (other := "production" if production else _other_context()):
        raise ClusterError(
            f"SECRETS is not set, so {other} would get the passwords of the local cluster: "
            "`export SECRETS=.secrets/production`, or SECRETS=.secrets if you mean those"
        )
    json.dump(manifests(production=production), sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


def _other_context() -> str:
    """The context of another cluster, which the output may be meant for. Empty if only the local one can be."""
    return next((context for context in (CONTEXT, current_context()) if context != LOCAL), "")


if __name__ == "__main__":
    main(run, "secrets")
