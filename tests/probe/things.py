"""Things: a name and a version. One route of each kind, on the helpers of service/resource/, and little behind it.

POST, GET /things              POST may have Idempotency-Key. GET is polled: with X-Poll it is logged at debug only
GET, PUT, DELETE /things/<id>  with If-Match and If-None-Match
POST /things/import            one COPY in one transaction, as long as the client sends
GET /things/export             batches of one cursor, as long as the client reads
GET /things/events             created, updated, deleted, reset
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from quart import Blueprint

from service.database.pool import Connection, Database, Statement
from service.domain import Built, Domain, Machinery
from service.resource import idempotency, paging, versions
from service.resource.feed import STREAM, EventsHeaders, Feed
from service.resource.fields import STORABLE, ImportedVersion, Version, uuid7
from service.resource.idempotency import Created, CreateHeaders
from service.resource.transfer import NDJSON, Import, ImportResult, export_lines, import_lines
from service.resource.versions import Conditions
from service.web.answer import Answer, json
from service.web.endpoint import Kind, Media, Upload, endpoint

SCHEMA = """
    CREATE TABLE things (
        id      uuid PRIMARY KEY DEFAULT uuidv7(),
        name    text NOT NULL,
        version bigint NOT NULL DEFAULT 1
    );
    SELECT publish_events('things')
"""
"""To be run as app_owner, as migrations are: its default privileges let the service read and write rows."""

CREATE = Statement("thing_create", "INSERT INTO things (name) VALUES ($1) RETURNING id, name, version")
CREATE_WITH_KEY = idempotency.with_key(CREATE)
GET = Statement("thing_get", "SELECT id, name, version FROM things WHERE id = $1")
LIST_FIRST = Statement("thing_list", "SELECT id, name, version FROM things ORDER BY id DESC LIMIT $1")
LIST_AFTER = Statement("thing_list", "SELECT id, name, version FROM things WHERE id < $2 ORDER BY id DESC LIMIT $1")
REPLACE = Statement(
    "thing_replace",
    """
    UPDATE things SET name = $2, version = version + 1
     WHERE id = $1 AND ($3::text IS NULL OR version <@ $3::int8multirange)
    RETURNING id, name, version
    """,
)
DELETE = Statement(
    "thing_delete",
    "DELETE FROM things WHERE id = $1 AND ($2::text IS NULL OR version <@ $2::int8multirange) RETURNING id",
)
EXPORT = Statement(
    "thing_export", "SELECT row_to_json(things)::text AS line FROM (SELECT * FROM things ORDER BY id) AS things"
)

Name = Annotated[str, Field(min_length=1, max_length=200), STORABLE]


class ThingContent(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name = Field(examples=["Launch"])


class Thing(BaseModel):
    id: UUID
    name: Name
    version: Version


class ThingPage(paging.Page[Thing]):
    """One page of things."""


class ThingLine(ThingContent):
    """A line of an import, which may have nothing but the name."""

    id: UUID = Field(default_factory=uuid7)
    version: ImportedVersion = 1

    def record(self) -> tuple[object, ...]:
        return self.id, self.name, self.version


IMPORT = Import(name="thing", table="things", columns=("id", "name", "version"), line=ThingLine)


def _build(machinery: Machinery) -> Built:
    routes = Blueprint("things", __name__, url_prefix="/things")
    database, settings = machinery.database, machinery.settings
    _add_collection(routes, database)
    _add_thing(routes, database)
    _add_transfer(routes, database, settings.import_timeout, settings.max_body)
    _add_events(routes, machinery.feeds.of("things"))
    return Built(routes)


def _add_collection(routes: Blueprint, database: Database) -> None:
    @routes.post("")
    @endpoint(
        headers=CreateHeaders, content=ThingContent, if_too_large="Use /things/import.", answer=Thing, status=201
    )
    async def create(headers: CreateHeaders, content: ThingContent) -> Answer:
        async with database.connection() as connection:
            created = await _create(connection, content, headers.idempotency_key)
        return created.answer("/things")

    @routes.get("")
    @endpoint(query=paging.PageQuery, answer=ThingPage, polled=True)
    async def newest(query: paging.PageQuery) -> Answer:
        async with database.reading() as connection:
            if query.after_id is None:
                rows = await connection.fetch(LIST_FIRST, query.rows)
            else:
                rows = await connection.fetch(LIST_AFTER, query.rows, query.after_id)
        return paging.answer("/things", query, rows)


def _add_thing(routes: Blueprint, database: Database) -> None:
    @routes.get("/<uuid:thing_id>")
    @endpoint(headers=Conditions, answer=Thing, errors=(404,))
    async def get(thing_id: UUID, headers: Conditions) -> Answer:
        async with database.connection() as connection:
            thing = await connection.fetchrow(GET, thing_id)
        if thing is None:
            raise versions.not_found("thing", thing_id)
        return versions.answer(dict(thing), "thing", headers)

    @routes.put("/<uuid:thing_id>")
    @endpoint(headers=Conditions, content=ThingContent, answer=Thing, errors=(404,))
    async def replace(thing_id: UUID, headers: Conditions, content: ThingContent) -> Answer:
        allowed = versions.allowed(headers)
        async with database.connection() as connection:
            thing = await connection.fetchrow(REPLACE, thing_id, content.name, allowed)
            if thing is None:
                raise await versions.why_unchanged(connection, GET, "thing", thing_id)
        return versions.answer(dict(thing))

    @routes.delete("/<uuid:thing_id>")
    @endpoint(headers=Conditions, errors=(404,))
    async def delete(thing_id: UUID, headers: Conditions) -> Answer:
        async with database.connection() as connection:
            if await connection.fetchrow(DELETE, thing_id, versions.allowed(headers)) is None:
                raise await versions.why_unchanged(connection, GET, "thing", thing_id)
        return Answer(204)


def _add_transfer(routes: Blueprint, database: Database, import_timeout: float, max_line: int) -> None:
    @routes.post("/import")
    @endpoint(kind=Kind.BULK, upload=Upload(NDJSON, "Things", import_timeout), answer=ImportResult, errors=(409,))
    async def import_(body: AsyncIterator[bytes]) -> Answer:
        async with database.connection() as connection:
            return json({"imported": await import_lines(connection, IMPORT, body, max_line)})

    @routes.get("/export")
    @endpoint(kind=Kind.BULK, stream=Media(NDJSON, "Things"))
    async def export() -> AsyncGenerator[bytes]:
        return export_lines(database, EXPORT)


def _add_events(routes: Blueprint, feed: Feed) -> None:
    @routes.get("/events")
    @endpoint(kind=Kind.EVENTS, headers=EventsHeaders, stream=STREAM)
    async def events(headers: EventsHeaders) -> AsyncGenerator[bytes]:
        return feed.subscribe(headers.last_event_id)


async def _create(connection: Connection, content: ThingContent, key: str | None) -> Created:
    if key is None:
        [thing] = await connection.fetch(CREATE, content.name)
        return Created(dict(thing))
    return await idempotency.once(
        connection, "POST /things", key, content, CREATE_WITH_KEY, content.name, answer=Thing
    )


DOMAIN: Domain = Domain(build=_build, summary="Things.", links={"things": "/things"})
