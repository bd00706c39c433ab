"""FastAPI as its documentation shows it: pydantic models, a pool of asyncpg, and the usual instrumentation."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from prometheus_fastapi_instrumentator import Instrumentator
from pydantic import BaseModel, Field

from bench.notes.peers import sql


class Content(BaseModel):
    title: str = Field(min_length=1, max_length=200)
    body: str = Field("", max_length=10_000)


class Note(Content):
    id: UUID
    version: int
    created_at: datetime
    updated_at: datetime


class Page(BaseModel):
    items: list[Note]
    next: str | None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    pool_size = int(os.environ["POOL_SIZE"])
    url = os.environ["DATABASE_URL"]
    async with asyncpg.create_pool(url, min_size=pool_size, max_size=pool_size) as app.state.pool:
        yield


async def connection(request: Request) -> AsyncIterator[Any]:
    async with request.app.state.pool.acquire() as connection:
        yield connection


Connection = Annotated[Any, Depends(connection)]

app = FastAPI(lifespan=lifespan)
Instrumentator().instrument(app).expose(app)


@app.get("/")
async def root() -> dict[str, str]:
    return {"service": "fastapi"}


@app.get("/notes/{note_id}")
async def get(note_id: UUID, connection: Connection) -> Note:
    row = await connection.fetchrow(sql.GET, note_id)
    if row is None:
        raise HTTPException(404)
    return Note(**row)


@app.get("/notes")
async def page(connection: Connection, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Page:
    rows = await connection.fetch(sql.PAGE, limit + 1)
    items = [Note(**row) for row in rows[:limit]]
    return Page(items=items, next=f"/notes?after={items[-1].id}" if len(rows) > limit else None)


@app.post("/notes", status_code=201)
async def create(content: Content, connection: Connection, response: Response) -> Note:
    note = Note(**await connection.fetchrow(sql.CREATE, content.title, content.body))
    response.headers["location"] = f"/notes/{note.id}"
    return note
