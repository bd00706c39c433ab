"""`make branches` lists the branches that have a database in DATA. REMOVE=name removes that of a branch, REMOVE=gone
those of all branches that git does not have any more. `make dev` may run meanwhile, or not.

The branch that is checked out gets a new database, which is copied from the same branch as the one before.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from workbench.console import Console
from workbench.errors import UsageError, WorkbenchError
from workbench.machine.checkout import branches, find_checkout
from workbench.machine.folders import ROOT, data_folder, display_path, run_folder
from workbench.machine.lock import data_lock, holder
from workbench.parts.branch_databases import BranchDatabases, branch_databases
from workbench.parts.pgdata import open_postgres, running_on
from workbench.parts.postgres import BRANCH_SETTING, DATABASE, SUPERUSER, url

GONE = "gone"


async def main(variables: Mapping[str, str], console: Console, sources: Path = ROOT) -> None:
    """Raises WorkbenchError."""
    data, unwanted = data_folder(variables), variables.get("REMOVE") or ""
    known = branches(sources, "make branches")
    async with _databases(data, console) as databases:
        if unwanted:
            names = await _find(databases, unwanted, known)
            for name, branch in names.items():
                await _remove(databases, name, branch, console)
            if not names:
                console.say(f"no branch that is gone has a database in {display_path(data)}")
        else:
            await _show(databases, known, console)
    if unwanted:
        head = find_checkout(sources, "make branches").folder / "HEAD"
        os.utime(head)  # a running `make dev` looks again which database the branch has


@asynccontextmanager
async def _databases(data: Path, console: Console) -> AsyncIterator[BranchDatabases]:
    """Of the `make dev` that runs on `data`, or else of a server that runs for this."""
    if holder(data) is not None:
        async with branch_databases(url(running_on(data), SUPERUSER, "postgres")) as databases:
            yield databases
        return
    if not (data / "postgres").exists():
        raise UsageError(
            f"{display_path(data)} has no database: `make dev` makes it, or set DATA= to its data folder"
        )
    with data_lock(data), run_folder(data) as run:
        server = await open_postgres(data, run, console, {BRANCH_SETTING: "yes"})
        async with server, branch_databases(server.url(SUPERUSER, "postgres")) as databases:
            yield databases


async def _find(databases: BranchDatabases, unwanted: str, known: set[str]) -> dict[str, str]:
    """The databases to remove, and their branches. Raises UsageError."""
    kept = {name: record.branch for name, record in (await databases.kept()).items()}
    if unwanted == GONE:
        return {name: branch for name, branch in kept.items() if name != DATABASE and branch not in known}
    found = {name: branch for name, branch in kept.items() if branch == unwanted}
    if DATABASE in found:
        raise UsageError(
            f"REMOVE={unwanted}: {DATABASE}, the database of this branch, is the one that `make dev` without "
            "BRANCH_DATABASES=yes uses: only `make reset` removes it, with all others"
        )
    if not found:
        raise UsageError(f"REMOVE={unwanted} has no database: use a branch that `make branches` lists, or {GONE}")
    return found


async def _remove(databases: BranchDatabases, name: str, branch: str, console: Console) -> None:
    if await databases.remove(name):
        console.say(f"removed {name}, the database of {branch}")
    else:
        console.say(f"{name}, the database of {branch}, is removed as soon as nothing uses it")


async def _show(databases: BranchDatabases, known: set[str], console: Console) -> None:
    kept = await databases.kept()
    if not kept:
        console.say("no branch has a database of its own: start with `make dev BRANCH_DATABASES=yes`")
    current = await databases.current()
    widths = [max(map(len, column), default=0) for column in ([record.branch for record in kept.values()], kept)]
    for name, record in kept.items():
        size = f"{await databases.size(name) / 2**20:.1f} MiB"
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(record.used))
        origin = f"from {record.parent}" if record.parent else "the first"
        state = "" if record.branch in known else "; gone"
        state += f": `make branches REMOVE={GONE}` removes it" if state and name != DATABASE else ""
        mark = "*" if name == current else " "
        console.say(f"{mark} {record.branch:{widths[0]}}  {name:{widths[1]}}  {size:>10}  {used}  {origin}{state}")


if __name__ == "__main__":
    try:
        asyncio.run(main(os.environ, Console()))
    except WorkbenchError as error:
        sys.exit(f"make branches: {error}")
