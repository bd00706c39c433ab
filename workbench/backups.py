"""`make backup` and `make restore` with WHERE=workbench. Without FILE=name, the second lists what there is.

The same scripts as in the cluster (k8s/postgres/backup.sh, restore.sh), on the PostgreSQL of the `make dev` that runs
on DATA; the dumps are in DATA/backups. The service goes on meanwhile.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from workbench.errors import UsageError, WorkbenchError
from workbench.machine.folders import ROLES, shown
from workbench.options import data_folder
from workbench.parts.postgres import SUPERUSER, environment, program

SCRIPTS = ROLES.parent
SOCKETS = 4  # the line of postmaster.pid that names the folder of the socket, counted from 0


def main(arguments: list[str], variables: Mapping[str, str]) -> int:
    data = data_folder(variables)
    match arguments, variables.get("FILE"):
        case ["backup"], _:
            return run("backup.sh", data, role="app_owner")
        case ["restore"], str(file) if file:
            if "/" in file or not file.endswith(".dump"):
                raise UsageError(f"FILE={file}: give one of the names that `make restore WHERE=workbench` lists")
            return run("restore.sh", data, file, role=SUPERUSER)
        case ["restore"], _:
            show(data)
            return 0
    raise UsageError("python -m workbench.backups (backup|restore), the second with FILE=name")


def run(script: str, data: Path, *arguments: str, role: str) -> int:
    """The exit status of one of the scripts. Raises WorkbenchError if no workbench runs on `data`."""
    backups = data / "backups"
    sockets = running_on(data)
    backups.mkdir(exist_ok=True)
    variables = environment() | {
        "PATH": f"{program('psql').parent}{os.pathsep}{os.environ['PATH']}",
        "PGHOST": str(sockets),
        "PGUSER": role,
        "BACKUPS": str(backups),
    }
    return subprocess.run(["bash", SCRIPTS / script, *arguments], env=variables, check=False).returncode


def running_on(data: Path) -> Path:
    """The folder of the socket of the PostgreSQL that runs there."""
    try:
        sockets = (data / "postgres" / "postmaster.pid").read_text().splitlines()[SOCKETS]
    except (OSError, IndexError) as error:
        raise WorkbenchError(
            f"no workbench runs on {shown(data)}: start it with `make dev`, or name its DATA="
        ) from error
    return Path(sockets)


def show(data: Path) -> None:
    """The dumps, newest first."""
    dumps = sorted((data / "backups").glob("*.dump"), key=lambda dump: dump.stat().st_mtime, reverse=True)
    names = [dump.name for dump in dumps] or ["none: `make backup WHERE=workbench` makes one"]
    sys.stdout.write(f"Dumps in {shown(data / 'backups')}, newest first:\n" + "".join(f"{name}\n" for name in names))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:], os.environ))
    except WorkbenchError as error:
        sys.exit(f"make: {error}")
