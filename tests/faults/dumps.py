"""Runs `make backup` and `make restore` on a workbench, and reads what a database contains."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from workbench.console import Console
from workbench.machine.folders import ROOT, run_folder
from workbench.parts.pgdata import NOT_DURABLE, open_postgres
from workbench.parts.postgres import SUPERUSER, Postgres
from workbench.stack import Stack


async def backups(data: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workbench.backups", *arguments),
        cwd=ROOT,
        env=os.environ | {"DATA": str(data)} | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def dumped(data: Path) -> str:
    """Makes a dump; returns its name."""
    status, output = await backups(data, "backup")
    assert status == 0, output
    return Path(output.split("backup: ")[1].split(",")[0]).name


@pytest.fixture
async def empty(new_data: Callable[[], Path]) -> AsyncIterator[tuple[Path, Postgres]]:
    """A PostgreSQL server that has the roles, but whose database has no tables yet."""
    data = new_data()
    with (data.parent / f"{data.name}.log").open("w") as log, run_folder(data) as run:
        async with await open_postgres(data, run, Console(log), NOT_DURABLE) as postgres:
            yield data, postgres


@asynccontextmanager
async def superuser(postgres: Postgres) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(postgres.url(SUPERUSER))
    try:
        yield connection
    finally:
        await connection.close()


async def ready(stack: Stack) -> bool:
    """Whether the database is available to every replica."""
    async with httpx.AsyncClient() as client:
        answers = [await client.get(f"http://127.0.0.1:{replica.ops_port}/readyz") for replica in stack.replicas]
    return all(answer.json()["checks"]["database"]["ok"] for answer in answers)


async def contents(postgres: Postgres) -> dict[str, Any]:
    """All rows, sequences, privileges, triggers and constraints."""
    async with superuser(postgres) as connection:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind = 'r'"
        )
        found: dict[str, Any] = {
            name: sorted(
                row[0]
                for row in await connection.fetch(
                    f"SELECT t::text FROM app.{name} AS t"  # noqa: S608 - a name from the catalogue
                )
            )
            for (name,) in tables
        }
        found["sequences"] = await connection.fetch(
            "SELECT schemaname, sequencename, last_value, start_value, increment_by FROM pg_sequences ORDER BY 1, 2"
        )
        found["privileges"] = await connection.fetch(
            "SELECT relname, relkind, relowner::regrole::text, relacl::text FROM pg_class "
            "WHERE relnamespace = 'app'::regnamespace ORDER BY 1"
        )
        found["triggers"] = await connection.fetch(
            "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
        )
        found["constraints"] = await connection.fetch(
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace = 'app'::regnamespace ORDER BY 1, 2"
        )
        return found
