"""HTTP on one side, the store on the other: each route is a translation."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlencode
from uuid import UUID

from quart import Blueprint, Response, current_app, request
from quart_schema import (
    document_headers,
    tag_blueprint,
    validate_headers,
    validate_querystring,
    validate_request,
    validate_response,
)
from werkzeug.datastructures import ETags

from service.admission import Kind
from service.connection import Request
from service.database import Database
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
from service.openapi import NoQuery, problems, response_headers, streams
from service.settings import Settings

Headers = dict[str, str]

STREAMED_UPLOADS = frozenset({"/notes/import"})


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
@validate_querystring(NoQuery)
@validate_headers(CreateHeaders)
@validate_request(NoteContent)
@validate_response(Note, 201)
async def create(data: NoteContent, headers: CreateHeaders, query_args: NoQuery) -> tuple[Note, int, Headers]:
    """Make a note."""
    async with _notes().database.connection() as connection:
        created = await store.create(connection, data, headers.idempotency_key)
    answer = {"location": f"/notes/{created.note.id}", **_etag(created.note)}
    if created.replayed:
        answer["idempotency-replayed"] = "true"
    return created.note, 201, answer


@blueprint.get("")
@problems(422)
@response_headers(200, link='The next page, with `rel="next"`')
@validate_querystring(ListQuery)
@validate_response(NotePage)
async def page(query_args: ListQuery) -> tuple[NotePage, int, Headers]:
    """List notes, newest first.

    `next` leads to the next page. Notes that are made meanwhile do not shift the pages.
    """
    async with _notes().database.connection() as connection:
        notes, cursor = await store.page(connection, query_args)
    if cursor is None:
        return NotePage.model_construct(items=notes, next=None), 200, {}
    parameters = query_args.model_dump(exclude_none=True) | {"after": cursor}
    path = f"/notes?{urlencode(parameters)}"
    return NotePage.model_construct(items=notes, next=path), 200, {"link": f'<{path}>; rel="next"'}


@blueprint.get("/<uuid:note_id>")
@problems(404, 422)
@response_headers(200, etag="Its version, for If-Match and If-None-Match")
@response_headers(304, etag="Its version")
@document_headers(ReadHeaders)
@validate_querystring(NoQuery)
@validate_response(Note)
async def get(note_id: UUID, query_args: NoQuery) -> tuple[Note, int, Headers] | Response:
    """Get a note. With `If-None-Match` 304 if it has not changed."""
    async with _notes().database.connection() as connection:
        note = await store.get(connection, note_id)
    known = request.if_none_match
    if known.star_tag or known.contains_weak(str(note.version)):
        return _empty(304, _etag(note))
    return note, 200, _etag(note)


@blueprint.put("/<uuid:note_id>")
@problems(404, 412, 413, 415, 422)
@response_headers(200, etag="Its new version")
@document_headers(ChangeHeaders)
@validate_querystring(NoQuery)
@validate_request(NoteContent)
@validate_response(Note)
async def replace(note_id: UUID, data: NoteContent, query_args: NoQuery) -> tuple[Note, int, Headers]:
    """Replace a note. With `If-Match` only if it has not changed, else 412."""
    async with _notes().database.connection() as connection:
        note = await store.replace(connection, note_id, data, _expected_versions())
    return note, 200, _etag(note)


@blueprint.delete("/<uuid:note_id>")
@problems(404, 412, 422)
@response_headers(204)
@document_headers(ChangeHeaders)
@validate_querystring(NoQuery)
async def delete(note_id: UUID, query_args: NoQuery) -> Response:
    """Delete a note. With `If-Match` only if it has not changed, else 412."""
    async with _notes().database.connection() as connection:
        await store.delete(connection, note_id, _expected_versions())
    return _empty(204)


@blueprint.post("/import")
@problems(408, 409, 413, 415, 422)
@streams(request=transfer.NDJSON, description="One note a line: as an export wrote it, or only `title` and `body`")
@validate_querystring(NoQuery)
@validate_response(ImportResult)
async def import_(query_args: NoQuery) -> ImportResult:
    """Import notes from lines of JSON: all of them, or none. Errors name the line."""
    http, notes = _request(), _notes()
    http.require_media_type(transfer.NDJSON)
    http.ticket.become(Kind.BULK)
    body = http.chunks(notes.settings.stream_idle_timeout)
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
    ticket.become(Kind.BULK)
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
    _request().ticket.become(Kind.EVENTS)
    return _stream(await _notes().feed.subscribe(headers.last_event_id), "text/event-stream")


def _etag(note: Note) -> Headers:
    return {"etag": f'"{note.version}"'}


def _expected_versions() -> list[int] | None:
    """The versions that `If-Match` allows; None if any. A tag that is no version matches nothing."""
    expected: ETags = request.if_match
    if "If-Match" not in request.headers or expected.star_tag:
        return None
    tags = expected.as_set()
    return [int(tag) for tag in tags if tag.isascii() and tag.isdecimal() and len(tag) < 19]


def _empty(status: int, headers: Headers | None = None) -> Response:
    response = Response(status=status, headers=headers)
    del response.headers["content-type"]  # Quart's default, for a body that is not there
    return response


def _stream(body: AsyncGenerator[bytes], media_type: str) -> Response:
    _request().ticket.resources.push_async_callback(body.aclose)
    return Response(body, content_type=media_type, headers={"cache-control": "no-store"})


async def _nothing() -> AsyncGenerator[bytes]:
    return
    yield
