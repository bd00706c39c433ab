"""Creates notes and follows their events."""

import json
from contextlib import AbstractAsyncContextManager

from tests.service.clients import Clients
from tests.service.databases import Database
from tests.service.sse import Block, Subscriber

INSERT = "INSERT INTO notes (title, body) VALUES ($1, '') RETURNING id"
HAS_LOOKED = "query LIKE '%AS waiting%' AND state = 'idle'"
"""The feed's session is idle: it reads the events, then asks whether there are some that cannot be read yet."""


async def create(service: Clients, title: str = "Launch", **fields: str) -> str:
    """Creates a note; returns its path."""
    return await service.create("/notes", title=title, **fields)


def follow(service: Clients, last_event_id: str | None = None) -> AbstractAsyncContextManager[Subscriber]:
    """An open stream of events."""
    return service.subscribe("/notes/events", last_event_id)


def note_of(block: Block) -> str:
    """The id of the event's note."""
    assert block.data is not None
    return str(json.loads(block.data)["id"])


async def insert(database: Database, *titles: str) -> list[str]:
    """Inserts each note with a statement of its own, which makes one event; returns the ids."""
    async with database.connection() as connection:
        return [str(await connection.fetchval(INSERT, title)) for title in titles]
