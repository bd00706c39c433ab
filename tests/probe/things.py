"""Things: a name and a version. One route of each kind, and as little as possible behind it.

POST, GET /things              POST may have Idempotency-Key. GET is polled: with X-Poll it is logged at debug only
GET, PUT, DELETE /things/<id>  PUT may have If-Match
POST /things/import            one COPY in one transaction, as long as the client sends
GET /things/export             batches of one cursor, as long as the client reads
GET /things/events             heartbeats, and no events
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from itertools import count
from typing import Annotated, Any
from uuid import UUID, uuid4

import asyncpg
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from quart import Blueprint

from service.database.pool import Connection, Database, Statement
from service.domain import Built, Domain, Machinery
from service.errors import Conflict, Invalid, NotFound, PreconditionFailed
from service.lifecycle import Lifecycle
from service.settings import Group, PositiveSeconds
from service.web.answer import Answer, json
from service.web.endpoint import Kind, Media, Upload, endpoint
from service.web.problem import wrong_fields

SCHEMA = """
    CREATE TABLE things (
        id      uuid PRIMARY KEY DEFAULT uuidv7(),
        name    text NOT NULL,
        version bigint NOT NULL DEFAULT 1
    );
    CREATE TABLE thing_keys (key text PRIMARY KEY, id uuid NOT NULL DEFAULT uuidv7())
"""
"""To be run as app_owner, as migrations are: its default privileges let the service read and write rows."""

CREATE = Statement("thing_create", "INSERT INTO things (name) VALUES ($1) RETURNING id, name, version")
CREATE_ONCE = Statement(
    "thing_create_once",
    """
    WITH made AS (INSERT INTO thing_keys (key) VALUES ($2) ON CONFLICT (key) DO NOTHING RETURNING id)
    INSERT INTO things (id, name) SELECT id, $1 FROM made RETURNING id, name, version
    """,
)
CREATED = Statement("thing_created", "SELECT things.* FROM things JOIN thing_keys USING (id) WHERE key = $1")
GET = Statement("thing_get", "SELECT id, name, version FROM things WHERE id = $1")
LIST = Statement("thing_list", "SELECT id, name, version FROM things ORDER BY id DESC LIMIT $1")
REPLACE = Statement(
    "thing_replace",
    """
    UPDATE things SET name = $2, version = version + 1 WHERE id = $1 AND ($3::bigint IS NULL OR version = $3)
    RETURNING id, name, version
    """,
)
DELETE = Statement("thing_delete", "DELETE FROM things WHERE id = $1 RETURNING id, version")
IMPORT = Statement("thing_import", "COPY things FROM STDIN")
EXPORT = Statement("thing_export", "SELECT row_to_json(things)::text AS line FROM things ORDER BY id")
PING = Statement("thing_ping", "SELECT 1")

NDJSON = "application/x-ndjson"
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$", examples=["Launch"])]


class ThingSettings(Group):
    import_timeout: PositiveSeconds = Field(600, description="Maximum duration of an import")
    heartbeat: PositiveSeconds = Field(15, description="Time between the heartbeats of `/things/events`")


class ThingContent(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name


class Thing(ThingContent):
    """A thing as it is stored, and a line of an import, which may have nothing but the name."""

    id: UUID = Field(default_factory=uuid4)
    version: int = Field(1, ge=1, lt=2**53)


class ThingList(BaseModel):
    items: list[Thing]


class ListQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100)


class CreateHeaders(BaseModel):
    idempotency_key: str | None = Field(None, pattern=r"^[!-~]{1,200}$")


class ChangeHeaders(BaseModel):
    if_match: str | None = Field(None, pattern=r'^"[1-9]\d{0,17}"$', description="The ETag of the version to change")


class ImportResult(BaseModel):
    imported: int


def _build(machinery: Machinery) -> Built:
    routes, database = Blueprint("things", __name__, url_prefix="/things"), machinery.database
    settings = machinery.settings.of(ThingSettings)
    _add_collection(routes, database)
    _add_thing(routes, database)
    _add_transfer(routes, database, settings.import_timeout)
    _add_events(routes, database, settings.heartbeat, machinery.lifecycle)
    return Built(routes)


def _add_collection(routes: Blueprint, database: Database) -> None:
    @routes.post("")
    @endpoint(
        headers=CreateHeaders, content=ThingContent, if_too_large="Use /things/import.", answer=Thing, status=201
    )
    async def create(headers: CreateHeaders, content: ThingContent) -> Answer:
        key = headers.idempotency_key
        async with database.connection() as connection:
            if key is None:
                [thing] = await connection.fetch(CREATE, content.name)
            else:
                made = await connection.fetchrow(CREATE_ONCE, content.name, key)
                thing = made or await _existing(connection, CREATED, key)
        return _answer(thing, 201, location=f"/things/{thing['id']}")

    @routes.get("")
    @endpoint(query=ListQuery, answer=ThingList, polled=True)
    async def newest(query: ListQuery) -> Answer:
        async with database.connection() as connection:
            things = await connection.fetch(LIST, query.limit)
        return json({"items": [dict(thing) for thing in things]})


def _add_thing(routes: Blueprint, database: Database) -> None:
    @routes.get("/<uuid:thing_id>")
    @endpoint(answer=Thing, errors=(404,))
    async def get(thing_id: UUID) -> Answer:
        async with database.connection() as connection:
            return _answer(await _existing(connection, GET, thing_id))

    @routes.put("/<uuid:thing_id>")
    @endpoint(headers=ChangeHeaders, content=ThingContent, answer=Thing, errors=(404, 412))
    async def replace(thing_id: UUID, headers: ChangeHeaders, content: ThingContent) -> Answer:
        version = headers.if_match and int(headers.if_match.strip('"'))
        async with database.connection() as connection:
            thing = await connection.fetchrow(REPLACE, thing_id, content.name, version)
            if thing is None:
                thing = await _existing(connection, GET, thing_id)
                raise PreconditionFailed(f"The thing is at version {thing['version']} now.")
        return _answer(thing)

    @routes.delete("/<uuid:thing_id>")
    @endpoint(errors=(404,))
    async def delete(thing_id: UUID) -> Answer:
        async with database.connection() as connection:
            await _existing(connection, DELETE, thing_id)
        return Answer(204)


def _add_transfer(routes: Blueprint, database: Database, import_timeout: float) -> None:
    @routes.post("/import")
    @endpoint(kind=Kind.BULK, upload=Upload(NDJSON, "Things", import_timeout), answer=ImportResult, errors=(409,))
    async def import_(body: AsyncIterator[bytes]) -> Answer:
        lines = count()
        try:
            async with database.connection() as connection, connection.bulk(readonly=False):
                await connection.copy(IMPORT, "things", ("id", "name", "version"), _records(body, lines))
        except asyncpg.UniqueViolationError as error:
            raise Conflict("There is a thing with one of these ids; nothing was imported.") from error
        return json({"imported": next(lines)})

    @routes.get("/export")
    @endpoint(kind=Kind.BULK, stream=Media(NDJSON, "Things"))
    async def export() -> AsyncGenerator[bytes]:
        return _export(database)


def _add_events(routes: Blueprint, database: Database, heartbeat: float, lifecycle: Lifecycle) -> None:
    @routes.get("/events")
    @endpoint(kind=Kind.EVENTS, stream=Media("text/event-stream", "Heartbeats"))
    async def events() -> AsyncGenerator[bytes]:
        return _heartbeats(database, heartbeat, lifecycle)


def _answer(thing: asyncpg.Record, status: int = 200, **headers: str) -> Answer:
    return json(dict(thing), {"etag": f'"{thing["version"]}"', **headers}, status)


async def _existing(connection: Connection, statement: Statement, key: UUID | str) -> asyncpg.Record:
    thing = await connection.fetchrow(statement, key)
    if thing is None:
        raise NotFound(f"There is no thing {key}.")
    return thing


async def _records(body: AsyncIterator[bytes], lines: "count[int]") -> AsyncIterator[tuple[Any, ...]]:
    rest = b""
    async for chunk in body:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield _record(line, next(lines))
    if rest:
        yield _record(rest, next(lines))


def _record(line: bytes, index: int) -> tuple[Any, ...]:
    try:
        thing = Thing.model_validate_json(line)
    except ValidationError as error:
        raise Invalid(wrong_fields(error, f"line {index + 1}")) from None
    return thing.id, thing.name, thing.version


async def _export(database: Database) -> AsyncGenerator[bytes]:
    async with database.connection() as connection, connection.bulk(readonly=True):
        async for things in connection.batches(EXPORT, size=20):
            yield "".join(f"{thing['line']}\n" for thing in things).encode()


async def _heartbeats(database: Database, heartbeat: float, lifecycle: Lifecycle) -> AsyncGenerator[bytes]:
    async with database.connection() as connection:
        await connection.fetchrow(PING)  # without a database there is no stream
    yield b"retry: 1000\n\n"
    while not lifecycle.closing.is_set():
        try:
            await asyncio.wait_for(lifecycle.closing.wait(), heartbeat)
        except TimeoutError:
            yield b": heartbeat\n\n"
    yield b"retry: 100\n\n"


DOMAIN: Domain = Domain(build=_build, summary="Things.", settings=ThingSettings, links={"things": "/things"})
