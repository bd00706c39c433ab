"""The outermost layer of the API: gives every request an id, common headers, metrics and one log line."""

import asyncio
from logging import DEBUG, INFO, getLogger
from time import perf_counter
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from service import identity
from service.errors import Malformed, NotFound, Unavailable
from service.lifecycle import Lifecycle
from service.settings import Settings
from service.telemetry import logs
from service.telemetry.metrics import Metrics
from service.web.endpoint import Kind
from service.web.exchange import Exchange
from service.web.routing import match_of

access = getLogger("service.access")

POLL = b"x-poll"
"""The header with which the page marks its polls of `GET /`."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_UNMATCHED = "unmatched"

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)


class Middleware:
    """An ASGI layer. Answers requests that the layers below refuse or cancel: those layers raise the error."""

    def __init__(self, app: Any, settings: Settings, lifecycle: Lifecycle, metrics: Metrics) -> None:
        self._app = app
        self._headers = [
            (b"x-service-version", settings.version.encode()),
            (b"x-service-instance", settings.instance.encode()),
            *SECURITY_HEADERS,
        ]
        self._has_users = settings.identity == "gateway"
        self._lifecycle = lifecycle
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send, self._headers, self._lifecycle)
        logs.request_id.set(exchange.request_id)
        identity.caller.set(identity.from_gateway(scope["headers"]) if self._has_users else None)
        try:
            exchange.check()
            await self._app(scope, exchange.receive, exchange.send)
        except (Malformed, NotFound, Unavailable) as error:
            await exchange.refuse(error)
        except asyncio.CancelledError:
            # Only the server cancels a request here, at the end of the shutdown grace. It would answer an empty 500.
            await exchange.refuse(Unavailable("The service is stopping. Try again in a moment."))
            raise
        finally:
            self._record(exchange)

    def _record(self, exchange: Exchange) -> None:
        scope, duration = exchange.scope, perf_counter() - exchange.started
        match = match_of(scope)
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = match.route or _UNMATCHED
        self._metrics.of_answer(method, route, exchange.status).inc()
        if match.kind is not Kind.EVENTS:  # the time that a client stays subscribed is not latency
            self._metrics.of_route(method, route).observe(duration, self._metrics.exemplar())
        if not access.isEnabledFor(INFO):
            return
        headers = dict(scope["headers"])
        is_poll = match.endpoint is not None and match.endpoint.polled and exchange.status == 200 and POLL in headers
        access.log(
            DEBUG if is_poll else INFO,  # at INFO, polls would bury the other lines
            "%s %s %d %.1f ms",
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            exchange.status,
            duration * 1000,
            extra={
                "http": {
                    "method": scope["method"],
                    "route": route,
                    "status": exchange.status,
                    "duration_ms": round(duration * 1000, 1),
                    "bytes": exchange.sent,
                    "client": headers.get(b"x-forwarded-for", b"").decode("latin-1") or (scope["client"] or [""])[0],
                    "user_agent": headers.get(b"user-agent", b"").decode("latin-1"),
                }
            },
        )
