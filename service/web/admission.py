"""How much at a time: each request holds a place, and when all are taken the next one is refused at once.

Streams have places of their own, so that they cannot keep out the short requests, nor use up the pool.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from enum import StrEnum
from functools import cached_property

from service.errors import Unavailable
from service.settings import Settings
from service.telemetry.metrics import Metrics


class Kind(StrEnum):
    REQUEST = "request"
    EVENTS = "events"  # lasts for hours, holds no connection
    BULK = "bulk"  # an import or an export, holds a connection of the pool


class Ticket:
    """One request's place and its deadline."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.route: str | None = None
        """The template of the matched route, such as `/notes/<uuid:note_id>`."""
        self.deadline: asyncio.Timeout | None = None

    @cached_property
    def resources(self) -> AsyncExitStack:
        """Closed when the request is over, however it ends: what a streamed response needs while it is sent."""
        return AsyncExitStack()

    def lift_deadline(self) -> None:
        """For a stream, which has limits of its own."""
        if self.deadline is not None:
            self.deadline.reschedule(None)


class Admission:
    """The places of one process.

    `kinds` has the paths of streams. The path decides before the request is looked at: a thousand subscribers that
    come back at the same moment must not need the places of requests on their way in.
    """

    def __init__(self, settings: Settings, metrics: Metrics, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds
        self._limits = {
            Kind.REQUEST: settings.max_requests,
            Kind.EVENTS: settings.max_streams,
            Kind.BULK: settings.bulk_size,
        }
        for kind, limit in self._limits.items():
            metrics.in_flight_limit.labels(kind).set(limit)
        self._taken: Counter[Kind] = Counter()
        self._in_flight = {kind: metrics.in_flight.labels(kind) for kind in Kind}
        self._shed = {kind: metrics.shed.labels(kind) for kind in Kind}

    def enter(self, path: str) -> Ticket:
        """A place for a request of this path. Raises Unavailable if all are taken."""
        kind = self._kinds.get(path, Kind.REQUEST)
        if self._taken[kind] >= self._limits[kind]:
            self._shed[kind].inc()
            raise Unavailable("Too many requests of this kind are running. Try again in a moment.")
        self._taken[kind] += 1
        self._in_flight[kind].inc()
        return Ticket(kind)

    def leave(self, ticket: Ticket) -> None:
        self._taken[ticket.kind] -= 1
        self._in_flight[ticket.kind].dec()
