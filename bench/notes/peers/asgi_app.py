"""No framework, no metrics, no validation: about the minimum that one process with asyncpg can use."""

import json
import os
from typing import Any
from uuid import UUID

import asyncpg

from bench.notes.peers import sql

_state: dict[str, Any] = {}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    async with _state["pool"].acquire() as connection:
        row = await connection.fetchrow(sql.GET, UUID(scope["path"].rpartition("/")[2]))
    body = json.dumps(dict(row), default=str).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    pool_size = int(os.environ["POOL_SIZE"])
    _state["pool"] = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=pool_size, max_size=pool_size)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _state["pool"].close()
    await send({"type": "lifespan.shutdown.complete"})
