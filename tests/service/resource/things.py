"""Makes things and follows their events."""

import json
from contextlib import AbstractAsyncContextManager

from tests.service.clients import Clients
from tests.service.databases import Database
from tests.service.sse import Block, Subscriber

INSERT = "INSERT INTO things (name) VALUES ($1) RETURNING id"
HAS_LOOKED = "query LIKE '%AS waiting%' AND state = 'idle'"
"""The session of the feeds is idle: it reads the events, then asks whether there are some that cannot be read yet."""


def follow(service: Clients, last_event_id: str | None = None) -> AbstractAsyncContextManager[Subscriber]:
    """An open stream of events."""
    return service.subscribe("/things/events", last_event_id)


def thing_of(block: Block) -> str:
    """The id of the event's thing."""
    assert block.data is not None
    return str(json.loads(block.data)["id"])


async def insert(database: Database, *names: str) -> list[str]:
    """Inserts each thing with a statement of its own, which makes one event; returns the ids."""
    async with database.connection() as connection:
        return [str(await connection.fetchval(INSERT, name)) for name in names]
