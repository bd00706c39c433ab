"""A database for each git branch, on the workbench's PostgreSQL.

The first branch has the database `app`, which a workbench that does not follow branches uses. Another branch gets one
when it is checked out for the first time: a copy of the database that was used last. Comments on the databases are
the only record of this, so nothing can contradict it. Whoever changes it holds an advisory lock: the supervisor of
each replica follows the branch by itself, and the first one makes the copy.
"""

import asyncio
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import TypeAlias

import asyncpg

from workbench.errors import BranchDatabaseError
from workbench.parts.postgres import BRANCH_SETTING, DATABASE

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_UNFINISHED = "app_unfinished_copy"
_LOCK = 0x51_1B_B4_A4  # the key of the advisory lock
_SLUG = 40  # characters; the name of a database has at most 63 bytes
_MAY_END_WITHIN = 1.0  # s for statements that run in a database which is to be copied
_AGAIN = 0.02  # s
_CONNECT_WITHIN = 10.0  # s

# A copy inherits neither the rights on the database nor the settings that roles have in it.
_INHERIT = """
    SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', $2::text)
    UNION ALL
    SELECT format('GRANT %s ON DATABASE %I TO %s', privilege_type, $2::text, grantee::regrole)
      FROM pg_database, aclexplode(datacl) WHERE datname = $1 AND grantee NOT IN (0, datdba)
    UNION ALL
    SELECT format('ALTER ROLE %I IN DATABASE %I SET %s TO %s', rolname, $2::text, name,
                  CASE name WHEN 'search_path' THEN value ELSE quote_literal(value) END)
      FROM pg_db_role_setting
      JOIN pg_roles ON pg_roles.oid = setrole
      JOIN pg_database ON pg_database.oid = setdatabase,
           unnest(setconfig) AS setting,
           LATERAL (SELECT split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1)) AS a (name, value)
     WHERE datname = $1
"""
_DISCONNECT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = $1 AND backend_type = 'client backend' AND (state = 'idle' OR $2)
"""


@dataclass(frozen=True, slots=True)
class Record:
    """What the comment on a database says."""

    branch: str
    parent: str = ""
    """The branch whose database was copied."""
    used: float = 0.0
    """When the branch was last checked out, in seconds since 1970."""
    removed: bool = False
    """Whether it is only there because something may still be connected to it."""


@dataclass(frozen=True, slots=True)
class Use:
    """The database to use. `made` says where it comes from, if it was made just now."""

    name: str
    made: str = ""


@asynccontextmanager
async def branch_databases(server: str) -> AsyncIterator["BranchDatabases"]:
    """Those of a server, which nobody else changes meanwhile. `server` is the URL of its database `postgres`.

    Raises BranchDatabaseError if PostgreSQL refuses something, or does not answer.
    """
    try:
        connection = await _connect(server)
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
            yield BranchDatabases(connection, server)
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise BranchDatabaseError(f"the databases of the branches cannot be used: {error}") from error


class BranchDatabases:
    """Made by branch_databases()."""

    def __init__(self, connection: Connection, server: str) -> None:
        self._connection = connection
        self._server = server

    async def records(self) -> dict[str, Record]:
        """Of all databases that belong to a branch, by their names; the one that was used last is the first."""
        rows = await self._connection.fetch("SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database")
        found: dict[str, Record] = {}
        for name, comment in rows:
            with suppress(ValueError, TypeError):  # somebody else's comment, or none
                found[name] = Record(**json.loads(comment or ""))
        return dict(sorted(found.items(), key=lambda item: -item[1].used))

    async def kept(self) -> dict[str, Record]:
        """The records without those of removed databases."""
        return _kept(await self.records())

    async def current(self) -> str:
        """The database that the service uses, if it runs."""
        follows = await self._connection.fetchval("SELECT current_setting($1, true)", BRANCH_SETTING) == "yes"
        return next(iter(await self.kept()), DATABASE) if follows else DATABASE

    async def size(self, name: str) -> int:
        """In bytes."""
        return int(await self._connection.fetchval("SELECT pg_database_size($1::text)", name))

    async def use(self, branch: str | None) -> Use:
        """The database of a branch, which is made if there is none. None keeps the one that was used last."""
        records = await self.records()
        kept = _kept(records)
        if branch is None:
            return Use(next(iter(kept), DATABASE))
        name = next((name for name, record in kept.items() if record.branch == branch), None)
        if name is None and DATABASE in kept:
            used = await self._copy(branch, records)
        else:
            used = Use(name or DATABASE)
            await self._write(used.name, replace(kept.get(used.name, Record(branch)), used=time.time()))
        await self._drop_removed()
        return used

    async def remove(self, name: str) -> bool:
        """Whether that is done. If the database was the last one used, or is in use, the next use() does it."""
        records = await self.records()
        await self._write(name, replace(records[name], removed=True))
        if name != next(iter(records)):
            await self._drop_removed()
        return name not in await self.records()

    async def _copy(self, branch: str, records: dict[str, Record]) -> Use:
        begin = time.time()
        connection, kept = self._connection, _kept(records)
        before = next((record.parent for record in records.values() if record.branch == branch), None)
        template = next((name for name, record in kept.items() if record.branch == before), next(iter(kept)))
        parent = kept[template].branch

        slug = re.sub(r"[^a-z0-9]+", "_", branch.lower())[:_SLUG].strip("_")
        digest = hashlib.sha256(f"{branch} {begin}".encode()).hexdigest()[:8]
        name = "_".join(part for part in (DATABASE, slug, digest) if part)
        await connection.execute(f"DROP DATABASE IF EXISTS {_UNFINISHED}")  # somebody was killed
        await self._copy_files(template)
        async with connection.transaction():
            for (statement,) in await connection.fetch(_INHERIT, template, _UNFINISHED):
                await connection.execute(statement)
            await self._write(_UNFINISHED, Record(branch, parent, begin))
            await connection.execute(f'ALTER DATABASE {_UNFINISHED} RENAME TO "{name}"')
        return Use(name, f"a copy of that of {parent}, made in {(time.time() - begin) * 1000:.0f} ms")

    async def _copy_files(self, template: str) -> None:
        """While PostgreSQL copies a database, new connections to it wait. It begins when nothing is connected."""
        create = f'CREATE DATABASE {_UNFINISHED} TEMPLATE "{template}" STRATEGY FILE_COPY'
        observer = await _connect(self._server)
        try:
            for method in ("clone", "copy"):  # not every system and file system can clone
                try:
                    await self._connection.execute(f"SET file_copy_method = {method}")
                    copying = asyncio.create_task(self._connection.execute(create))
                    patient_until = time.monotonic() + _MAY_END_WITHIN
                    while not copying.done():
                        await observer.execute(_DISCONNECT, template, time.monotonic() > patient_until)
                        await asyncio.wait({copying}, timeout=_AGAIN)
                    await copying
                    return
                except asyncpg.PostgresError:
                    if method == "copy":
                        raise
        finally:
            await observer.close()

    async def _drop_removed(self) -> None:
        # DROP DATABASE would wait 5 s for those that are in use.
        in_use = {name for (name,) in await self._connection.fetch("SELECT DISTINCT datname FROM pg_stat_activity")}
        for name, record in (await self.records()).items():
            if record.removed and name not in in_use:
                with suppress(asyncpg.ObjectInUseError):
                    await self._connection.execute(f'DROP DATABASE "{name}"')

    async def _write(self, name: str, record: Record) -> None:
        comment = json.dumps(asdict(record)).replace("'", "''")
        await self._connection.execute(f"COMMENT ON DATABASE \"{name}\" IS '{comment}'")


async def tell_subscribers(url: str) -> None:
    """Lets those of event streams read their lists again, if the schema of the database knows how."""
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection = await _connect(url)
        try:
            await connection.execute("SELECT reset_events()")
        finally:
            await connection.close()


def _kept(records: dict[str, Record]) -> dict[str, Record]:
    return {name: record for name, record in records.items() if not record.removed}


async def _connect(server: str) -> Connection:
    return await asyncpg.connect(server, timeout=_CONNECT_WITHIN)
