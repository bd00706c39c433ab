"""Changes of one resource as Server-Sent Events: live for all subscribers, and resumable without a gap.

`Feeds` reads new events into memory, which keeps the latest ones. Each subscriber reads at its own speed: from
memory, or from the table if it is further behind. An event's id is its position in the order of all events, so
`Last-Event-ID` resumes on any replica.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Literal, NamedTuple
from uuid import UUID

import asyncpg
from prometheus_client import Gauge
from pydantic import BaseModel, Field

from service import identity
from service.database.pool import Database
from service.errors import Invalid, Unavailable
from service.identity import Identity
from service.lifecycle import Lifecycle
from service.resource import queries
from service.resource.fields import Version
from service.web.endpoint import Media

_MEMORY = 1000  # events
_BATCH = 500  # events
_RETRY = 0.25  # s

STREAM = Media("text/event-stream", "Server-Sent Events: `created`, `updated`, `deleted`, `reset`")


class EventsHeaders(BaseModel):
    """The headers of an event stream."""

    last_event_id: str | None = Field(None, description="The id of the last event that the client received")


class Event(BaseModel):
    """The data of one event. `kind` is also the type of the event."""

    kind: Literal["created", "updated", "deleted", "reset"]
    id: UUID | None = Field(description="The id of the row; null for `reset`, which means: read the list again")
    version: Version | None


class Position(NamedTuple):
    """A position in the order of events; as text it is the id of an event."""

    tx: int
    id: int

    def __str__(self) -> str:
        return f"{self.tx}-{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Raises Invalid if the text is not the id of an event."""
        tx, _, event_id = text.partition("-")
        if tx.isascii() and tx.isdecimal() and event_id.isascii() and event_id.isdecimal():
            position = cls(int(tx[:20]), int(event_id[:20]))
            if max(position) < 2**63:
                return position
        raise Invalid.field(
            "last-event-id", "is not an event id of this stream; leave the header out to start with new events"
        )


class _Message(NamedTuple):
    position: Position
    text: bytes
    owner: str | None
    for_all: bool
    """Whether every subscriber gets it, whoever the owner is."""

    def visible_to(self, user: Identity | None) -> bool:
        if user is None:  # the resource is public
            return self.owner is None
        return user.sees_all or self.for_all or (self.owner is not None and self.owner == user.user)


class Feed:
    """The events of one resource, for all subscribers of a process. `Feeds` makes it, starts it and makes it read."""

    def __init__(
        self, resource: str, heartbeat: float, database: Database, lifecycle: Lifecycle, subscribers: Gauge
    ) -> None:
        self.resource = resource
        self._heartbeat = heartbeat
        self._database = database
        self._lifecycle = lifecycle
        self._subscribers = subscribers
        self._memory: deque[_Message] = deque(maxlen=_MEMORY)
        self._memory_from: Position | None = None  # the memory holds every event after this one
        self._read_to: Position | None = None
        self._news = asyncio.Event()  # set, and replaced by a new one, whenever subscribers have something to do

    # What Feeds calls.

    def start(self, position: Position) -> None:
        """Begin at this position, unless the feed has begun already."""
        if self._read_to is None:
            self._read_to = self._memory_from = position
            self.wake()

    async def read(self, connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
        """Read all events that can be read. Returns True if there are others, which cannot be read yet."""
        assert self._read_to is not None  # noqa: S101 - it was started
        while rows := await connection.fetch(queries.EVENTS_AFTER.sql, self.resource, *self._read_to, _BATCH):
            for message in map(_message, rows):
                if len(self._memory) == _MEMORY:
                    self._memory_from = self._memory[0].position
                self._memory.append(message)
                self._read_to = message.position
            self.wake()
        waiting: bool = await connection.fetchval(queries.EVENTS_WAITING.sql, self.resource, *self._read_to)
        return waiting

    def wake(self) -> None:
        """Let all subscribers see what has changed."""
        self._news.set()
        self._news = asyncio.Event()

    # The subscribers.

    async def subscribe(self, last_event_id: str | None) -> AsyncGenerator[bytes]:
        """The stream of one subscriber: the events after `last_event_id`, or new events if it is None.

        If the rows are owned, it has only the events of those that the request's user may see. It ends with this
        replica, and with the user's token.
        Before its first chunk, raises Invalid if the id is wrong and Unavailable if the database does not answer.
        """
        user = identity.acting.get()
        position, lost = await self._begin(last_event_id)
        told = position
        end = asyncio.get_running_loop().time() + identity.seconds_left()
        self._subscribers.inc()
        try:
            # An id without data: a client that has not seen an event yet knows where to resume.
            yield f"retry: 1000\nid: {position}\n\n".encode()
            if lost:
                yield _encode(position, Event(kind="reset", id=None, version=None))
            while not self._lifecycle.closing.is_set() and (left := end - asyncio.get_running_loop().time()) > 0:
                news = self._news
                messages = await self._after(position)
                if messages:
                    position = messages[-1].position
                    if visible := [message for message in messages if message.visible_to(user)]:
                        yield b"".join(message.text for message in visible)
                        told = visible[-1].position
                    continue
                try:
                    async with asyncio.timeout(min(self._heartbeat, left)):
                        await news.wait()
                except TimeoutError:
                    # Who sees no event for long would otherwise resume from one that is not stored any more.
                    yield b": heartbeat\n\n" if told == position else f"id: {position}\n\n".encode()
                    told = position
            yield b"retry: 100\n\n"  # clients reconnect at once, to another replica or with another token
        finally:
            self._subscribers.dec()

    async def _begin(self, last_event_id: str | None) -> tuple[Position, bool]:
        """Where the stream begins, and whether this client has lost events before that."""
        if last_event_id is None and self._read_to is not None:
            return self._read_to, False
        last_seen = None if last_event_id is None else Position.parse(last_event_id)
        now, pruned = await self._history()
        # Events are lost if cleanup has removed them, or if the id comes from another database.
        lost = last_seen is not None and (last_seen < pruned or last_seen.tx > now.tx)
        return (now if last_seen is None or lost else last_seen), lost

    async def _after(self, position: Position) -> Sequence[_Message]:
        if self._memory_from is not None and position >= self._memory_from:
            start = bisect_right(self._memory, position, key=lambda message: message.position)
            return [self._memory[index] for index in range(start, len(self._memory))]
        return await self._read_table(position)

    async def _read_table(self, position: Position) -> Sequence[_Message]:
        try:
            async with self._database.connection() as connection:
                rows = await connection.fetch(queries.EVENTS_AFTER, self.resource, *position, _BATCH)
        except Unavailable:
            await asyncio.sleep(_RETRY)  # keep the stream open until the database is back
            return []
        return [_message(row) for row in rows]

    async def _history(self) -> tuple[Position, Position]:
        """The current position, and that of the newest event that cleanup has removed."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(queries.EVENTS_NOW)
        assert row is not None  # noqa: S101 - the table has one row
        return Position(row["tx"], 0), Position(row["pruned_tx"], row["pruned_id"])


def _message(row: asyncpg.Record) -> _Message:
    position = Position(row["tx"], row["id"])
    event = Event.model_construct(kind=row["kind"], id=row["item"], version=row["version"])
    owner = row["owner"]
    return _Message(position, _encode(position, event), owner, for_all=owner is None and event.kind == "reset")


def _encode(position: Position, event: Event) -> bytes:
    return f"id: {position}\nevent: {event.kind}\ndata: {event.model_dump_json()}\n\n".encode()
