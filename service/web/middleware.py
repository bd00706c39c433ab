"""What every request of the API gets, in front of Quart: an id, a place, measurement, headers, one log line."""

import asyncio
import re
import uuid
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from logging import DEBUG, INFO, getLogger
from time import perf_counter
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, ASGISendEvent, HTTPScope, Scope

from service.errors import PROBLEM, Malformed, Unavailable, problem
from service.lifecycle import Lifecycle
from service.settings import Settings
from service.telemetry import logs
from service.telemetry.metrics import Metrics
from service.web import error_page
from service.web.admission import Admission, Kind, Ticket

logger = getLogger(__name__)
access = getLogger("service.access")

TICKET = "ticket"
"""The key of the request's Ticket in the state of its scope."""

POLL = b"x-poll"
"""The header with which the page marks its polls of `GET /`."""

_UNMATCHED = "unmatched"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_CLIENT_CLOSED = 499  # nginx's name for a request whose client left before the answer
_LINGER = 5.0
_REQUEST_ID = re.compile(rb"[!-~]{1,128}")

_Headers = list[tuple[bytes, bytes]]

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
_API_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Middleware:
    """Pure ASGI. Requests beyond the limit are answered here and cost next to nothing."""

    def __init__(
        self, app: Any, settings: Settings, lifecycle: Lifecycle, admission: Admission, metrics: Metrics
    ) -> None:
        self._app = app
        self._headers = [
            (b"x-service-version", settings.version.encode()),
            (b"x-service-instance", settings.instance.encode()),
            *SECURITY_HEADERS,
        ]
        self._lifecycle = lifecycle
        self._admission = admission
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._headers, self._lifecycle)
        logs.request_id.set(exchange.request_id)
        ticket: Ticket | None = None
        try:
            exchange.check_framing()
            ticket = self._admission.enter(scope["path"])
            scope["state"][TICKET] = ticket
            await self._app(scope, exchange.receive, exchange.send)
        except (Malformed, Unavailable) as error:
            await exchange.refuse(error)
        except asyncio.CancelledError:
            # Only the server cancels here, when the grace is over. It would answer an empty 500.
            await exchange.refuse(Unavailable("The service is stopping. Try again in a moment."))
            raise
        finally:
            if ticket is not None:
                self._admission.leave(ticket)
            self._record(exchange, ticket)

    def _record(self, exchange: "_Exchange", ticket: Ticket | None) -> None:
        scope, duration = exchange.scope, perf_counter() - exchange.started
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = (ticket.route if ticket else None) or _UNMATCHED
        self._metrics.of_answer(method, route, exchange.status).inc()
        if ticket is None or ticket.kind is not Kind.EVENTS:  # how long somebody listens is no latency
            self._metrics.of_route(method, route).observe(duration, self._metrics.exemplar())
        if not access.isEnabledFor(INFO):
            return
        headers = dict(scope["headers"])
        # The page at / asks who answers all the time: lines that would bury the others.
        level = DEBUG if route == "/" and exchange.status == 200 and POLL in headers else INFO
        access.log(
            level,
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


class _Exchange:
    """One request and its response on their way out."""

    def __init__(
        self,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        headers: _Headers,
        lifecycle: Lifecycle,
    ) -> None:
        self.scope = scope
        self.request_id = ""
        """The id that the ingress gave, or a new one."""
        self._has_length = self._has_encoding = False
        for name, value in scope["headers"]:
            if name == b"x-request-id" and not self.request_id and _REQUEST_ID.fullmatch(value):
                self.request_id = value.decode("ascii")
            elif name == b"content-length":
                self._has_length = True
            elif name == b"transfer-encoding":
                self._has_encoding = True
        self.request_id = self.request_id or str(uuid.uuid4())
        self.started = perf_counter()
        self.status = _CLIENT_CLOSED
        self.sent = 0
        self._receive = receive
        self._receiving = asyncio.Lock()
        # In HTTP/1.1 who sends a body says so in the head.
        self._received = scope["http_version"] == "1.1" and not self._has_length and not self._has_encoding
        self._send = send
        self._common_headers = headers
        self._lifecycle = lifecycle

    async def receive(self) -> ASGIReceiveEvent:
        async with self._receiving:
            return await self._receive_next()

    async def send(self, event: ASGISendEvent) -> None:
        if event["type"] == "http.response.start":
            early = not self._received and event["status"] != HTTPStatus.REQUEST_TIMEOUT
            if early and not self._lifecycle.draining.is_set():
                await self._discard_rest()
            self.status = event["status"]
            event["headers"] = [*event["headers"], *self._headers(event["headers"])]
        elif event["type"] == "http.response.body":
            self.sent += len(event["body"])
        await self._send(event)

    def check_framing(self) -> None:
        """Raises Malformed for a request with two lengths: a proxy that went by the other one sees two requests here.

        A server may go by Transfer-Encoding, but has to close the connection afterwards (RFC 9112, section 6.1), and
        not every one does.
        """
        if self._has_encoding and self._has_length:
            raise Malformed("The request has both a Content-Length and a Transfer-Encoding. Send one of them.")

    async def _receive_next(self) -> ASGIReceiveEvent:
        event = await self._receive()
        self._received = event["type"] != "http.request" or not event["more_body"]
        return event

    async def _discard_rest(self) -> None:
        """Read what is left of the body when the answer is known before its end, as with 413 or a wrong line.

        Many clients, Envoy among them, read nothing before they have sent everything: an answer that closes the
        connection under them is lost. Who sends for longer than _LINGER is closed on.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while not self._received:
                    async with self._receiving:  # the application may be receiving too
                        if not self._received:
                            await self._receive_next()

    async def refuse(self, error: Malformed | Unavailable) -> None:
        """Answer without the application; what it has begun to answer is cut, so that the client notices."""
        if self.status != _CLIENT_CLOSED:
            logger.warning("response cut: %s", error.detail)
            return
        accept = b",".join(value for name, value in self.scope["headers"] if name == b"accept").decode("latin-1")
        if error_page.preferred(accept):
            body, given = error_page.render(error.status, error.detail, self.request_id), error_page.HEADERS
        else:
            body, given = (
                problem(error.status, error.detail, self.request_id, trace_id=logs.trace_id.get()),
                {"content-type": PROBLEM},
            )
        given = {**given, **error.headers, "content-length": str(len(body)), "vary": "accept"}
        headers = [(name.encode(), value.encode()) for name, value in given.items()]
        await self.send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    def _headers(self, given: Iterable[tuple[bytes, bytes]]) -> _Headers:
        headers = [(b"x-request-id", self.request_id.encode()), *self._common_headers]
        if not any(name == b"content-security-policy" for name, _ in given):
            headers.append(_API_POLICY)
        if self._lifecycle.leaving and self.scope["http_version"] != "2":
            headers.append((b"connection", b"close"))  # the proxy's next request goes to another replica
        return headers
