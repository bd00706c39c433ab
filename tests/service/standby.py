"""A standby of a real PostgreSQL, whose replay a test can pause."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from workbench.console import Console
from workbench.machine import unprivileged
from workbench.machine.folders import run_folder
from workbench.parts.postgres import SUPERUSER, Postgres, postgres_environment, program, user
from workbench.parts.process import run


@asynccontextmanager
async def standby_of(primary: Postgres, folder: Path) -> AsyncIterator[Postgres]:
    """A running copy of the primary, which it follows. `folder` is empty, and an unprivileged user can reach it."""
    pgdata = folder / "postgres"
    pgdata.mkdir(mode=0o700)
    unprivileged.chown(pgdata)
    with run_folder(folder) as sockets, (folder / "log").open("w") as log:
        await run(
            "pg_basebackup",
            *(program("pg_basebackup"), "--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
            *("--host", primary.sockets, "--username", SUPERUSER, "--pgdata", pgdata),
            console=Console(log),
            env=postgres_environment(),
            user=user(),
            within=60,
        )
        async with Postgres(pgdata, sockets, Console(log), {"fsync": "off"}) as standby:
            yield standby
