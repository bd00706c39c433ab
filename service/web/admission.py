"""Limits how many requests run at a time. Each takes a slot of its kind; if no slot is free, it is refused at once.

Streams have slots of their own, so that they neither keep out short requests nor use up the pool. A thousand
subscribers that reconnect at the same moment take no slot of a short request.
"""

from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from service.errors import Unavailable
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.web.endpoint import Kind
from service.web.routing import match_of


class Admission:
    """An ASGI layer with the slots of one process. Raises Unavailable if no slot of the request's kind is free."""

    def __init__(self, app: Any, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        limits = {
            Kind.REQUEST: settings.max_requests,
            Kind.EVENTS: settings.max_streams,
            Kind.BULK: settings.bulk_size,
        }
        self._slots = {kind: _Slots(kind, limit, metrics) for kind, limit in limits.items()}

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        slots = self._slots[match_of(scope).kind]
        slots.take()
        try:
            await self._app(scope, receive, send)
        finally:
            slots.free()


class _Slots:
    """The slots of one kind."""

    def __init__(self, kind: Kind, limit: int, metrics: Metrics) -> None:
        self._limit = limit
        self._taken = 0
        self._in_flight = metrics.in_flight.labels(kind)
        self._shed = metrics.shed.labels(kind)
        metrics.in_flight_limit.labels(kind).set(limit)

    def take(self) -> None:
        if self._taken >= self._limit:
            self._shed.inc()
            raise Unavailable("Too many requests of this kind are running. Try again in a moment.")
        self._taken += 1
        self._in_flight.inc()

    def free(self) -> None:
        self._taken -= 1
        self._in_flight.dec()
