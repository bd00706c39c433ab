"""Finds the route of a request. The layers below decide by it."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
from quart import Quart
from quart.routing import QuartRule
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import NotFound as NoSuchPath
from werkzeug.routing import RequestRedirect

from service.errors import NotFound
from service.web.endpoint import Endpoint, Kind, endpoint_of, is_owned
from service.web.streams import check_path, kind_of
from service.web.websocket import SocketView, is_handshake

_MATCH = "match"
_PARAMETER = re.compile(r"<(?:(\w+:))?\w+>")


class Match(NamedTuple):
    """The route of one request."""

    route: str | None = None
    """Its template, such as `/things/<uuid:thing_id>`; None if there is no such route."""
    endpoint: Endpoint | None = None
    """The matched endpoint; None if Quart answers: pages and OPTIONS."""
    kind: Kind = Kind.REQUEST
    """The kind of slot that the request takes."""
    arguments: Mapping[str, Any] = MappingProxyType({})
    """The parameters of the path."""
    socket: SocketView | None = None
    """The matched WebSocket route."""
    owned: bool = False
    """Whether what the route reads and writes belongs to users."""
    error: HTTPException | None = None
    """Why there is no route."""


_UNROUTED = Match()


class DuplicateRouteError(Exception):
    """Two routes for the same requests: one would never be called."""


class Routing:
    """An ASGI layer: asks Quart's router, and stores the Match in the state of the scope.

    Raises NotFound for a WebSocket that has no route.

    Its constructor raises StreamPathError for a route that the ingress would take for another kind of request, and
    DuplicateRouteError.
    """

    def __init__(self, app: Any, quart: Quart) -> None:
        seen: dict[tuple[str, str], str] = {}
        for rule in quart.url_map.iter_rules():
            # Quart adds OPTIONS to each rule.
            methods = {"websocket"} if rule.websocket else {*(rule.methods or ())} - {"OPTIONS"}
            for method in sorted(methods):
                other = seen.setdefault((method, _without_names(rule.rule)), rule.endpoint)
                if other != rule.endpoint:
                    raise DuplicateRouteError(
                        f"{method} {rule.rule} is a route of {other} and of {rule.endpoint}: give one another path"
                    )
            if rule.websocket:  # the ingress knows it by its handshake
                continue
            found = endpoint_of(quart.view_functions[rule.endpoint])
            check_path(rule.methods or (), rule.rule, found.kind if found else Kind.REQUEST)
        self._app = app
        self._views = quart.view_functions
        self._router = quart.url_map.bind("")
        self._known: dict[tuple[str, str], Match] = {}  # of routes without parameters, which are few

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "http":
            scope["state"][_MATCH] = self._match(scope)
        await self._app(scope, receive, send)

    def _match(self, scope: HTTPScope) -> Match:
        path, method = scope["path"], scope["method"]
        if is_handshake(scope):
            return self._match_socket(path)
        if (known := self._known.get((method, path))) is not None:
            return known
        try:
            if path.startswith("//"):  # the router would take it for a path with one slash
                raise NoSuchPath
            rule, arguments = self._router.match(path, method, return_rule=True)
        except RequestRedirect:
            return _UNROUTED  # Quart knows the host
        except HTTPException as error:
            # The ingress has not waited for the body of what it takes for a stream, even if there is no such route:
            # the body may arrive slowly, and must not take the slot of a short request meanwhile.
            return Match(kind=kind_of(method, path), error=error)
        if method == "OPTIONS" and cast(QuartRule, rule).provide_automatic_options:
            return Match(rule.rule)
        view = self._views[rule.endpoint]
        endpoint = endpoint_of(view)
        kind = endpoint.kind if endpoint else Kind.REQUEST
        match = Match(rule.rule, endpoint, kind, arguments, owned=is_owned(view))
        if not arguments:
            self._known[method, path] = match
        return match

    def _match_socket(self, path: str) -> Match:
        """Raises NotFound."""
        try:
            if path.startswith("//"):
                raise NoSuchPath
            rule, arguments = self._router.match(path, "GET", return_rule=True, websocket=True)
        except HTTPException:
            raise NotFound("There is no WebSocket at this path.") from None
        socket = cast(SocketView, self._views[rule.endpoint])
        return Match(rule.rule, kind=Kind.EVENTS, arguments=arguments, socket=socket, owned=is_owned(socket))


def _without_names(template: str) -> str:
    """`/things/<uuid:>`: the names of the parameters do not distinguish routes."""
    return _PARAMETER.sub(r"<\1>", template)


def match_of(scope: HTTPScope) -> Match:
    """The Match of a request. It has no route if the request was refused before it was routed."""
    match: Match = scope["state"].get(_MATCH, _UNROUTED)
    return match
