"""A copy of the database, on which migrations are tried before they are applied.

It is restored from a dump: CREATE DATABASE ... TEMPLATE, which could clone files, needs a template without sessions,
and the service has some. The rows are copied if the database is small and they take no longer than a few seconds.
Otherwise the copy has the schema, and what the planner knows of the sizes of tables.
"""

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from workbench.errors import WorkbenchError
from workbench.parts.postgres import postgres_environment, program

SERVER = "RELOAD_TRIAL_SERVER"
"""The variable with the URL of a server, for a role that may create databases."""

LEFTOVERS = Path(__file__).with_name("trial_leftovers.sql")
"""Removes the copies of supervisors that were killed; to be run while none runs."""

SMALL = 50 * 2**20
"""Bytes up to which a database is copied with its rows."""

_ROWS_WITHIN = 5.0  # s: an index of a few rows can take long
_WITHIN = 60.0  # s
_QUIET_SERVER = "log_min_messages=panic"  # whoever meets an error on the copy says so
_ALL = ("--schema=app", "--extension=*")
_DROP = "DROP DATABASE IF EXISTS {name} WITH (FORCE)"
_QUIET = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
_OWNER_URL = "SERVICE_DATABASE_OWNER_URL"
_URLS = "SERVICE_DATABASE_URL", _OWNER_URL


class CopyError(WorkbenchError):
    """There is no copy; the message says why."""


@asynccontextmanager
async def copied(server: str, environment: Mapping[str, str]) -> AsyncIterator[dict[str, str]]:
    """The environment that leads to a copy of its database, which is removed at the end. Raises CopyError."""
    name = f"trial_{os.getpid()}"
    original = urlsplit(environment[_OWNER_URL]).path.removeprefix("/")
    try:
        try:
            async with asyncio.timeout(_WITHIN):
                await _make(_url(server, original), name)
        except TimeoutError:
            raise CopyError(f"it was not made within {_WITHIN:g} s") from None
        yield {**environment, **{variable: _url(environment[variable], name) for variable in _URLS}}
    finally:
        with suppress(CopyError):  # the next start removes it
            await _psql(server, _DROP.format(name=name))


async def _make(server: str, name: str) -> None:
    target = _url(server, name)
    if await _create(server, name) <= SMALL:
        with suppress(TimeoutError):
            async with asyncio.timeout(_ROWS_WITHIN):
                return await _restore(server, target, *_ALL)
        await _create(server, name)
    await _restore(server, target, *_ALL, "--no-data")
    await _restore(server, target, "--data-only", "--table=app.schema_migrations")
    await _restore(server, target, "--statistics-only", "--schema=app")  # last: building an index sets them to 0


async def _create(server: str, name: str) -> int:
    """An empty database instead of one of that name. Returns the bytes of the one that is copied."""
    size = await _psql(
        server,
        _DROP.format(name=name),
        f"CREATE DATABASE {name} TEMPLATE template0",
        f"ALTER DATABASE {name} SET search_path = app",
        f"ALTER DATABASE {name} SET {_QUIET_SERVER}",
        f"GRANT CREATE ON DATABASE {name} TO app_owner",
        "SELECT pg_database_size(current_database())",
    )
    return int(size)


async def _restore(source: str, target: str, *options: str) -> None:
    reading, writing = os.pipe()
    try:
        dump = await _start("pg_dump", "--lock-wait-timeout=2s", *options, source, stdout=writing)
        restore = await _start("psql", *_QUIET, target, stdin=reading, stdout=DEVNULL)
    finally:
        os.close(reading)
        os.close(writing)
    await asyncio.gather(_end(dump), _end(restore))


async def _psql(url: str, *statements: str) -> str:
    commands = [f"--command={statement}" for statement in statements]
    return await _end(await _start("psql", *_QUIET, *commands, url, stdout=PIPE))


async def _start(name: str, *arguments: str, stdin: int = DEVNULL, stdout: int) -> Process:
    return await asyncio.create_subprocess_exec(
        program(name),
        *arguments,
        stdin=stdin,
        stdout=stdout,
        stderr=PIPE,
        env=postgres_environment() | {"PGOPTIONS": f"-c client_min_messages=warning -c {_QUIET_SERVER}"},
    )


async def _end(process: Process) -> str:
    """What it wrote. Raises CopyError with its error."""
    try:
        output, errors = await process.communicate()
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        lines = errors.decode(errors="replace").strip().splitlines() or [f"exit status {process.returncode}"]
        raise CopyError(lines[0])
    return (output or b"").decode()


def _url(url: str, database: str) -> str:
    """The same server and role, but another database."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()
