"""`python -m cluster.secrets`: prints the Secrets of the local cluster as JSON, for Tilt or `kubectl apply -f -`.

The passwords and the development certificate are created once and kept in the git-ignored folder .secrets/. The
certificate is renewed a month before it expires. Needs openssl.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

from cluster.kubectl import NAME, NAMESPACE, ClusterError, main

FOLDER = Path(__file__).resolve().parent.parent / ".secrets"
PASSWORDS = ("postgres-password", "app-owner-password", "app-rw-password", "metrics-password")
GRAFANA_PASSWORD = "admin-password"  # noqa: S105 - the key, not the password
HOSTS = ("DNS:localhost", f"DNS:{NAME}.localhost", "IP:127.0.0.1")  # as in the comment of k8s/istio/gateway.yaml

_PASSWORD_BYTES = 24
_CERTIFICATE_DAYS = 397  # browsers refuse certificates that are valid for longer
_RENEW_SECONDS = 30 * 24 * 3600


def manifests(folder: Path = FOLDER) -> dict[str, Any]:
    """The Secrets, as a List of Kubernetes. Creates the files that are missing in the folder. Raises ClusterError."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        grafana = {GRAFANA_PASSWORD: _password(folder / f"grafana-{GRAFANA_PASSWORD}")}
        database = {name: _password(folder / name) for name in PASSWORDS}
        certificate, key = _certificate(folder)
    except OSError as error:
        raise ClusterError(
            f"{error.filename}: {error.strerror}: make {folder} writable, it keeps the secrets"
        ) from error
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            _secret(NAMESPACE, "database", "Opaque", database),
            _secret("observability", "grafana", "Opaque", grafana),
            # Istio reads a Gateway's certificate from the namespace of the gateway's pods.
            _secret("istio-system", f"{NAME}-tls", "kubernetes.io/tls", {"tls.crt": certificate, "tls.key": key}),
        ],
    }


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


def _password(file: Path) -> str:
    if not file.exists():
        _write(file, secrets.token_urlsafe(_PASSWORD_BYTES))
    password = file.read_text().strip()
    if not password:
        raise ClusterError(f"{file} is empty: write the password into it, or remove the file to get a new password")
    return password


def _certificate(folder: Path) -> tuple[str, str]:
    certificate, key = folder / "tls.crt", folder / "tls.key"
    if not (certificate.exists() and key.exists() and _is_valid(certificate)):
        made = folder / "tls.crt.new", folder / "tls.key.new"
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", str(_CERTIFICATE_DAYS), "-subj", f"/CN={NAME} (development)"),
            *("-addext", f"subjectAltName={','.join(HOSTS)}", "-addext", "extendedKeyUsage=serverAuth"),
            *("-out", str(made[0]), "-keyout", str(made[1])),
        )
        made[1].chmod(0o600)
        made[1].replace(key)
        made[0].replace(certificate)
    return certificate.read_text(), key.read_text()


def _is_valid(certificate: Path) -> bool:
    return _openssl("x509", "-checkend", str(_RENEW_SECONDS), "-noout", "-in", str(certificate), check=False) == 0


def _openssl(*arguments: str, check: bool = True) -> int:
    if shutil.which("openssl") is None:
        raise ClusterError("openssl is not installed: install it to create the development certificate")
    done = subprocess.run(("openssl", *arguments), capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise ClusterError(f"openssl {arguments[0]}: {done.stderr.strip()}")
    return done.returncode


def _write(file: Path, content: str) -> None:
    """Writes the file atomically. Only its owner can read it."""
    part = file.with_name(f"{file.name}.new")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(f"{content}\n")
    part.replace(file)


def run() -> int:
    json.dump(manifests(), sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    main(run, "secrets")
