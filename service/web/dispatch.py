"""From a request to the endpoint that answers it, and back, within the request's deadline."""

import asyncio
from collections.abc import Mapping
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from quart import Quart
from werkzeug.exceptions import HTTPException

from service.errors import BODY_TOO_LARGE, ServiceError, TooLarge, Unavailable
from service.web import error_page
from service.web.admission import Ticket
from service.web.answer import Answer
from service.web.deadline import Watch
from service.web.endpoint import Endpoint, endpoint_of
from service.web.error_handlers import service_error, unexpected_error
from service.web.middleware import TICKET

ENDPOINTS = "endpoints"
"""The key of the application's Endpoints among its extensions."""


class ClientLeft(Exception):
    """The client has closed the connection before it had sent all of the request."""


class Endpoints:
    """The endpoints among an application's routes, as Quart's router finds them."""

    def __init__(self, app: Quart, seconds: float, max_body: int) -> None:
        self._app = app
        self._router = app.url_map.bind("")
        self._seconds = seconds
        self._max_body = max_body

    def find(self, scope: HTTPScope) -> "Found | None":
        """None if the request is not for an endpoint: then it is Quart's, and so are the router's errors."""
        path, method = scope["path"], scope["method"]
        if scope["root_path"] or not path.startswith("/") or method == "OPTIONS":
            return None
        try:
            rule, arguments = self._router.match(path, method, return_rule=True)
        except HTTPException:
            return None
        endpoint = endpoint_of(self._app.view_functions[rule.endpoint])
        if endpoint is None or (endpoint.clients_only and error_page.preferred(_accept(scope))):
            return None
        ticket: Ticket = scope["state"][TICKET]
        ticket.route = rule.rule
        needs = self._app.extensions[endpoint.needs]
        return Found(endpoint, needs, arguments, self._seconds, self._max_body)


class Found:
    """An endpoint, and what the path of one request says."""

    __slots__ = ("_arguments", "_endpoint", "_max_body", "_needs", "_seconds")

    def __init__(
        self, endpoint: Endpoint, needs: Any, arguments: Mapping[str, Any], seconds: float, max_body: int
    ) -> None:
        self._endpoint = endpoint
        self._needs = needs
        self._arguments = arguments
        self._seconds = seconds
        self._max_body = max_body

    async def respond(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer the request. Raises Unavailable when its time is over; is silent if the client has left."""
        watch = Watch(receive, self._seconds)
        try:
            answer = await self._answer(scope, receive, watch)
            await answer.send(send)
        except asyncio.CancelledError:
            if not watch.has_cancelled():
                raise
            if not watch.client_left:
                raise Unavailable("The request took too long and was given up. Try again in a moment.") from None
        except ClientLeft:
            return
        finally:
            watch.end()

    async def _answer(self, scope: HTTPScope, receive: ASGIReceiveCallable, watch: Watch) -> Answer:
        endpoint = self._endpoint
        try:
            body = await _read(scope, receive, self._max_body) if endpoint.content is not None else b""
            watch.has_all()
            return await endpoint.view(self._needs, **self._arguments, **endpoint.read(scope, body))
        except ServiceError as error:
            return service_error(error, _accept(scope))
        except ClientLeft:
            raise
        except Exception as error:
            return unexpected_error(error, _accept(scope))


async def _read(scope: HTTPScope, receive: ASGIReceiveCallable, limit: int) -> bytes:
    """The body. Raises TooLarge and ClientLeft."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise TooLarge(BODY_TOO_LARGE)
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise ClientLeft
        body += event["body"]
        if len(body) > limit:
            raise TooLarge(BODY_TOO_LARGE)
        if not event["more_body"]:
            return bytes(body)


def _accept(scope: HTTPScope) -> str:
    return b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1")
