"""Operations on notes. Every function takes a connection; each transaction is a single statement.

A note is a dict with the fields of the model `Note`, not an instance, which would cost as much CPU as the query.
"""

from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from service.database.pool import Connection
from service.domains.notes import queries
from service.domains.notes.models import ImportedNote, ListQuery, Note, NoteContent
from service.resource import idempotency
from service.resource.idempotency import Created
from service.resource.transfer import Import
from service.resource.versions import Versions, not_found, why_unchanged

NoteFields: TypeAlias = dict[str, Any]

IMPORT = Import(
    name="note",
    table="notes",
    columns=("id", "title", "body", "version", "created_at", "updated_at"),
    line=ImportedNote,
)


async def get(connection: Connection, note_id: UUID) -> NoteFields:
    """Raises NotFound."""
    row = await connection.fetchrow(queries.GET, note_id)
    if row is None:
        raise not_found("note", note_id)
    return dict(row)


async def create(connection: Connection, content: NoteContent, key: str | None = None) -> Created:
    """Create a note; with an idempotency key, only once. Raises what `idempotency.once` raises."""
    if key is None:
        [row] = await connection.fetch(queries.CREATE, content.title, content.body)
        return Created(dict(row))
    return await idempotency.once(
        connection, "POST /notes", key, content, queries.CREATE_WITH_KEY, content.title, content.body, answer=Note
    )


async def replace(
    connection: Connection, note_id: UUID, content: NoteContent, versions: Versions | None
) -> NoteFields:
    """Replace title and body if the note is at one of `versions`; None stands for any version.

    Raises NotFound and PreconditionFailed.
    """
    row = await connection.fetchrow(queries.REPLACE, note_id, content.title, content.body, versions)
    if row is None:
        raise await why_unchanged(connection, queries.GET, "note", note_id)
    return dict(row)


async def delete(connection: Connection, note_id: UUID, versions: Versions | None) -> None:
    """Delete the note if it is at one of `versions`; None stands for any. Raises NotFound, PreconditionFailed."""
    if await connection.fetchrow(queries.DELETE, note_id, versions) is None:
        raise await why_unchanged(connection, queries.GET, "note", note_id)


async def page(connection: Connection, query: ListQuery) -> list[asyncpg.Record]:
    """The notes of one page, newest first, and one more if there is a next page."""
    limit, after = query.rows, query.after_id
    if query.q is None and after is None:
        return await connection.fetch(queries.LIST_FIRST, limit)
    if query.q is None:
        return await connection.fetch(queries.LIST_AFTER, limit, after)
    if after is None:
        return await connection.fetch(queries.SEARCH_FIRST, limit, query.q)
    return await connection.fetch(queries.SEARCH_AFTER, limit, query.q, after)
