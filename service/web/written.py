"""Tells clients how far the database was after their write, so that they read it although standbys are behind."""

from collections.abc import Awaitable, Callable
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

from service import freshness
from service.freshness import NEWEST, POSITION

_SAFE = {"GET", "HEAD", "OPTIONS"}
_REMEMBERED = 3600  # s; a standby that is further behind is none


class Written:
    """An ASGI layer. `position` returns the newest position of the database, or NEWEST if it does not answer."""

    def __init__(self, app: Any, position: Callable[[], Awaitable[str]]) -> None:
        self._app = app
        self._position = position

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        freshness.after.set(freshness.wanted(scope["headers"]))
        if scope["method"] in _SAFE:
            await self._app(scope, receive, send)
            return

        async def send_with_position(event: ASGISendEvent) -> None:
            if event["type"] == "http.response.start" and (event["status"] < 300 or event["status"] >= 500):
                # A write whose answer is an error of the server may have happened; it is not asked how far.
                position = NEWEST if event["status"] >= 500 else await self._position()
                cookie = f"{POSITION}={position}; Max-Age={_REMEMBERED}; Path=/; HttpOnly; SameSite=Lax"
                headers = ((POSITION.encode(), position.encode()), (b"set-cookie", cookie.encode()))
                event["headers"] = (*event["headers"], *headers)
            await send(event)

        await self._app(scope, receive, send_with_position)
