"""Finds the route of a request. The layers below decide by it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
from quart import Quart
from werkzeug.exceptions import HTTPException

from service.web.endpoint import Endpoint, Kind, endpoint_of

_MATCH = "match"


class Match(NamedTuple):
    """The route of one request."""

    route: str | None = None
    """Its template, such as `/things/<uuid:thing_id>`; None if there is no such route."""
    endpoint: Endpoint | None = None
    """The matched endpoint; None if Quart answers: pages, OPTIONS, and the router's errors."""
    arguments: Mapping[str, Any] = MappingProxyType({})
    """The parameters of the path."""

    @property
    def kind(self) -> Kind:
        return Kind.REQUEST if self.endpoint is None else self.endpoint.kind


_NO_ROUTE = Match()


class Routing:
    """An ASGI layer: asks Quart's router, and stores the Match in the state of the scope."""

    def __init__(self, app: Any, quart: Quart) -> None:
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
        if (known := self._known.get((method, path))) is not None:
            return known
        if not path.startswith("/"):
            return _NO_ROUTE
        try:
            rule, arguments = self._router.match(path, method, return_rule=True)
        except HTTPException:
            return _NO_ROUTE
        if method == "OPTIONS":
            return Match(rule.rule)
        match = Match(rule.rule, endpoint_of(self._views[rule.endpoint]), arguments)
        if not arguments:
            self._known[method, path] = match
        return match


def match_of(scope: HTTPScope) -> Match:
    """The Match of a request. It has no route if the request was refused before it was routed."""
    match: Match = scope["state"].get(_MATCH, _NO_ROUTE)
    return match
