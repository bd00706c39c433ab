"""Operations on notes. Every function takes a connection; each transaction is a single statement.

A note is a dict with the fields of the model `Note`, not an instance, which would cost as much CPU as the query.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from service.database.pool import Connection
from service.domains.notes import queries
from service.domains.notes.models import ListQuery, Note, NoteContent
from service.errors import Conflict, Invalid, NotFound, PreconditionFailed

NoteFields: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Created:
    note: NoteFields
    replayed: bool = False
    """Whether an earlier request with the same key created the note."""


async def get(connection: Connection, note_id: UUID) -> NoteFields:
    """Raises NotFound."""
    row = await connection.fetchrow(queries.GET, note_id)
    if row is None:
        raise _not_found(note_id)
    return dict(row)


async def create(connection: Connection, content: NoteContent, key: str | None = None) -> Created:
    """Create a note; with an idempotency key, only once.

    Raises Invalid if the key was used for other content, and Conflict if another request is using it.
    """
    if key is None:
        [row] = await connection.fetch(queries.CREATE, content.title, content.body)
        return Created(dict(row))
    fingerprint = hashlib.sha256(content.model_dump_json().encode()).digest()
    for _ in range(3):
        try:
            [row] = await connection.fetch(queries.CREATE_WITH_KEY, content.title, content.body, key, fingerprint)
            return Created(dict(row))
        except asyncpg.UniqueViolationError:
            first = await connection.fetchrow(queries.FIRST_ANSWER, key)
        if first is None:
            continue  # the key expired between the two statements, so it is free again
        if first["fingerprint"] != fingerprint:
            raise Invalid.field("idempotency-key", "was used with other content; use a new key")
        return Created(Note.model_validate_json(first["answer"]).model_dump(), replayed=True)
    raise Conflict("The Idempotency-Key is in use by another request. Try again.")


async def replace(
    connection: Connection, note_id: UUID, content: NoteContent, versions: Sequence[int] | None
) -> NoteFields:
    """Replace title and body if the note is at one of `versions`; None stands for any version.

    Raises NotFound and PreconditionFailed.
    """
    row = await connection.fetchrow(queries.REPLACE, note_id, content.title, content.body, versions)
    if row is None:
        raise await _why_unchanged(connection, note_id)
    return dict(row)


async def delete(connection: Connection, note_id: UUID, versions: Sequence[int] | None) -> None:
    """Delete the note if it is at one of `versions`; None stands for any. Raises NotFound, PreconditionFailed."""
    if await connection.fetchrow(queries.DELETE, note_id, versions) is None:
        raise await _why_unchanged(connection, note_id)


async def page(connection: Connection, query: ListQuery) -> tuple[list[NoteFields], str | None]:
    """The notes of one page, newest first, and the cursor of the next page (None on the last page)."""
    # One row more than the page needs shows whether there is a next page.
    limit, after = query.limit + 1, _decode_cursor(query.after) if query.after else None
    if query.q is None and after is None:
        rows = await connection.fetch(queries.LIST_FIRST, limit)
    elif query.q is None:
        rows = await connection.fetch(queries.LIST_AFTER, limit, after)
    elif after is None:
        rows = await connection.fetch(queries.SEARCH_FIRST, limit, query.q)
    else:
        rows = await connection.fetch(queries.SEARCH_AFTER, limit, query.q, after)
    shown = [dict(row) for row in rows[: query.limit]]
    return shown, _encode_cursor(shown[-1]["id"]) if len(rows) > query.limit else None


def _not_found(note_id: UUID) -> NotFound:
    return NotFound(f"There is no note {note_id}. It may have been deleted.")


async def _why_unchanged(connection: Connection, note_id: UUID) -> NotFound | PreconditionFailed:
    row = await connection.fetchrow(queries.GET, note_id)
    if row is None:
        return _not_found(note_id)
    return PreconditionFailed(
        f"The note is at version {row['version']} now. Read it again, then repeat the change with its ETag."
    )


def _encode_cursor(note_id: UUID) -> str:
    return urlsafe_b64encode(note_id.bytes).rstrip(b"=").decode()


def _decode_cursor(cursor: str) -> UUID:
    return UUID(bytes=urlsafe_b64decode(cursor + "=="))
