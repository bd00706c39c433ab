"""`make backup` and `make restore` with WHERE=workbench. Without FILE=name, `make restore` lists the dumps.

They run the scripts of the cluster (k8s/postgres/backup.sh, restore.sh) on the PostgreSQL of the `make dev` that runs
on DATA, there on the database that the service uses: with BRANCH_DATABASES=yes that of the branch. The dumps are in
DATA/backups. The service keeps running.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from workbench.errors import UsageError, WorkbenchError
from workbench.machine.folders import ROLES, data_folder, display_path
from workbench.parts.branch_databases import branch_databases
from workbench.parts.pgdata import running_on
from workbench.parts.postgres import SUPERUSER, postgres_environment, program, url

SCRIPTS = ROLES.parent


def main(arguments: list[str], variables: Mapping[str, str]) -> int:
    data = data_folder(variables)
    match arguments, variables.get("FILE"):
        case ["backup"], _:
            return run("backup.sh", data, role="app_owner")
        case ["restore"], str(file) if file:
            if "/" in file or not file.endswith(".dump"):
                raise UsageError(
                    f"FILE={file} is not the name of a dump: use one that `make restore WHERE=workbench` lists"
                )
            return run("restore.sh", data, file, role=SUPERUSER)
        case ["restore"], _:
            show(data)
            return 0
    raise UsageError("usage: python -m workbench.backups (backup|restore); restore takes FILE=name")


def run(script: str, data: Path, *arguments: str, role: str) -> int:
    """Runs one of the scripts and returns its exit status. Raises WorkbenchError if no workbench runs on `data`."""
    backups = data / "backups"
    sockets = running_on(data)
    backups.mkdir(exist_ok=True)
    variables = postgres_environment() | {
        "PATH": f"{program('psql').parent}{os.pathsep}{os.environ['PATH']}",
        "PGHOST": str(sockets),
        "PGUSER": role,
        "PGDATABASE": asyncio.run(_current(sockets)),
        "BACKUPS": str(backups),
    }
    return subprocess.run(["bash", SCRIPTS / script, *arguments], env=variables, check=False).returncode


async def _current(sockets: Path) -> str:
    async with branch_databases(url(sockets, SUPERUSER, "postgres")) as databases:
        return await databases.current()


def show(data: Path) -> None:
    """Lists the dumps, newest first."""
    dumps = sorted((data / "backups").glob("*.dump"), key=lambda dump: dump.stat().st_mtime, reverse=True)
    names = [dump.name for dump in dumps] or ["none: `make backup WHERE=workbench` creates one"]
    sys.stdout.write(
        f"Dumps in {display_path(data / 'backups')}, newest first:\n" + "".join(f"{name}\n" for name in names)
    )


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:], os.environ))
    except WorkbenchError as error:
        sys.exit(f"make: {error}")
