"""Import and export: rows as lines of JSON (NDJSON), streamed with constant memory."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import asyncpg
import orjson
from pydantic import BaseModel, ValidationError

from service import identity
from service.database.pool import Connection, Database, Statement
from service.errors import Conflict, Invalid, TooLarge
from service.web.problem import wrong_fields

NDJSON = "application/x-ndjson"

_BATCH = 200  # rows
_BATCH_SIZE = 1024 * 1024  # characters
_CHUNK = 16 * 1024  # bytes


class Line(Protocol):
    """A line of an import: a pydantic model."""

    @classmethod
    def model_validate_json(cls, json_data: bytes, /) -> "Line":
        """Raises ValidationError."""

    def record(self) -> tuple[object, ...]:
        """The values of `Import.columns`."""


@dataclass(frozen=True, slots=True)
class Import:
    """Where the lines of an import go."""

    name: str
    """What a row is called in errors."""
    table: str
    columns: tuple[str, ...]
    line: type[Line]

    @property
    def statement(self) -> Statement:
        return Statement(f"{self.name}_import", f"COPY {self.table} ({', '.join(self.columns)}) FROM STDIN")

    @property
    def insert(self) -> Statement:
        """The same for a table whose rows are owned: PostgreSQL refuses COPY under row-level security."""
        columns = ", ".join(self.columns)
        return Statement(
            f"{self.name}_import",
            f"INSERT INTO {self.table} ({columns}) "  # noqa: S608 - constants of the program
            f"SELECT {columns} FROM json_populate_recordset(NULL::{self.table}, $1::json) "
            "ON CONFLICT (id) DO NOTHING RETURNING id",
        )


class ImportResult(BaseModel):
    """How many rows were imported."""

    imported: int


async def export_lines(database: Database, statement: Statement) -> AsyncGenerator[bytes]:
    """The column `line` of all rows of `statement`, as of one moment, in chunks of whole lines.

    Holds a connection until it ends. Raises Unavailable if the database does not answer.
    """
    async with database.reading() as connection, connection.bulk(readonly=True):
        async for rows in connection.batches(statement, size=_BATCH):
            chunk = bytearray()
            for row in rows:
                chunk += row["line"].encode()
                chunk += b"\n"
                if len(chunk) >= _CHUNK:
                    yield bytes(chunk)
                    chunk.clear()
            if chunk:
                yield bytes(chunk)


async def import_lines(connection: Connection, into: Import, body: AsyncIterable[bytes], max_line: int) -> int:
    """Store the rows of all lines, or none of them. Returns how many.

    A line has at most `max_line` bytes. Raises Invalid, TooLarge and Conflict, each of which names the line; of owned
    rows, one that contradicts a rule of the table is only known to be one of a batch.
    """
    source = _Lines(into, body, max_line)
    if identity.acting.get() is not None:
        async with connection.bulk(readonly=False):
            return await _insert(connection, into, source.records())
    try:
        async with connection.bulk(readonly=False):
            await connection.copy(into.statement, into.table, into.columns, source.records())
    except asyncpg.IntegrityConstraintViolationError as error:
        # PostgreSQL counts the records of the COPY; each line is one.
        line = str(error.context).rpartition("line ")[2]
        where = f"line {line}" if line.isdecimal() else "a line"
        if error.constraint_name == f"{into.table}_pkey":
            raise _exists(into, where) from error
        raise _breaks(where, error) from error
    return source.count


async def _insert(connection: Connection, into: Import, records: AsyncIterator[tuple[object, ...]]) -> int:
    """Store the rows batch by batch; returns how many. Needs a transaction."""
    stored = 0
    async for batch in _batches(into, records):
        lines = f"one of the lines {stored + 1} to {stored + len(batch)}"
        try:
            rows = await connection.fetch(into.insert, f"[{','.join(row for _, row in batch)}]")
        except asyncpg.IntegrityConstraintViolationError as error:
            raise _breaks(lines, error) from error
        made = {row["id"] for row in rows}
        for row_id, _ in batch:
            stored += 1
            if row_id not in made:  # there was one, or an earlier line has made it
                raise _exists(into, f"line {stored}")
            made.remove(row_id)
    return stored


async def _batches(
    into: Import, records: AsyncIterator[tuple[object, ...]]
) -> AsyncIterator[list[tuple[object, str]]]:
    """The id and the JSON of each row."""
    batch, size = list[tuple[object, str]](), 0
    async for record in records:
        row = dict(zip(into.columns, record, strict=True))
        text = orjson.dumps(row, str).decode()
        batch.append((row["id"], text))
        size += len(text)
        if len(batch) == _BATCH or size > _BATCH_SIZE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _exists(into: Import, where: str) -> Conflict:
    return Conflict(
        f"{where}: a {into.name} with this id exists; nothing was imported. Remove the line or change its id."
    )


def _breaks(where: str, error: asyncpg.IntegrityConstraintViolationError) -> Conflict:
    return Conflict(f"{where}: contradicts the rule {error.constraint_name}; nothing was imported. Correct the line.")


class _Lines:
    """Splits a body into lines and makes each one a record of the COPY."""

    def __init__(self, into: Import, body: AsyncIterable[bytes], max_line: int) -> None:
        self._into = into
        self._body = body
        self._max_line = max_line
        self._blank: int | None = None
        self.count = 0

    async def records(self) -> AsyncIterator[tuple[object, ...]]:
        rest = b""
        number = 0
        async for chunk in self._body:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                number += 1
                if (record := self._record(number, line)) is not None:
                    yield record
            if len(rest) > self._max_line:
                raise self._too_long(number + 1)
        if rest and (record := self._record(number + 1, rest)) is not None:
            yield record

    def _record(self, number: int, line: bytes) -> tuple[object, ...] | None:
        if len(line) > self._max_line:
            raise self._too_long(number)
        if not line.strip():
            self._blank = self._blank or number
            return None
        if self._blank is not None:
            raise Invalid.field(
                f"line {self._blank}", f"is empty; every line except the last must contain one {self._into.name}"
            )
        try:
            parsed = self._into.line.model_validate_json(line)
        except ValidationError as error:
            raise Invalid(wrong_fields(error, f"line {number}")) from None
        self.count += 1
        return parsed.record()

    def _too_long(self, number: int) -> TooLarge:
        return TooLarge(
            f"line {number}: longer than {self._max_line} bytes; nothing was imported. Shorten the {self._into.name}."
        )
