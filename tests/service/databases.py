"""Real PostgreSQL servers, and a database on them for each test."""

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

import asyncpg

from service.migrate.apply import run
from service.migrate.files import DIRECTORY, Migration
from service.settings import Settings
from tests.probe import things
from tests.waiting import eventually
from workbench.console import Console
from workbench.machine.folders import run_folder
from workbench.parts.pgdata import open_postgres
from workbench.parts.postgres import SUPERUSER, Postgres

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

MIGRATED = "app"
EMPTY = "empty"
"""As roles.sql creates it: the owner of the schema can migrate it."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Database:
    """A database on a server."""

    server: Postgres
    name: str = MIGRATED

    def url(self, role: str) -> str:
        return self.server.url(role, self.name)

    async def connect(self, role: str = "app_owner") -> Connection:
        return await asyncpg.connect(self.url(role))

    @asynccontextmanager
    async def connection(self, role: str = "app_owner") -> AsyncIterator[Connection]:
        connection = await self.connect(role)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def transaction(self, sql: str, *args: object) -> AsyncIterator[Connection]:
        """Runs `sql` in a transaction that stays open during the block and commits at its end."""
        async with self.connection() as connection, connection.transaction():
            await connection.execute(sql, *args)
            yield connection

    @asynccontextmanager
    async def locked(self, thing_id: UUID | str) -> AsyncIterator[None]:
        """Locks a thing during the block: changes of it wait, reads do not."""
        async with self.transaction("SELECT FROM things WHERE id = $1 FOR UPDATE", UUID(str(thing_id))):
            yield

    async def fetchval(self, sql: str, *args: object) -> object:
        async with self.connection(SUPERUSER) as connection:
            return await connection.fetchval(sql, *args)

    async def as_superuser(self, sql: str) -> None:
        async with self.connection(SUPERUSER) as connection:
            await connection.execute(sql)

    async def execute(self, sql: str, *args: object) -> None:
        async with self.connection() as connection:
            await connection.execute(sql, *args)

    async def until(self, count: int, condition: str) -> None:
        """Waits until exactly `count` sessions of the service meet a condition on pg_stat_activity."""
        async with self.connection(SUPERUSER) as observer:

            async def met() -> bool:
                found = await observer.fetchval(
                    "SELECT count(*) FROM pg_stat_activity "  # noqa: S608 - the tests write the conditions
                    f"WHERE datname = $1 AND usename = 'app_rw' AND {condition}",
                    self.name,
                )
                return bool(found == count)

            await eventually(met, f"{count} sessions of {self.name} with {condition}")

    async def terminate(self, condition: str) -> None:
        """Terminates the one session of the service that meets a condition on pg_stat_activity."""
        async with self.connection(SUPERUSER) as superuser:
            ended = await superuser.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "  # noqa: S608 - the tests write the conditions
                f"WHERE datname = $1 AND usename = 'app_rw' AND {condition}",
                self.name,
            )
        assert len(ended) == 1

    async def until_waiting(self, count: int) -> None:
        """Waits until exactly `count` statements of the service wait for a lock."""
        await self.until(count, "wait_event_type = 'Lock'")


async def migrate(database: Database, folder: Path = DIRECTORY) -> list[Migration]:
    """Migrates as `python -m service.migrate` does; returns the applied migrations."""
    return await run(Settings.model_validate({"database_owner_url": database.url("app_owner")}), folder)


@asynccontextmanager
async def postgres_server(folder: Path, settings: Mapping[str, str]) -> AsyncIterator[Postgres]:
    """A running server on a new workbench's data folder.

    It has the databases EMPTY and MIGRATED, which has the table of the probe domain too.
    """
    with run_folder(folder) as sockets, (folder / "log").open("w") as log:
        server = await open_postgres(folder, sockets, Console(log), settings)
        try:
            await server.start()
            async with Database(server, "postgres").connection(SUPERUSER) as connection:
                await copy_database(connection, MIGRATED, EMPTY)
            await migrate(Database(server))
            await Database(server).execute(things.SCHEMA)
            yield server
        finally:
            await server.stop()


async def copy_database(connection: Connection, template: str, name: str | None = None) -> str:
    """Copies a database and returns the name of the copy. This takes much less than migrating an empty one."""
    name = name or f"test_{next(_numbers)}"
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")  # half of the time
    # roles.sql sets this for the roles in the database `app`; a copy does not inherit it.
    for role in ("app_owner", "app_rw"):
        await connection.execute(f"ALTER ROLE {role} IN DATABASE {name} SET search_path = app")
    # Tests hold locks until they see that a statement waits, which can take long on a slow machine.
    await connection.execute(f"ALTER ROLE app_rw IN DATABASE {name} SET lock_timeout = 0")
    return name
