"""What holds through a pooler: the service and PgBouncer with the parameters of k8s/components/postgres-pooler.

PGBOUNCER names the program, 1.21 or later: older ones do not know prepared statements in this mode.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest
import yaml

from service.settings import Settings
from tests.k8s.conftest import file_of
from tests.k8s.project import K8S
from tests.probe import things
from tests.service.databases import Database, migrate
from tests.service.serving import PROBE, serving, settings_for
from tests.waiting import WITHIN
from workbench.console import Console
from workbench.machine import unprivileged
from workbench.parts.pgdata import NOT_DURABLE, open_postgres

PORT = 6432  # of the sockets' names; no other process sees them
PASSWORD = "next"  # noqa: S105 - of a PgBouncer that lives as long as a test
ALWAYS_IGNORED = "extra_float_digits,options"  # the operator adds them to ignore_startup_parameters


@dataclass(frozen=True)
class Pooler:
    sockets: Path
    database: Database

    @property
    def url(self) -> str:
        return f"postgresql://app_rw@/{self.database.name}?host={self.sockets}&port={PORT}"

    def passwords(self) -> list[Path]:
        """Files as a pod has them during a rotation, whose first one is not valid any more."""
        files = [self.sockets / "old", self.sockets / "next"]
        for file, password in zip(files, ("the one of before", PASSWORD), strict=True):
            file.write_text(password)
        return files

    async def connect(self, **settings: str) -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(self.url, password=PASSWORD, server_settings=settings)

    def settings(self, **changes: object) -> Settings:
        urls = {"database_url": self.url, "database_direct_url": self.database.url("app_rw")}
        return settings_for(self.database, PROBE, database_password_files=self.passwords(), **{**urls, **changes})


@pytest.fixture
async def pooler(new_data: Callable[[], Path]) -> AsyncIterator[Pooler]:
    """With one connection to PostgreSQL, so that all clients share it."""
    program, data = file_of("PGBOUNCER"), new_data()
    with (
        TemporaryDirectory(prefix="pooler-") as name,  # which a user without privileges can reach
        (data.parent / f"{data.name}.log").open("w") as log,
    ):
        folder = Path(name)
        unprivileged.chown(folder)
        async with await open_postgres(data, folder, Console(log), NOT_DURABLE) as postgres:
            database = Database(postgres)
            await migrate(database)
            await database.execute(things.SCHEMA)
            async with _pooler(program, folder, database) as pooler:
                yield pooler


@asynccontextmanager
async def _pooler(program: Path, folder: Path, database: Database) -> AsyncIterator[Pooler]:
    parameters = yaml.safe_load((K8S / "components" / "postgres-pooler" / "pooler.yaml").read_text())["spec"][
        "pgbouncer"
    ]
    assert parameters["poolMode"] == "transaction"
    settings = {
        **parameters["parameters"],
        "ignore_startup_parameters": f"{parameters['parameters']['ignore_startup_parameters']},{ALWAYS_IGNORED}",
        "pool_mode": parameters["poolMode"],
        "default_pool_size": "1",
        "min_pool_size": "1",
        "auth_type": "scram-sha-256",
        "auth_file": folder / "users",
        "unix_socket_dir": folder,
        "listen_port": PORT,
        "listen_addr": "",
    }
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (folder / "users").write_text(f'"app_rw" "{PASSWORD}"\n')
    (folder / "ini").write_text(f"[databases]\n* = host={database.server.sockets}\n[pgbouncer]\n{lines}")
    user = ("--user", unprivileged.USER) if unprivileged.needed() else ()
    command = (program, *user, folder / "ini")
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    assert process.stderr
    try:
        said = b""
        async with asyncio.timeout(WITHIN):
            while b"process up" not in said:
                said += (line := await process.stderr.readline())
                assert line, said.decode()
        reading = asyncio.create_task(process.stderr.read())  # otherwise it would wait for a reader of its log
        yield Pooler(folder, database)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    await reading


async def test_the_limits_of_the_role_hold_whatever_a_client_asks_for(pooler: Pooler) -> None:
    connection = await pooler.connect(statement_timeout="60000")
    for setting, value in (("statement_timeout", "5s"), ("lock_timeout", "2s"), ("jit", "off")):
        assert await connection.fetchval("SELECT current_setting($1)", setting) == value
    async with connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = '70s'")
        assert await connection.fetchval("SHOW statement_timeout") == "70s"
    assert await connection.fetchval("SHOW statement_timeout") == "5s"
    await connection.close()


async def test_clients_share_a_connection_and_keep_their_prepared_statements(pooler: Pooler) -> None:
    clients = [await pooler.connect(timezone=zone) for zone in ("UTC", "Asia/Tokyo")]
    query = "SELECT {}, pg_backend_pid(), current_setting('timezone')"  # asyncpg prepares it once
    rows = [
        tuple(row)
        for _ in range(3)
        for number, client in enumerate(clients)
        for row in await client.fetch(query.format(number))
    ]

    assert {row[0] for row in rows} == {0, 1}
    assert len({row[1] for row in rows}) == 1, "one connection of PostgreSQL"
    assert {(row[0], row[2]) for row in rows} == {(0, "UTC"), (1, "Asia/Tokyo")}
    for client in clients:
        await client.close()


async def test_a_session_setting_reaches_others(pooler: Pooler) -> None:
    """So the service sets nothing for a session, as the next tests show."""
    one, other = await pooler.connect(), await pooler.connect()
    await one.execute("SET app.who = 'ada'")

    assert await other.fetchval("SELECT current_setting('app.who', true)") == "ada"
    await one.close()
    await other.close()


async def test_the_service_works_through_it(pooler: Pooler) -> None:
    """Writes, lists, a stream of events, and many requests at once on one connection, with the next password."""
    async with serving(pooler.settings()) as service:
        await service.ready()
        async with service.api.stream("GET", "/things/events") as stream:
            events = stream.aiter_text()
            await anext(events)
            answers = await asyncio.gather(
                *(service.api.post("/things", json={"name": f"thing {number}"}) for number in range(40))
            )
            assert {answer.status_code for answer in answers} == {201}
            seen = ""
            async with asyncio.timeout(WITHIN):
                while seen.count("event: created") < 40:
                    seen += await anext(events)
        listed = (await service.api.get("/things", params={"limit": 100})).json()["items"]
        assert {thing["name"] for thing in listed} == {f"thing {number}" for number in range(40)}
        exported = (await service.api.get("/things/export")).text
        assert exported.count("\n") == 40
