"""A new certificate of the gateway, without a failed request: `make rotate SECRET=NAME-tls`.

The gateway takes a changed Secret for new connections; those that are open go on.
"""

import json
import subprocess
import time
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster import secrets
from cluster.kubectl import NAME, ClusterError, apply, find, get, kubectl
from workbench.machine.passwords import FOLDER

SECRET = f"{NAME}-tls"
GATEWAY = "istio-system"
"""The namespace of the gateway's pods, of the Secret and of cert-manager's Certificate."""
KIND = "certificates.cert-manager.io"
WITHIN = 300.0  # s; an authority that is asked over the internet takes a minute or two


def renew(name: str) -> None:
    """From cert-manager if it manages the certificate, or else that of the folder of secrets.

    Waits until each gateway serves it. Raises ClusterError if the certificate comes from elsewhere, or if it takes
    too long.
    """
    before = _serial()
    managed = find("crd", KIND, namespace=GATEWAY) and find(KIND, SECRET, namespace=GATEWAY)
    if managed:
        _ask(managed)
    else:
        _make(name)
    _until(lambda: _serial() != before, f"the Secret {SECRET} has no new certificate", _reason if managed else str)
    _until(_is_served_everywhere, "not each gateway serves the new certificate", str)


def _ask(certificate: dict[str, Any]) -> None:
    """As `cmctl renew` does."""
    asked = {
        "type": "Issuing",
        "status": "True",
        "reason": "ManuallyTriggered",
        "message": "make rotate",
        "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    others = [known for known in certificate.get("status", {}).get("conditions", []) if known["type"] != "Issuing"]
    patch = json.dumps({"status": {"conditions": [*others, asked]}})
    kubectl("patch", KIND, SECRET, "--subresource=status", "--type=merge", f"--patch={patch}", namespace=GATEWAY)


def _make(name: str) -> None:
    """Makes the development certificate anew. The folder keeps the old one until the Secret has the new one."""
    file, stored = FOLDER / secrets.CERTIFICATE, _stored()
    if _has(secrets.new(file), stored):
        secrets.keep_certificate(FOLDER)  # of a call that was interrupted
    if not _has(file, stored):
        raise ClusterError(
            f"the certificate of the gateway is neither cert-manager's nor that of {FOLDER} (SECRETS= names another "
            f"folder): to replace it by one of yours, `kubectl create secret tls {name} -n {GATEWAY} --cert=FILE "
            "--key=FILE --dry-run=client -o yaml | kubectl apply -f -`"
        )
    secrets.make_certificate(FOLDER)
    made = (secrets.new(FOLDER / part).read_text(encoding="utf-8") for part in (secrets.CERTIFICATE, secrets.KEY))
    apply(secrets.of_gateway(*made))
    secrets.keep_certificate(FOLDER)


def _has(file: Path, content: str) -> bool:
    return file.exists() and file.read_text(encoding="utf-8") == content


def _stored() -> str:
    found = find("secret", SECRET, namespace=GATEWAY)
    if found is None:
        made = "`python3 -m cluster.secrets | kubectl apply -f -`"
        raise ClusterError(f"there is no Secret {SECRET} in {GATEWAY}: {made}")
    return b64decode(found["data"]["tls.crt"]).decode()


def _serial() -> int:
    line = ("openssl", "x509", "-noout", "-serial")
    done = subprocess.run(line, input=_stored(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"the Secret {SECRET} has no certificate: {done.stderr.strip()}")
    return int(done.stdout.strip().partition("=")[2], 16)


def _is_served_everywhere() -> bool:
    wanted = _serial()
    running = ("--selector=istio=ingressgateway", "--field-selector=status.phase=Running")
    pods = [each["metadata"] for each in get("pods", *running, namespace=GATEWAY)]
    return all(wanted in _served(pod["name"]) for pod in pods if "deletionTimestamp" not in pod)


def _served(pod: str) -> set[int]:
    """The serial numbers of all certificates that a gateway has, says its Envoy."""
    answer = kubectl("exec", pod, "--", "pilot-agent", "request", "GET", "certs", namespace=GATEWAY).stdout
    certificates = json.loads(answer)["certificates"]
    return {int(each["serial_number"], 16) for one in certificates for each in one.get("cert_chain", [])}


def _reason() -> str:
    """What cert-manager says about a certificate that it could not renew."""
    found = find(KIND, SECRET, namespace=GATEWAY) or {}
    conditions = found.get("status", {}).get("conditions", [])
    said = [each["message"] for each in conditions if each["type"] == "Issuing"]
    return "".join(f": {text}" for text in said)


def _until(holds: Callable[[], bool], error: str, reason: Callable[[], str]) -> None:
    deadline = time.monotonic() + WITHIN
    while not holds():
        if time.monotonic() > deadline:
            raise ClusterError(f"{error} after {WITHIN:g} s{reason()}; the old one is still served")
        time.sleep(1)  # what the gateway serves has no event
