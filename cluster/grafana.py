"""A new password of Grafana's admin: `make rotate SECRET=grafana-admin-password`.

Grafana reads it only while it makes its database, which is in a volume that each pod has for itself. So a new pod has
the new password. The old one serves until the new one is ready.
"""

import json
import secrets
from base64 import b64decode, b64encode

from cluster.kubectl import ClusterError, find, kubectl
from cluster.secrets import GRAFANA_PASSWORD, REMEDY, keep_password
from workbench.machine.passwords import FOLDER

NAMESPACE = "observability"
READY_WITHIN = "5m"


def new_password(name: str) -> None:
    """Raises ClusterError if the Secret or the Deployment is not there, or the new pod does not become ready."""
    found = find("secret", "grafana", namespace=NAMESPACE)
    if found is None:
        raise ClusterError(f"there is no Secret grafana in {NAMESPACE}: {REMEDY}")
    before = b64decode(found["data"][GRAFANA_PASSWORD]).decode()
    password = secrets.token_urlsafe(24)
    patch = json.dumps({"data": {GRAFANA_PASSWORD: b64encode(password.encode()).decode()}})
    line = ("patch", "secret", "grafana", "--type=merge", "--patch-file=/dev/stdin")
    kubectl(*line, namespace=NAMESPACE, sent=patch)
    keep_password(FOLDER / name, before, password)
    kubectl("rollout", "restart", "deployment/grafana", namespace=NAMESPACE)
    kubectl("rollout", "status", "deployment/grafana", f"--timeout={READY_WITHIN}", namespace=NAMESPACE)
