"""Which large tables a migration has locked so that others wait until its transaction ends."""

from dataclasses import dataclass

from service.migrate.history import Connection

LARGE = 50 * 2**20
"""Bytes. To rewrite or to read a smaller table takes well under a second."""

# The size that the planner knows counts too: a copy without rows has it from the table that it was made from.
_TABLES = """
    SELECT oid, oid::regclass::text AS name, bytes
      FROM pg_class, greatest(pg_table_size(oid), relpages * current_setting('block_size')::bigint) AS bytes
     WHERE relkind IN ('r', 'm') AND oid >= 16384 AND bytes >= $1
"""
_HELD = """
    SELECT relation, mode FROM pg_locks
     WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation = ANY($1::oid[])
"""
_WEAKEST_FIRST = {
    "ShareLock": "SHARE",
    "ShareRowExclusiveLock": "SHARE ROW EXCLUSIVE",
    "ExclusiveLock": "EXCLUSIVE",
    "AccessExclusiveLock": "ACCESS EXCLUSIVE",
}
"""The modes that block writers, as SQL calls them. The last one blocks readers too."""


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    size: int


async def large_tables(connection: Connection, at_least: int = LARGE) -> dict[int, Table]:
    """By their oids: a migration may rename them."""
    rows = await connection.fetch(_TABLES, at_least)
    return {row["oid"]: Table(row["name"], row["bytes"]) for row in rows}


async def blocking(connection: Connection, tables: dict[int, Table]) -> list[str]:
    """What the open transaction of this connection has locked, and who waits for it. One text for each table."""
    if not tables:
        return []
    order = list(_WEAKEST_FIRST)
    strongest: dict[int, str] = {}
    for oid, mode in await connection.fetch(_HELD, list(tables)):
        if mode in _WEAKEST_FIRST and order.index(mode) >= order.index(strongest.get(oid, order[0])):
            strongest[oid] = mode
    return [
        f"{tables[oid].name} ({tables[oid].size / 2**20:,.0f} MB) in {_WEAKEST_FIRST[mode]} mode, "
        f"for which {'readers and writers' if mode == order[-1] else 'writers'} wait"
        for oid, mode in strongest.items()
    ]
