"""A subscriber to /notes/events, as a browser's EventSource is one."""

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
    """Reads one stream. `last_event_id` is what an EventSource sends when it comes back."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.last_event_id: str | None = None

    async def begin(self) -> None:
        """Reads the id that comes before any event: where to resume if nothing happens."""
        while self.last_event_id is None:
            await self._block()

    async def next(self) -> Event:
        while True:
            fields = await self._block()
            if "data" in fields:
                return Event(self.last_event_id or "", fields.get("event", "message"), json.loads(fields["data"]))

    async def next_about(self, *ids: str) -> Event:
        """The next event of one of these notes; others may write as well."""
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
    """Open a stream; inside the block it has begun, so that nothing is missed from then on."""
    headers = {} if last_event_id is None else {"last-event-id": last_event_id}
    # A stream has heartbeats, so that an event that never comes is no timeout of its client.
    async with asyncio.timeout(WITHIN), client.stream("GET", "/notes/events", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"] == "text/event-stream"
        subscriber = Subscriber(response)
        await subscriber.begin()
        yield subscriber
