"""`make token WHERE=cluster`: the same as workbench/access_token.py, from Dex, with the password in .secrets/.

Dex decides which roles a user has. INGRESS_URL is where it is asked. Unlike the other commands of this folder, it
needs the packages of the workbench.
"""

import json
import os
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from workbench import access_token
from workbench.errors import UsageError, WorkbenchError
from workbench.identity.choice import chosen
from workbench.identity.registered import Registered, read
from workbench.ingress.address import CLUSTER_URL
from workbench.machine.folders import IDENTITY_PROVIDER, display_path
from workbench.machine.passwords import FOLDER, of_user
from workbench.project import NAME

WITHIN = 10.0  # s
START = "start it with `tilt up`"


def of_cluster(user: str | None, role: str | None, url: str = CLUSTER_URL, folder: Path = FOLDER) -> str:
    """A token for the cluster whose ingress is at `url`. Raises WorkbenchError."""
    registered = read(IDENTITY_PROVIDER, CLUSTER_URL)
    found = chosen(registered, user, role)
    if role and role not in found.roles:
        raise UsageError(
            f"ROLE={role}: {found.id} does not have this role: leave out USER, or add the role in "
            f"k8s/components/identity-provider/dex.yaml; there are {registered.describe_users()}"
        )
    try:
        password = of_user(found.id, folder).read_text().strip()
    except OSError as error:
        raise WorkbenchError(
            f"{display_path(of_user(found.id, folder))}: {error.strerror}: the cluster's passwords are in the folder "
            "from which `tilt up` has started it"
        ) from error
    fields = {
        "grant_type": "password",
        "client_id": NAME,
        "username": found.email,
        "password": password,
        "scope": "openid email profile groups",
    }
    status, answer = _post(registered, url, fields)
    if isinstance(token := answer.get("access_token"), str):
        return token
    if status in (404, 405):
        raise WorkbenchError(
            f"{url} has no identity provider: {START}, without --identity=no, and list the components identity and "
            "identity-provider in k8s/overlays/dev/kustomization.yaml"
        )
    if answer.get("error") == "unsupported_grant_type":
        raise WorkbenchError(f"{url} is the ingress of a workbench: name its folder, DATA=..., without WHERE=cluster")
    if answer.get("error") == "access_denied":
        raise WorkbenchError(
            f"Dex has another password for {found.id} than {display_path(folder)}: restart it with "
            f"`kubectl -n {NAME} rollout restart statefulset/identity`"
        )
    said = answer.get("error_description") or answer.get("detail") or "nothing more"
    raise WorkbenchError(f"{url} answered {status}: {said}: look at the log of `identity`, or {START}")


def _post(registered: Registered, url: str, fields: Mapping[str, str]) -> tuple[int, Mapping[str, object]]:
    address = urlsplit(url)
    kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = kind(address.hostname or "localhost", address.port, timeout=WITHIN)
    try:
        path = f"{urlsplit(registered.issuer).path}/token"
        headers = {"content-type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, urlencode(fields), headers)
        response = connection.getresponse()
        body = response.read()
    except (OSError, HTTPException) as error:
        raise WorkbenchError(f"nothing answers at {url} ({error}): {START}, or name another INGRESS_URL=") from error
    finally:
        connection.close()
    try:
        answer = json.loads(body)
    except ValueError:
        answer = {}
    return response.status, answer if isinstance(answer, dict) else {}


if __name__ == "__main__":
    where = os.environ.get("INGRESS_URL") or CLUSTER_URL
    sys.exit(access_token.main(lambda user, role: of_cluster(user, role, where)))
