"""The routes: each one translates between HTTP and an operation on notes."""

from collections.abc import AsyncGenerator, AsyncIterator
from urllib.parse import urlencode
from uuid import UUID

from quart import Blueprint
from quart_schema import tag_blueprint
from werkzeug.http import parse_etags

from service.database.pool import Database
from service.domains.notes import store, transfer
from service.domains.notes.feed import Feed
from service.domains.notes.models import (
    ChangeHeaders,
    CreateHeaders,
    EventsHeaders,
    ImportResult,
    ListQuery,
    Note,
    NoteContent,
    NotePage,
    ReadHeaders,
)
from service.web.answer import Answer, encode, json
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
    @response_headers(
        201,
        location="The path of the note",
        etag="Its version, for If-Match and If-None-Match",
        idempotency_replayed="`true` if an earlier request with the same key created the note",
    )
    @endpoint(headers=CreateHeaders, content=NoteContent, if_too_large=_IF_TOO_LARGE, answer=Note, status=201)
    async def create(headers: CreateHeaders, content: NoteContent) -> Answer:
        """Create a note."""
        async with database.connection() as connection:
            created = await store.create(connection, content, headers.idempotency_key)
        given = {"location": f"/notes/{created.note['id']}", **_etag(created.note)}
        if created.replayed:
            given["idempotency-replayed"] = "true"
        return json(created.note, given, 201)

    @routes.get("")
    @response_headers(200, link='The next page, with `rel="next"`')
    @endpoint(query=ListQuery, answer=NotePage)
    async def page(query: ListQuery) -> Answer:
        """List notes, newest first.

        `next` is the path of the next page. Notes that are created meanwhile do not shift the pages.
        """
        async with database.connection() as connection:
            notes, cursor = await store.page(connection, query)
        path = cursor and f"/notes?{urlencode(query.model_dump(exclude_none=True) | {'after': cursor})}"
        return json({"items": notes, "next": path}, {"link": f'<{path}>; rel="next"'} if path else {})


def _add_note(routes: Blueprint, database: Database) -> None:
    @routes.get("/<uuid:note_id>")
    @response_headers(200, etag="Its version, for If-Match and If-None-Match")
    @response_headers(304, etag="Its version")
    @endpoint(headers=ReadHeaders, answer=Note, errors=(404,))
    async def get(note_id: UUID, headers: ReadHeaders) -> Answer:
        """Get a note. With `If-None-Match`, the answer is 304 if the note has not changed."""
        async with database.connection() as connection:
            note = await store.get(connection, note_id)
        if headers.if_none_match is not None:
            known = parse_etags(headers.if_none_match)
            if known.star_tag or known.contains_weak(str(note["version"])):
                return Answer(304, headers=encode(_etag(note)))
        return json(note, _etag(note))

    @routes.put("/<uuid:note_id>")
    @response_headers(200, etag="Its new version")
    @endpoint(headers=ChangeHeaders, content=NoteContent, if_too_large=_IF_TOO_LARGE, answer=Note, errors=(404, 412))
    async def replace(note_id: UUID, headers: ChangeHeaders, content: NoteContent) -> Answer:
        """Replace a note. With `If-Match`, the answer is 412 if the note has changed."""
        async with database.connection() as connection:
            note = await store.replace(connection, note_id, content, _expected_versions(headers))
        return json(note, _etag(note))

    @routes.delete("/<uuid:note_id>")
    @response_headers(204)
    @endpoint(headers=ChangeHeaders, errors=(404, 412))
    async def delete(note_id: UUID, headers: ChangeHeaders) -> Answer:
        """Delete a note. With `If-Match`, the answer is 412 if the note has changed."""
        async with database.connection() as connection:
            await store.delete(connection, note_id, _expected_versions(headers))
        return Answer(204)


def _add_transfer(routes: Blueprint, database: Database, import_timeout: float, max_line: int) -> None:
    lines = Upload(
        transfer.NDJSON, "One note per line: a line of an export, or only `title` and `body`", import_timeout
    )

    @routes.post("/import")
    @endpoint(kind=Kind.BULK, upload=lines, answer=ImportResult, errors=(409,))
    async def import_(body: AsyncIterator[bytes]) -> Answer:
        """Import notes from lines of JSON: all of them or, if a line is wrong, none. The error names the line."""
        async with database.connection() as connection:
            imported = await transfer.import_lines(connection, body, max_line)
        return json({"imported": imported})

    @routes.get("/export")
    @endpoint(kind=Kind.BULK, stream=Media(transfer.NDJSON, "One note per line, oldest first"))
    async def export() -> AsyncGenerator[bytes]:
        """Export all notes as lines of JSON, as of one moment. `POST /notes/import` accepts them."""
        return transfer.export_lines(database)


def _add_events(routes: Blueprint, feed: Feed) -> None:
    events_stream = Media("text/event-stream", "Server-Sent Events: `created`, `updated`, `deleted`, `reset`")

    @routes.get("/events")
    @endpoint(kind=Kind.EVENTS, headers=EventsHeaders, stream=events_stream)
    async def events(headers: EventsHeaders) -> AsyncGenerator[bytes]:
        """Follow the changes of notes. `Last-Event-ID` resumes without a gap.

        After `reset`, read the list again: many notes changed at once, or the events after `Last-Event-ID` are no
        longer stored.
        """
        return feed.subscribe(headers.last_event_id)


def _etag(note: store.NoteFields) -> dict[str, str]:
    return {"etag": f'"{note["version"]}"'}


def _expected_versions(headers: ChangeHeaders) -> list[int] | None:
    """The versions that `If-Match` allows; None if it allows any. A tag that is not a version matches nothing."""
    if headers.if_match is None or (expected := parse_etags(headers.if_match)).star_tag:
        return None
    return [int(tag) for tag in expected.as_set() if tag.isascii() and tag.isdecimal() and len(tag) < 19]
