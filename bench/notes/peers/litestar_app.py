"""Litestar, msgspec and asyncpg, with Litestar's own Prometheus middleware."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import msgspec
from litestar import Litestar, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.params import Parameter
from litestar.plugins.prometheus import PrometheusConfig, PrometheusController

from bench.notes.peers import sql


class Content(msgspec.Struct):
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    body: Annotated[str, msgspec.Meta(max_length=10_000)] = ""


class Note(msgspec.Struct):
    id: UUID
    title: str
    body: str
    version: int
    created_at: datetime
    updated_at: datetime


class Page(msgspec.Struct):
    items: list[Note]
    next: str | None


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    pool_size = int(os.environ["POOL_SIZE"])
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=pool_size, max_size=pool_size) as pool:
        app.state.pool = pool
        yield


async def connection(state: State) -> AsyncIterator[Any]:
    async with state.pool.acquire() as connection:
        yield connection


@get("/")
async def root() -> dict[str, str]:
    return {"service": "litestar"}


@get("/notes/{note_id:uuid}")
async def read(note_id: UUID, connection: Any) -> Note:
    row = await connection.fetchrow(sql.GET, note_id)
    if row is None:
        raise NotFoundException
    return Note(**row)


@get("/notes")
async def page(connection: Any, limit: Annotated[int, Parameter(ge=1, le=100)] = 20) -> Page:
    rows = await connection.fetch(sql.PAGE, limit + 1)
    items = [Note(**row) for row in rows[:limit]]
    return Page(items=items, next=f"/notes?after={items[-1].id}" if len(rows) > limit else None)


@post("/notes")
async def create(data: Content, connection: Any) -> Response[Note]:
    note = Note(**await connection.fetchrow(sql.CREATE, data.title, data.body))
    return Response(note, headers={"location": f"/notes/{note.id}"})


app = Litestar(
    [root, read, page, create, PrometheusController],
    dependencies={"connection": connection},
    lifespan=[lifespan],
    middleware=[PrometheusConfig(group_path=True).middleware],
    openapi_config=None,
)
