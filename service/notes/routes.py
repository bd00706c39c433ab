"""The HTTP side of notes: each route translates between HTTP and the store."""

from collections.abc import AsyncGenerator, AsyncIterator
from urllib.parse import urlencode
from uuid import UUID

from quart import Blueprint
from quart_schema import tag_blueprint
from werkzeug.http import parse_etags

from service.database.pool import Database
from service.notes import store, transfer
from service.notes.feed import Feed
from service.notes.models import (
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


def blueprint(database: Database, feed: Feed, import_timeout: float, longest_line: int) -> Blueprint:
    """The routes below `/notes`. `import_timeout` is in seconds, `longest_line` of an import in bytes."""
    routes = Blueprint("notes", __name__, url_prefix="/notes")
    tag_blueprint(routes, ["notes"])
    _add_collection(routes, database)
    _add_note(routes, database)
    _add_transfer(routes, database, import_timeout, longest_line)
    _add_events(routes, feed)
    return routes


def _add_collection(routes: Blueprint, database: Database) -> None:
    @routes.post("")
    @response_headers(
        201,
        location="The note's path",
        etag="Its version, for If-Match and If-None-Match",
        idempotency_replayed="`true` if an earlier request with the same key made the note",
    )
    @endpoint(headers=CreateHeaders, content=NoteContent, if_too_large=_IF_TOO_LARGE, answer=Note, status=201)
    async def create(headers: CreateHeaders, content: NoteContent) -> Answer:
        """Make a note."""
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

        `next` leads to the next page. Notes that are made meanwhile do not shift the pages.
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
        """Get a note. With `If-None-Match` 304 if it has not changed."""
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
        """Replace a note. With `If-Match` only if it has not changed, else 412."""
        async with database.connection() as connection:
            note = await store.replace(connection, note_id, content, _expected_versions(headers))
        return json(note, _etag(note))

    @routes.delete("/<uuid:note_id>")
    @response_headers(204)
    @endpoint(headers=ChangeHeaders, errors=(404, 412))
    async def delete(note_id: UUID, headers: ChangeHeaders) -> Answer:
        """Delete a note. With `If-Match` only if it has not changed, else 412."""
        async with database.connection() as connection:
            await store.delete(connection, note_id, _expected_versions(headers))
        return Answer(204)


def _add_transfer(routes: Blueprint, database: Database, import_timeout: float, longest_line: int) -> None:
    lines = Upload(
        transfer.NDJSON, "One note a line: as an export wrote it, or only `title` and `body`", import_timeout
    )

    @routes.post("/import")
    @endpoint(kind=Kind.BULK, upload=lines, answer=ImportResult, errors=(409,))
    async def import_(body: AsyncIterator[bytes]) -> Answer:
        """Import notes from lines of JSON: all of them, or none. Errors name the line."""
        async with database.connection() as connection:
            imported = await transfer.import_lines(connection, body, longest_line)
        return json({"imported": imported})

    @routes.get("/export")
    @endpoint(kind=Kind.BULK, stream=Media(transfer.NDJSON, "One note a line, oldest first"))
    async def export() -> AsyncGenerator[bytes]:
        """Export all notes as lines of JSON, as of one moment. `POST /notes/import` takes them."""
        return transfer.export_lines(database)


def _add_events(routes: Blueprint, feed: Feed) -> None:
    events_stream = Media("text/event-stream", "Server-Sent Events: `created`, `updated`, `deleted`, `reset`")

    @routes.get("/events")
    @endpoint(kind=Kind.EVENTS, headers=EventsHeaders, stream=events_stream)
    async def events(headers: EventsHeaders) -> AsyncGenerator[bytes]:
        """Follow what happens to notes. `Last-Event-ID` resumes without a gap.

        `reset` means that the list is to be read again: many notes changed at once, or what came after
        `Last-Event-ID` is no longer known.
        """
        return feed.subscribe(headers.last_event_id)


def _etag(note: store.NoteFields) -> dict[str, str]:
    return {"etag": f'"{note["version"]}"'}


def _expected_versions(headers: ChangeHeaders) -> list[int] | None:
    """The versions that `If-Match` allows; None if any. A tag that is not a version matches nothing."""
    if headers.if_match is None or (expected := parse_etags(headers.if_match)).star_tag:
        return None
    return [int(tag) for tag in expected.as_set() if tag.isascii() and tag.isdecimal() and len(tag) < 19]
