"""Where the comparison runs: one PostgreSQL with notes, and contenders that use it, each behind an Envoy."""

import asyncio
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import asyncpg

from bench.notes.speed.contenders import POOL_SIZE, SERVER_CORE, Contender
from bench.notes.speed.wrk import Load
from bench.subjects import always_ready
from harness import usage
from workbench.console import Console
from workbench.errors import WorkbenchError
from workbench.ingress.bootstrap import Upstream
from workbench.machine import ports
from workbench.machine.folders import INGRESS_RULES, ROOT, make_data_folder, run_folder
from workbench.machine.lock import data_lock
from workbench.parts.envoy import Envoy
from workbench.parts.pgdata import open_postgres
from workbench.parts.postgres import SUPERUSER, Postgres
from workbench.parts.probe import until_ok
from workbench.parts.process import Part
from workbench.parts.replica import migrate, service_environment

_DATA = ROOT / ".bench"
_POSTGRES = {
    "max_connections": "300",  # all contenders keep their pools open all the time
    "shared_buffers": "512MB",
    "synchronous_commit": "off",  # measures the service, not the disk
    "max_wal_size": "8GB",
}
_READY_WITHIN = 30.0
_SAMPLE = 1000
_INSERT = """
    INSERT INTO notes (title, body)
    SELECT 'Note ' || number, repeat('High water at noon. ', $3 / 20) FROM generate_series($1::int, $2::int) AS number
"""
_INVALIDATE = "UPDATE pg_index SET indisready = false, indisvalid = false WHERE indexrelid = 'notes_search'::regclass"
_NO_LIMIT = "max_tokens: 1000000, tokens_per_fill: 1000000"
_FILLERS = 2  # connections: to_tsvector takes most of the time, and each connection uses one CPU


@dataclass(frozen=True)
class Runner:
    """A running contender: the process of each replica, the port of the first one, and the port of their Envoy."""

    contender: Contender
    processes: Sequence[int]
    port: int
    envoy_port: int

    @property
    def cpu_seconds(self) -> float:
        return sum(map(usage.cpu_seconds, self.processes))

    @property
    def memory_mib(self) -> float:
        return sum(map(usage.pss_mib, self.processes))


class Arena:
    """A database that is filled on demand, and files with requests that fit its notes."""

    def __init__(self, postgres: Postgres, folder: Path, console: Console) -> None:
        self.postgres = postgres
        self._folder = folder
        self._console = console

    async def fill(self, rows: int, size: int = 100) -> None:
        """Replaces all notes by `rows` new ones, each with a body of about `size` bytes."""
        async with self.superuser() as connection:
            await connection.execute("TRUNCATE notes, events")
            await connection.execute("ALTER TABLE notes DISABLE TRIGGER USER")
            # The index is not dropped: the REINDEX of the next fill repairs what an interrupted fill leaves behind.
            await connection.execute(_INVALIDATE)
            bounds = [rows * part // _FILLERS for part in range(_FILLERS + 1)]
            await asyncio.gather(*(self._insert(before + 1, last, size) for before, last in pairwise(bounds)))
            await connection.execute("REINDEX INDEX notes_search")
            await connection.execute("ALTER TABLE notes ENABLE TRIGGER USER")
            await connection.execute("VACUUM (ANALYZE) notes")
            share = min(100.0, 200 * _SAMPLE / rows)
            sample = await connection.fetch(
                "SELECT id FROM notes TABLESAMPLE BERNOULLI ($1) LIMIT $2", share, _SAMPLE
            )
        self.write("note", (f"/notes/{row['id']}" for row in sample))
        self.write("list", ["/notes?limit=20"])
        self.write("root", ["/"])
        self.write("create", (f'{{"title": "Note {n}", "body": "High water at noon."}}' for n in range(100)))

    async def _insert(self, first: int, last: int, size: int) -> None:
        async with self.superuser() as connection:
            await connection.execute(_INSERT, first, last, size)

    @asynccontextmanager
    async def superuser(self, database: str | None = None) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """A superuser connection, with enough time and memory to build an index."""
        connection = await asyncpg.connect(self.postgres.url(SUPERUSER, database), timeout=60)
        try:
            await connection.execute(
                "SET search_path = app; SET statement_timeout = 0; SET maintenance_work_mem = '1GB'"
            )
            yield connection
        finally:
            await connection.close()

    def write(self, endpoint: str, lines: Iterable[str]) -> None:
        """Sets what load() of this endpoint sends: paths, or bodies for POST."""
        (self._folder / f"{endpoint}.txt").write_text("".join(f"{line}\n" for line in lines))

    def load(self, endpoint: str) -> Load:
        return Load("POST" if endpoint == "create" else "GET", self._folder / f"{endpoint}.txt")

    @asynccontextmanager
    async def running(
        self,
        contender: Contender,
        settings: Mapping[str, str] | None = None,
        *,
        replicas: int = 1,
        pinned: bool = True,
    ) -> AsyncIterator[Runner]:
        """Runs a contender, on its own core if it is pinned, behind an Envoy with the rules of the ingress."""
        async with AsyncExitStack() as undo:
            health = await asyncio.start_server(always_ready, "127.0.0.1", 0)
            undo.callback(health.close)
            upstreams, processes = [], []
            for _ in range(replicas):
                port, ops_port = ports.free(2)
                part = await self._start(contender, port, ops_port, pinned, settings or {})
                undo.push_async_callback(part.kill)
                path = self.a_note if contender.notes_only else "/"
                await part.becomes_ready(until_ok(port, path, _READY_WITHIN))
                own_health = ops_port if contender.is_service else health.sockets[0].getsockname()[1]
                upstreams.append(Upstream(port, own_health))
                processes.append(part.pid)
            [envoy_port] = ports.free(1)
            if not contender.notes_only:
                folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
                envoy = Envoy(envoy_port, upstreams, _without_rate_limit(folder / "rules"), folder, self._console)
                undo.push_async_callback(envoy.stop)
                await envoy.start()
            yield Runner(contender, processes, upstreams[0].api_port, envoy_port)

    async def _start(
        self, contender: Contender, port: int, ops_port: int, pinned: bool, settings: Mapping[str, str]
    ) -> Part:
        own = {
            "SERVICE_API_BIND": f"127.0.0.1:{port}",
            "SERVICE_OPS_BIND": f"127.0.0.1:{ops_port}",
            "SERVICE_POOL_SIZE": str(POOL_SIZE),
            "SERVICE_LOG_LEVEL": "warning",  # no line for each request, like the others
            "SERVICE_LOG_FORMAT": "json",
        }
        env = {
            **service_environment(self.postgres, {**own, **contender.settings, **settings}),
            "DATABASE_URL": self.postgres.url("app_rw"),
            "POOL_SIZE": str(POOL_SIZE),
        }
        command = (argument.format(port=port) for argument in contender.command)
        where = ("/usr/bin/env", "taskset", "-c", SERVER_CORE) if pinned else ("/usr/bin/env",)
        return await Part.start(contender.name, *where, sys.executable, *command, console=self._console, env=env)

    @property
    def database_cpu_seconds(self) -> float:
        """User and system time of all processes of PostgreSQL so far."""
        assert self.postgres.part is not None  # noqa: S101 - it runs
        return usage.cpu_seconds(self.postgres.part.pid)

    @property
    def a_note(self) -> str:
        """The path of an existing note."""
        with (self._folder / "note.txt").open() as lines:
            return lines.readline().strip()


def _without_rate_limit(folder: Path) -> Path:
    """Copies the rules of the ingress without its rate limit, which one replica exceeds on a fast machine."""
    shutil.copytree(INGRESS_RULES, folder)
    path = folder / "envoyfilter-rate-limit.yaml"
    text, replaced = re.subn(r"max_tokens: \d+, tokens_per_fill: \d+", _NO_LIMIT, path.read_text(), count=1)
    if not replaced:
        raise WorkbenchError(f"k8s/istio/{path.name} contains no token_bucket that the bench can raise")
    path.write_text(text)
    return folder


@asynccontextmanager
async def opened() -> AsyncIterator[Arena]:
    """Starts the PostgreSQL of the workbench, with a migrated database in a separate data folder."""
    console = Console(sys.stderr)
    make_data_folder(_DATA)
    with data_lock(_DATA), run_folder(_DATA) as sockets:
        postgres = await open_postgres(_DATA, sockets, console, _POSTGRES)
        async with postgres:
            connection = await asyncpg.connect(postgres.url(SUPERUSER))
            # The peers have no users: they see the notes of all.
            await connection.execute(
                "ALTER ROLE app_rw CONNECTION LIMIT 250; ALTER ROLE app_rw SET app.sees_all = '+'"
            )
            await connection.close()
            await migrate(service_environment(postgres, {}), console)
            yield Arena(postgres, _DATA, console)
