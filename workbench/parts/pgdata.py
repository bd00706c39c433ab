"""PostgreSQL's data folder: creates it completely or not at all, and checks it before a server runs on it."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from workbench.console import Console
from workbench.errors import DataFolderError, WorkbenchError
from workbench.machine import foreign, unprivileged
from workbench.machine.folders import ROLES, display_path, owner_name
from workbench.parts.postgres import MAJOR_VERSION, SUPERUSER, Postgres, postgres_environment, program, user
from workbench.parts.process import run

# Settings for tests that create many servers and do not crash them on purpose.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}

_SOCKET_LINE = 4  # the index of the line of postmaster.pid that names the folder of the socket


async def open_postgres(data: Path, sockets: Path, console: Console, settings: Mapping[str, str]) -> Postgres:
    """A server on data/postgres, not yet started. The folder is created first if it is missing.

    Raises DataFolderError if the folder cannot be used, and StepFailed if the database cannot be created.
    """
    pgdata, unfinished = data / "postgres", data / "postgres.new"
    _check_owner(pgdata)
    for folder in (pgdata, unfinished):
        await stop_leftover_server(folder, console)
    if not pgdata.exists():
        with console.step("postgres", f"new data folder {display_path(pgdata)}, database and roles"):
            try:
                await _create(unfinished, sockets, console, settings)
                unfinished.rename(pgdata)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    _check_version(pgdata)
    return Postgres(pgdata, sockets, console, settings)


async def stop_leftover_server(pgdata: Path, console: Console) -> None:
    """Ends a server that still runs on `pgdata` because its workbench was killed.

    Raises DataFolderError if it does not end.
    """
    pid = _running_server(pgdata)
    if pid is None:
        return
    with console.step("postgres", f"process {pid} of a killed workbench still runs: stopping it"):
        for number, within in ((signal.SIGINT, 5.0), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 2.0)):
            os.kill(pid, number)
            deadline = time.monotonic() + within
            while time.monotonic() < deadline:
                if _running_server(pgdata) != pid:
                    return
                await asyncio.sleep(0.02)
    raise DataFolderError(
        f"process {pid} uses {display_path(pgdata)} and does not end: end it yourself, then try again"
    )


def running_on(data: Path) -> Path:
    """The folder with the socket of the PostgreSQL that runs on `data`. Raises WorkbenchError if none runs."""
    try:
        sockets = (data / "postgres" / "postmaster.pid").read_text().splitlines()[_SOCKET_LINE]
    except (OSError, IndexError) as error:
        raise WorkbenchError(
            f"no workbench runs on {display_path(data)}: start it with `make dev`, or set DATA= to its data folder"
        ) from error
    return Path(sockets)


async def _create(pgdata: Path, sockets: Path, console: Console, settings: Mapping[str, str]) -> None:
    _make_empty(pgdata)
    await run(
        "initdb",
        *(program("initdb"), "--pgdata", pgdata, "--username", SUPERUSER),
        *("--auth-local", "trust", "--auth-host", "reject"),
        *("--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
        *(("--no-sync",) if settings.get("fsync") == "off" else ()),
        console=console,
        env=postgres_environment(),
        user=user(),
        within=120,
        on_line=lambda line: line.startswith("initdb: error"),
    )
    server = Postgres(pgdata, sockets, console, settings)
    await server.start()
    try:
        await server.create_database(ROLES)
    finally:
        await server.stop()


def _make_empty(pgdata: Path) -> None:
    shutil.rmtree(pgdata, ignore_errors=True)
    pgdata.mkdir(mode=0o700)
    unprivileged.chown(pgdata)


def _check_owner(pgdata: Path) -> None:
    if pgdata.exists() and pgdata.stat().st_uid != unprivileged.owner():
        owner = owner_name(pgdata)
        who = "root" if owner == unprivileged.USER else owner
        raise DataFolderError(
            f"{display_path(pgdata)} was made by {who}: run as {who}, choose another DATA=, "
            f"or run `make reset` as {who}"
        )


def _check_version(pgdata: Path) -> None:
    try:
        version = (pgdata / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise DataFolderError(
            f"{display_path(pgdata)} is not a PostgreSQL data folder ({error.strerror}: PG_VERSION): "
            "`make reset` removes it"
        ) from error
    if version != str(MAJOR_VERSION):
        raise DataFolderError(
            f"{display_path(pgdata)} was made by PostgreSQL {version or '?'}, this is PostgreSQL {MAJOR_VERSION}: "
            "choose another DATA=, or `make reset` removes it"
        )


def _running_server(pgdata: Path) -> int | None:
    """The process that postmaster.pid names, if it is still a server on this folder.

    After a reboot another program may have that process id. PostgreSQL would refuse to start then, so the file is
    removed.
    """
    record = pgdata / "postmaster.pid"
    try:
        pid = int(record.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    command = foreign.command(pid)
    if f" -D {pgdata} " in " ".join(command):
        return pid
    if command and "postgres" not in command[0]:
        record.unlink()
    return None
