"""Tells PostgreSQL for whom a statement runs, by one more parameter of the statement itself.

Its type is `acting_user`, see migrations/shared/0002_owners.sql. PostgreSQL takes all parameters before a statement
begins; the query that this one is named in is never executed, so plans are as without it.
"""

import re
from contextlib import suppress
from functools import cache

import asyncpg

from service import identity

_WITH = re.compile(r"\s*WITH\s+(RECURSIVE\s+)?", re.IGNORECASE)


def for_user(sql: str, args: tuple[object, ...]) -> tuple[str, tuple[object, ...]]:
    """The statement and its parameters as they are sent: unchanged if no request on owned rows is being handled."""
    acting = identity.acting.get()
    if acting is None:
        return sql, args
    return _extended(sql, len(args) + 1), (*args, acting.parameter)


async def know_types(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Prepare a new connection: asyncpg's own question about an unknown type takes longer than many statements."""
    with suppress(ValueError):  # not migrated yet
        await connection.set_builtin_type_codec("acting_user", schema="app", codec_name="text")


@cache
def _extended(sql: str, number: int) -> str:
    query = f"acting AS (SELECT ${number}::acting_user)"
    if found := _WITH.match(sql):
        return f"WITH {found[1] or ''}{query}, {sql[found.end() :]}"
    return f"WITH {query} {sql}"
