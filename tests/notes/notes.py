"""Creates notes and follows their events."""

import json
from contextlib import AbstractAsyncContextManager

from tests.service.clients import Clients
from tests.service.sse import Block, Subscriber


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
