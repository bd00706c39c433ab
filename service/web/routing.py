"""Finds the route of a request. The layers below decide by it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
from quart import Quart
from werkzeug.exceptions import HTTPException

from service.web.endpoint import Endpoint, Kind, endpoint_of

_MATCH = "match"


@dataclass(frozen=True, slots=True)
class Match:
    """The route of one request."""

    route: str | None = None
    """Its template, such as `/notes/<uuid:note_id>`; None if there is no such route."""
    endpoint: Endpoint | None = None
    """The matched endpoint; None if Quart answers: pages, OPTIONS, and the router's errors."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
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

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "http":
            scope["state"][_MATCH] = self._match(scope)
        await self._app(scope, receive, send)

    def _match(self, scope: HTTPScope) -> Match:
        path, method = scope["path"], scope["method"]
        if not path.startswith("/"):
            return _NO_ROUTE
        try:
            rule, arguments = self._router.match(path, method, return_rule=True)
        except HTTPException:
            return _NO_ROUTE
        if method == "OPTIONS":
            return Match(rule.rule)
        return Match(rule.rule, endpoint_of(self._views[rule.endpoint]), arguments)


def match_of(scope: HTTPScope) -> Match:
    """The Match of a request. It has no route if the request was refused before it was routed."""
    match: Match = scope["state"].get(_MATCH, _NO_ROUTE)
    return match
