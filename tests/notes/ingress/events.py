"""A subscriber to /notes/events that behaves like the EventSource of a browser."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx

from tests.waiting import WITHIN


class Event(NamedTuple):
    id: str
    kind: str
    data: dict[str, Any]


class Subscriber:
    """Reads one stream. `last_event_id` is what an EventSource would send when it reconnects."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.last_event_id: str | None = None

    async def begin(self) -> None:
        """Reads the id that is sent before the first event, so that even a stream without events can be resumed."""
        while self.last_event_id is None:
            await self._block()

    async def next(self) -> Event:
        while True:
            fields = await self._block()
            if "data" in fields:
                return Event(self.last_event_id or "", fields.get("event", "message"), json.loads(fields["data"]))

    async def next_about(self, *ids: str) -> Event:
        """The next event about one of these notes. Skips events about other notes."""
        while (event := await self.next()).data["id"] not in ids:
            pass
        return event

    async def _block(self) -> dict[str, str]:
        """The fields up to an empty line (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            if not line:
                self.last_event_id = fields.get("id", self.last_event_id)
                return fields
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        raise EOFError("the stream ended")


@asynccontextmanager
async def subscribed(client: httpx.AsyncClient, last_event_id: str | None = None) -> AsyncIterator[Subscriber]:
    """Opens a stream. It has started when the block begins, so no later event is missed."""
    headers = {} if last_event_id is None else {"last-event-id": last_event_id}
    # Heartbeats keep the client from timing out, so a missing event needs a timeout of its own.
    async with asyncio.timeout(WITHIN), client.stream("GET", "/notes/events", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"] == "text/event-stream"
        subscriber = Subscriber(response)
        await subscriber.begin()
        yield subscriber
