"""Import and export: notes as lines of JSON (NDJSON), streamed with constant memory."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator

import asyncpg
from pydantic import ValidationError

from service.database.pool import Connection, Database
from service.domains.notes import queries
from service.domains.notes.models import ImportedNote
from service.errors import Conflict, Invalid, TooLarge
from service.web.problem import wrong_fields

NDJSON = "application/x-ndjson"

_BATCH = 200  # rows
_CHUNK = 16 * 1024  # bytes


async def export_lines(database: Database) -> AsyncGenerator[bytes]:
    """All notes in the order of their ids, as of one moment, in chunks of whole lines.

    Holds a connection until it ends. Raises Unavailable if the database does not answer.
    """
    async with database.connection() as connection, connection.bulk(readonly=True):
        async for rows in connection.batches(queries.EXPORT, size=_BATCH):
            chunk = bytearray()
            for row in rows:
                chunk += row["line"].encode()
                chunk += b"\n"
                if len(chunk) >= _CHUNK:
                    yield bytes(chunk)
                    chunk.clear()
            if chunk:
                yield bytes(chunk)


async def import_lines(connection: Connection, body: AsyncIterable[bytes], max_line: int) -> int:
    """Store the notes of all lines, or none of them. Returns how many.

    A line has at most `max_line` bytes. Raises Invalid, TooLarge and Conflict, each of which names the line.
    """
    source = _Lines(body, max_line)
    try:
        async with connection.bulk(readonly=False):
            await connection.copy(queries.IMPORT, "notes", queries.IMPORT_COLUMNS, source.records())
    except asyncpg.UniqueViolationError as error:
        # PostgreSQL counts the records of the COPY; each line is one.
        line = str(error.context).rpartition("line ")[2]
        where = f"line {line}" if line.isdecimal() else "a line"
        raise Conflict(
            f"{where}: a note with this id exists; nothing was imported. Remove the line or change its id."
        ) from error
    return source.count


class _Lines:
    """Splits a body into lines and makes each one a record of the COPY."""

    def __init__(self, body: AsyncIterable[bytes], max_line: int) -> None:
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
            raise Invalid.field(f"line {self._blank}", "is empty; every line except the last must contain one note")
        try:
            note = ImportedNote.model_validate_json(line)
        except ValidationError as error:
            raise Invalid(wrong_fields(error, f"line {number}")) from None
        self.count += 1
        return note.id, note.title, note.body, note.version, note.created_at, note.updated_at or note.created_at

    def _too_long(self, number: int) -> TooLarge:
        return TooLarge(f"line {number}: longer than {self._max_line} bytes; nothing was imported. Shorten the note.")
