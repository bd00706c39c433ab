"""Whether the statements of the code that runs meanwhile still work with a changed schema.

Under live reload the process that serves hands over its statements, see service/rehearsal/. PostgreSQL prepares each
of them before and after a migration, which finds names, types and functions that are gone. It also plans each INSERT,
which finds columns that get NULL and must not. What a trigger or a function does when it is called is not found, and
neither is a check, a foreign key or a privilege.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg

from service.migrate.history import Connection

_ANSWERED_WITHIN = 10.0  # s; on a busy machine too, a migration should not be applied unchecked
_LONGEST_LINE = 2**24
_SHOWN = 3
"""How many broken statements a message names."""

_COPY = re.compile(r"COPY (?P<table>\S+) \((?P<columns>[^)]+)\) FROM STDIN")
_FOR_PYTHON = {"int2": "int8", "int4": "int8", "varchar": "text", "bpchar": "text", "name": "text", "json": "jsonb"}
"""Types whose values are the same in Python as those of another type."""

# A row trigger before the INSERT may fill the column.
_REQUIRED = """
    SELECT attname AS name, attnotnull AND NOT attisdropped AND attgenerated = '' AND NOT EXISTS (
               SELECT FROM pg_trigger WHERE tgrelid = attrelid AND tgtype & 7 = 7
           ) AS required
      FROM pg_attribute WHERE attrelid = format('%I.%I', $1::text, $2::text)::regclass AND attnum > 0 ORDER BY attnum
"""


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a statement is to its caller."""

    parameters: tuple[str, ...]
    columns: dict[str, str]
    """The type of each column of its rows."""
    missing: frozenset[str]
    """The columns that it fills with NULL although they are NOT NULL."""


async def ask(path: str) -> "RunningCode | None":
    """The statements of the process that serves, through its socket; None if none serves, or it does not answer."""
    writer = None
    try:
        async with asyncio.timeout(_ANSWERED_WITHIN):
            reader, writer = await asyncio.open_unix_connection(path, limit=_LONGEST_LINE)
            writer.write(b"statements\n")
            return RunningCode(json.loads(await reader.readline()))
    except (OSError, ValueError):  # TimeoutError is an OSError
        return None
    finally:
        if writer is not None:
            writer.close()


class RunningCode:
    """Statements by their names; those that do not work before the first migration are of no interest."""

    def __init__(self, statements: list[tuple[str, str]]) -> None:
        self._meanings: dict[tuple[str, str], _Meaning | None] = {
            (name, _COPY.sub(_insert, sql)): None for name, sql in statements
        }

    async def learn(self, connection: Connection) -> None:
        """What they mean now. Needs a transaction."""
        for name, sql in self._meanings:
            try:
                self._meanings[name, sql] = await _meaning(connection, sql)
            except asyncpg.PostgresError:
                self._meanings[name, sql] = None

    async def broken(self, connection: Connection) -> str:
        """Which statements worked when they were learned, and do not now; "" if none. Needs a transaction."""
        found = []
        for (name, sql), before in self._meanings.items():
            if before is None:
                continue
            try:
                change = next(_changes(before, await _meaning(connection, sql)), "")
            except asyncpg.PostgresError as error:
                change = error.args[0]
            if change:
                found.append(f"{name}: {change}")
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return "; ".join(found[:_SHOWN]) + more


def _insert(copy: re.Match[str]) -> str:
    """COPY cannot be prepared; an INSERT of the same columns can."""
    numbers = range(1, copy["columns"].count(",") + 2)
    values = ", ".join(f"${number}" for number in numbers)
    return f"INSERT INTO {copy['table']} ({copy['columns']}) VALUES ({values})"  # noqa: S608 - the code's own SQL


async def _meaning(connection: Connection, sql: str) -> _Meaning:
    async with connection.transaction():  # a savepoint
        prepared = await connection.prepare(sql)
        parameters = tuple(_type(type_) for type_ in prepared.get_parameters())
        columns = {attribute.name: _type(attribute.type) for attribute in prepared.get_attributes()}
        missing = await _missing(connection, sql, len(parameters)) if re.search(r"(?i)\binsert\b", sql) else []
    return _Meaning(parameters, columns, frozenset(missing))


def _type(type_: asyncpg.Type) -> str:
    return _FOR_PYTHON.get(type_.name, type_.name)


async def _missing(connection: Connection, sql: str, parameters: int) -> list[str]:
    """The columns that must not be NULL and are always NULL in the rows that it inserts."""
    given = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
    await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE running_code AS {sql}")
    try:
        async with connection.transaction():
            plan = await connection.fetchval(f"EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE running_code{given}")
    finally:
        await connection.execute("DEALLOCATE running_code")
    missing = []
    for schema, table, values in _inserts(json.loads(plan)[0]["Plan"]):
        columns = await connection.fetch(_REQUIRED, schema, table)
        missing += [
            f"{table}.{column['name']}"
            for column, value in zip(columns, values, strict=False)
            if column["required"] and value.startswith("NULL::")
        ]
    return missing


def _inserts(node: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Schema, table, and the expression for each of its columns."""
    for child in node.get("Plans", []):
        if node.get("Operation") == "Insert" and child["Parent Relationship"] == "Outer":
            yield node["Schema"], node["Relation Name"], child["Output"]
        yield from _inserts(child)


def _changes(before: _Meaning, now: _Meaning) -> Iterator[str]:
    for number, (was, is_) in enumerate(zip(before.parameters, now.parameters, strict=True), 1):
        if was != is_:
            yield f"parameter ${number} is of type {is_}, was {was}"
    for name, was in before.columns.items():
        if (is_ := now.columns.get(name, was)) != was:
            yield f"column {name} is of type {is_}, was {was}"
    for column in sorted(now.missing - before.missing):
        yield f"column {column} has no default and must not be NULL"
