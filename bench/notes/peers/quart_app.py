"""Plain Quart and asyncpg, with handwritten metrics."""

import os
from collections.abc import AsyncGenerator
from time import perf_counter
from typing import Any
from uuid import UUID

import asyncpg
from prometheus_client import Counter, Histogram, generate_latest
from quart import Quart, Response, abort, current_app, g, request
from quart.typing import ResponseReturnValue

from bench.notes.peers import sql

app = Quart(__name__)
REQUESTS = Counter("http_requests", "Requests.", ["method", "route", "status"])
DURATION = Histogram("http_request_duration_seconds", "Duration.", ["method", "route"])


@app.while_serving
async def lifespan() -> AsyncGenerator[None]:
    pool_size = int(os.environ["POOL_SIZE"])
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=pool_size, max_size=pool_size) as pool:
        app.extensions["pool"] = pool
        yield


@app.before_request
async def begin() -> None:
    g.begin = perf_counter()


@app.after_request
async def record(response: Response) -> Response:
    route = request.url_rule.rule if request.url_rule else ""
    REQUESTS.labels(request.method, route, response.status_code).inc()
    DURATION.labels(request.method, route).observe(perf_counter() - g.begin)
    return response


@app.get("/metrics")
async def metrics() -> ResponseReturnValue:
    return generate_latest(), {"content-type": "text/plain"}


def note(row: Any) -> dict[str, Any]:
    return {**row, **{name: row[name].isoformat() for name in ("created_at", "updated_at")}}


@app.get("/")
async def root() -> ResponseReturnValue:
    return {"service": "quart"}


@app.get("/notes/<uuid:note_id>")
async def get(note_id: UUID) -> ResponseReturnValue:
    async with current_app.extensions["pool"].acquire() as connection:
        row = await connection.fetchrow(sql.GET, note_id)
    if row is None:
        abort(404)
    return note(row)


@app.get("/notes")
async def page() -> ResponseReturnValue:
    limit = int(request.args.get("limit", 20))
    async with current_app.extensions["pool"].acquire() as connection:
        rows = await connection.fetch(sql.PAGE, limit + 1)
    items = [note(row) for row in rows[:limit]]
    return {"items": items, "next": f"/notes?after={items[-1]['id']}" if len(rows) > limit else None}


@app.post("/notes")
async def create() -> ResponseReturnValue:
    content = await request.get_json()
    async with current_app.extensions["pool"].acquire() as connection:
        row = await connection.fetchrow(sql.CREATE, content["title"], content.get("body", ""))
    return note(row), 201, {"location": f"/notes/{row['id']}"}
