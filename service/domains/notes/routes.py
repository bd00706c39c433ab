"""The routes: each one translates between HTTP and an operation on notes."""

from collections.abc import AsyncGenerator, AsyncIterator
from uuid import UUID

from quart import Blueprint
from quart_schema import tag_blueprint

from service.database.pool import Database
from service.domains.notes import queries, store
from service.domains.notes.models import ListQuery, Note, NoteContent, NotePage
from service.resource import idempotency, paging, versions
from service.resource.feed import STREAM, EventsHeaders, Feed
from service.resource.idempotency import CreateHeaders
from service.resource.transfer import NDJSON, ImportResult, export_lines, import_lines
from service.resource.versions import Conditions
from service.web.answer import Answer, json
from service.web.endpoint import Kind, Media, Upload, endpoint
from service.web.openapi import response_headers

_IF_TOO_LARGE = "Send many notes to /notes/import instead."


def blueprint(database: Database, feed: Feed, import_timeout: float, max_line: int) -> Blueprint:
    """The routes below `/notes`. `import_timeout` is in seconds, `max_line`, the limit of a line, in bytes."""
    routes = Blueprint("notes", __name__, url_prefix="/notes")
    tag_blueprint(routes, ["notes"])
    _add_collection(routes, database)
    _add_note(routes, database)
    _add_transfer(routes, database, import_timeout, max_line)
    _add_events(routes, feed)
    return routes


def _add_collection(routes: Blueprint, database: Database) -> None:
    @routes.post("")
    @response_headers(201, **idempotency.DOCUMENTED)
    @endpoint(headers=CreateHeaders, content=NoteContent, if_too_large=_IF_TOO_LARGE, answer=Note, status=201)
    async def create(headers: CreateHeaders, content: NoteContent) -> Answer:
        """Create a note."""
        async with database.connection() as connection:
            created = await store.create(connection, content, headers.idempotency_key)
        return created.answer("/notes")

    @routes.get("")
    @response_headers(200, **paging.DOCUMENTED)
    @endpoint(query=ListQuery, answer=NotePage)
    async def page(query: ListQuery) -> Answer:
        """List notes, newest first.

        `next` is the path of the next page. Notes that are created meanwhile do not shift the pages.
        """
        async with database.reading() as connection:
            return paging.answer("/notes", query, await store.page(connection, query))


def _add_note(routes: Blueprint, database: Database) -> None:
    @routes.get("/<uuid:note_id>")
    @response_headers(200, etag="Its version, for If-Match and If-None-Match")
    @response_headers(304, etag="Its version")
    @endpoint(headers=Conditions, answer=Note, errors=(404,))
    async def get(note_id: UUID, headers: Conditions) -> Answer:
        """Get a note. With `If-None-Match`, the answer is 304 if the note has not changed."""
        async with database.connection() as connection:
            note = await store.get(connection, note_id)
        return versions.answer(note, "note", headers)

    @routes.put("/<uuid:note_id>")
    @response_headers(200, etag="Its new version")
    @endpoint(headers=Conditions, content=NoteContent, if_too_large=_IF_TOO_LARGE, answer=Note, errors=(404,))
    async def replace(note_id: UUID, headers: Conditions, content: NoteContent) -> Answer:
        """Replace a note. With `If-Match`, the answer is 412 if the note has changed."""
        async with database.connection() as connection:
            note = await store.replace(connection, note_id, content, versions.allowed(headers))
        return versions.answer(note)

    @routes.delete("/<uuid:note_id>")
    @response_headers(204)
    @endpoint(headers=Conditions, errors=(404,))
    async def delete(note_id: UUID, headers: Conditions) -> Answer:
        """Delete a note. With `If-Match`, the answer is 412 if the note has changed."""
        async with database.connection() as connection:
            await store.delete(connection, note_id, versions.allowed(headers))
        return Answer(204)


def _add_transfer(routes: Blueprint, database: Database, import_timeout: float, max_line: int) -> None:
    lines = Upload(NDJSON, "One note per line: a line of an export, or only `title` and `body`", import_timeout)

    @routes.post("/import")
    @endpoint(kind=Kind.BULK, upload=lines, answer=ImportResult, errors=(409,))
    async def import_(body: AsyncIterator[bytes]) -> Answer:
        """Import notes from lines of JSON: all of them or, if a line is wrong, none. The error names the line."""
        async with database.connection() as connection:
            imported = await import_lines(connection, store.IMPORT, body, max_line)
        return json({"imported": imported})

    @routes.get("/export")
    @endpoint(kind=Kind.BULK, stream=Media(NDJSON, "One note per line, oldest first"))
    async def export() -> AsyncGenerator[bytes]:
        """Export all notes as lines of JSON, as of one moment. `POST /notes/import` accepts them."""
        return export_lines(database, queries.EXPORT)


def _add_events(routes: Blueprint, feed: Feed) -> None:
    @routes.get("/events")
    @endpoint(kind=Kind.EVENTS, headers=EventsHeaders, stream=STREAM)
    async def events(headers: EventsHeaders) -> AsyncGenerator[bytes]:
        """Follow the changes of notes. `Last-Event-ID` resumes without a gap.

        After `reset`, read the list again: many notes changed at once, or the events after `Last-Event-ID` are no
        longer stored.
        """
        return feed.subscribe(headers.last_event_id)
