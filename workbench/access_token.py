"""`make token`: prints an access token of a user, for scripts, and nothing else.

The key of the provider signs it, so no password is asked for. It has the role that is asked for even if the user does
not. Exit status: 1 if no provider runs, 2 if there is no such user.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from workbench.errors import UsageError, WorkbenchError
from workbench.identity import keys
from workbench.identity.choice import chosen
from workbench.identity.data import Files
from workbench.identity.forms import SCOPES
from workbench.identity.registered import read
from workbench.ingress.rule_files import IngressRuleError
from workbench.machine.folders import IDENTITY_PROVIDER, data_folder, display_path
from workbench.machine.lock import holder
from workbench.project import NAME

Make = Callable[[str | None, str | None], str]
"""Makes a token of a user with a role; None lets it choose. Raises WorkbenchError or IngressRuleError."""


def main(make: Make) -> int:
    parser = argparse.ArgumentParser(prog="make token", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--user")
    parser.add_argument("--role")
    arguments = parser.parse_args()
    try:
        token = make(arguments.user, arguments.role)
    except (WorkbenchError, IngressRuleError) as error:
        sys.stderr.write(f"make token: {error}\n")
        return 2 if isinstance(error, UsageError) else 1
    sys.stdout.write(f"{token}\n")
    return 0


def of_workbench(data: Path, user: str | None, role: str | None, component: Path = IDENTITY_PROVIDER) -> str:
    """A token for the `make dev` that runs on `data`."""
    files, folder = Files.of(data), display_path(data)
    if holder(data) is None:
        raise WorkbenchError(
            f"no workbench runs on {folder}: start one with `make dev`, or name its folder: make token DATA=..."
        )
    try:
        url = files.url.read_text()
        key = keys.read_key(files.key)
    except FileNotFoundError:
        raise WorkbenchError(
            f"the workbench on {folder} has no identity provider, or has not started it yet: start it with "
            "`make dev IDENTITY=yes`"
        ) from None
    except (OSError, ValueError) as error:
        raise WorkbenchError(f"{display_path(files.folder)} cannot be used: {error}") from error
    registered = read(component, url)
    found = chosen(registered, user, role)
    if role and role not in found.roles:
        found = found.model_copy(update={"roles": [*found.roles, role]})
    lifetime = registered.expiry.tokens
    return keys.sign(key, keys.claims(registered.issuer, found, NAME, lifetime, frozenset(SCOPES)))


if __name__ == "__main__":
    sys.exit(main(lambda user, role: of_workbench(data_folder(os.environ), user, role)))
