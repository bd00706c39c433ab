"""HTTP on one side, the store on the other: each route is a translation."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlencode
from uuid import UUID

from pydantic_core import to_json
from quart import Blueprint, Response, current_app, request
from quart_schema import tag_blueprint, validate_headers, validate_querystring, validate_response
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
from service.settings import Settings
from service.web.admission import Kind
from service.web.answer import Answer, encode, json
from service.web.endpoint import endpoint
from service.web.openapi import NoQuery, problems, response_headers, streams
from service.web.quart_connection import Request

STREAMED_UPLOADS = frozenset({"/notes/import"})
STREAMS = {"/notes/events": Kind.EVENTS, "/notes/export": Kind.BULK, "/notes/import": Kind.BULK}


@dataclass(frozen=True, slots=True)
class Notes:
    """What the routes need; the application keeps it under `extensions["notes"]`."""

    settings: Settings
    database: Database
    feed: Feed


def _notes() -> Notes:
    return cast(Notes, current_app.extensions["notes"])


def _request() -> Request:
    return cast(Request, request._get_current_object())  # type: ignore[attr-defined]


blueprint = Blueprint("notes", __name__, url_prefix="/notes")
tag_blueprint(blueprint, ["notes"])


@blueprint.post("")
@problems(413, 415, 422)
@response_headers(
    201,
    location="The note's path",
    etag="Its version, for If-Match and If-None-Match",
    idempotency_replayed="`true` if an earlier request with the same key made the note",
)
@endpoint("notes", headers=CreateHeaders, content=NoteContent, answer=Note, status=201)
async def create(notes: Notes, headers: CreateHeaders, content: NoteContent) -> Answer:
    """Make a note."""
    async with notes.database.connection() as connection:
        created = await store.create(connection, content, headers.idempotency_key)
    given = {"location": f"/notes/{created.note.id}", **_etag(created.note)}
    if created.replayed:
        given["idempotency-replayed"] = "true"
    return json(created.note.model_dump_json(), given, 201)


@blueprint.get("")
@problems(422)
@response_headers(200, link='The next page, with `rel="next"`')
@endpoint("notes", query=ListQuery, answer=NotePage)
async def page(notes: Notes, query: ListQuery) -> Answer:
    """List notes, newest first.

    `next` leads to the next page. Notes that are made meanwhile do not shift the pages.
    """
    async with notes.database.connection() as connection:
        rows, cursor = await store.page(connection, query)
    path = cursor and f"/notes?{urlencode(query.model_dump(exclude_none=True) | {'after': cursor})}"
    return json(
        to_json({"items": [dict(row) for row in rows], "next": path}),
        {"link": f'<{path}>; rel="next"'} if path else {},
    )


@blueprint.get("/<uuid:note_id>")
@problems(404, 422)
@response_headers(200, etag="Its version, for If-Match and If-None-Match")
@response_headers(304, etag="Its version")
@endpoint("notes", headers=ReadHeaders, answer=Note)
async def get(notes: Notes, note_id: UUID, headers: ReadHeaders) -> Answer:
    """Get a note. With `If-None-Match` 304 if it has not changed."""
    async with notes.database.connection() as connection:
        note = await store.get(connection, note_id)
    if headers.if_none_match is not None:
        known = parse_etags(headers.if_none_match)
        if known.star_tag or known.contains_weak(str(note.version)):
            return Answer(304, headers=encode(_etag(note)))
    return json(note.model_dump_json(), _etag(note))


@blueprint.put("/<uuid:note_id>")
@problems(404, 412, 413, 415, 422)
@response_headers(200, etag="Its new version")
@endpoint("notes", headers=ChangeHeaders, content=NoteContent, answer=Note)
async def replace(notes: Notes, note_id: UUID, headers: ChangeHeaders, content: NoteContent) -> Answer:
    """Replace a note. With `If-Match` only if it has not changed, else 412."""
    async with notes.database.connection() as connection:
        note = await store.replace(connection, note_id, content, _expected_versions(headers))
    return json(note.model_dump_json(), _etag(note))


@blueprint.delete("/<uuid:note_id>")
@problems(404, 412, 422)
@response_headers(204)
@endpoint("notes", headers=ChangeHeaders)
async def delete(notes: Notes, note_id: UUID, headers: ChangeHeaders) -> Answer:
    """Delete a note. With `If-Match` only if it has not changed, else 412."""
    async with notes.database.connection() as connection:
        await store.delete(connection, note_id, _expected_versions(headers))
    return Answer(204)


@blueprint.post("/import")
@problems(408, 409, 413, 415, 422)
@streams(request=transfer.NDJSON, description="One note a line: as an export wrote it, or only `title` and `body`")
@validate_querystring(NoQuery)
@validate_response(ImportResult)
async def import_(query_args: NoQuery) -> ImportResult:
    """Import notes from lines of JSON: all of them, or none. Errors name the line."""
    http, notes = _request(), _notes()
    http.require_media_type(transfer.NDJSON)
    http.ticket.lift_deadline()
    body = http.chunks(notes.settings.stream_idle_timeout, notes.settings.import_timeout)
    async with notes.database.connection() as connection:
        imported = await transfer.import_lines(connection, body, notes.settings.max_body)
    return ImportResult(imported=imported)


@blueprint.get("/export")
@problems(422)
@streams(response=transfer.NDJSON, description="One note a line, oldest first")
@validate_querystring(NoQuery)
async def export(query_args: NoQuery) -> Response:
    """Export all notes as lines of JSON, as of one moment. `POST /notes/import` takes them."""
    if request.method == "HEAD":
        return _stream(_nothing(), transfer.NDJSON)
    ticket = _request().ticket
    ticket.lift_deadline()
    # Entered here, so that a failure to connect is a 503 and not a 200 without a body.
    connection = await ticket.resources.enter_async_context(_notes().database.connection())
    return _stream(transfer.export_lines(connection), transfer.NDJSON)


@blueprint.get("/events")
@problems(422)
@streams(response="text/event-stream", description="Server-Sent Events: `created`, `updated`, `deleted`, `reset`")
@validate_querystring(NoQuery)
@validate_headers(EventsHeaders)
async def events(query_args: NoQuery, headers: EventsHeaders) -> Response:
    """Follow what happens to notes. `Last-Event-ID` resumes without a gap.

    `reset` means that the list is to be read again: many notes changed at once, or what came after `Last-Event-ID` is
    no longer known.
    """
    if request.method == "HEAD":
        return _stream(_nothing(), "text/event-stream")
    _request().ticket.lift_deadline()
    return _stream(await _notes().feed.subscribe(headers.last_event_id), "text/event-stream")


def _etag(note: Note) -> dict[str, str]:
    return {"etag": f'"{note.version}"'}


def _expected_versions(headers: ChangeHeaders) -> list[int] | None:
    """The versions that `If-Match` allows; None if any. A tag that is no version matches nothing."""
    if headers.if_match is None or (expected := parse_etags(headers.if_match)).star_tag:
        return None
    return [int(tag) for tag in expected.as_set() if tag.isascii() and tag.isdecimal() and len(tag) < 19]


def _stream(body: AsyncGenerator[bytes], media_type: str) -> Response:
    _request().ticket.resources.push_async_callback(body.aclose)
    return Response(body, content_type=media_type, headers={"cache-control": "no-store"})


async def _nothing() -> AsyncGenerator[bytes]:
    return
    yield
