"""WebSockets. All layers see a handshake as what it is, a GET request, and an open WebSocket as its answer, a 101.

A route is a function of a Socket and the parameters of its path. Dispatch calls it, and Quart only knows its path:

    @routes.websocket("/<uuid:thing_id>/live")
    async def live(socket: Socket, thing_id: UUID) -> None:
        await socket.accept()
        async for message in socket:
            await socket.send(message)
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from logging import getLogger
from math import inf
from typing import Any, TypeAlias

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from service import identity
from service.errors import Forbidden, ServiceError, Unauthorized, Unavailable
from service.lifecycle import Lifecycle
from service.web.answer import Answer, encode
from service.web.body import ClientLeft
from service.web.error_handlers import service_error, unexpected_error
from service.web.error_page import accept_of

logger = getLogger(__name__)

SocketView: TypeAlias = Callable[..., Awaitable[None]]

_HANDSHAKE = "handshake"
# RFC 6455, section 7.4, and IANA's registry of close codes.
_NORMAL, _FAILED, _RESTARTS, _UNAUTHORIZED = 1000, 1011, 1012, 3000
_LINGER = 2.0  # s, in which the client confirms the close
_STOPPING = Unavailable("The service is stopping. Try again in a moment.")
_EXPIRED = Unauthorized("The token has expired. Send another one.")
_UNREAD = 16  # messages; after that the client has to wait


def is_handshake(scope: HTTPScope) -> bool:
    """Whether a request is a valid WebSocket handshake, as the server has found."""
    return _HANDSHAKE in scope["state"]


class Handshakes:
    """The outermost ASGI layer: hands a WebSocket to the layers below as an HTTP request."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return

        async def answer(event: Any) -> None:
            kind = event["type"]
            if kind == "http.response.start" and event["status"] == 101:
                await send(
                    {"type": "websocket.accept", "subprotocol": event["subprotocol"], "headers": event["headers"]}
                )
                return
            if kind == "http.response.start":
                # What a client has sent after a handshake is not another request.
                event["headers"] = [*event["headers"], *([(b"connection", b"close")] if is_http_1 else [])]
            if kind.startswith("http."):
                event = {**event, "type": f"websocket.{kind}"}
            await send(event)

        is_http_1 = scope["http_version"] != "2"
        state = {**scope["state"], _HANDSHAKE: True}
        await self._app({**scope, "type": "http", "method": "GET", "state": state}, receive, answer)


class Socket:
    """One WebSocket. Until it is accepted, a ServiceError that the view raises is its answer."""

    def __init__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        self.headers: Mapping[str, str] = {n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]}
        """Of the handshake; the names are in lower case."""
        self.query_string = scope["query_string"].decode("latin-1")
        self.subprotocols: list[str] = list(scope.get("subprotocols", ()))  # type: ignore[call-overload]
        """Those that the client offers."""
        self.accepted = False
        self._scope = scope
        self._receive = receive
        self._send: Any = send
        self._closed = False
        self._messages: asyncio.Queue[str | bytes] = asyncio.Queue(_UNREAD)

    async def accept(self, subprotocol: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        """Answer the handshake with 101."""
        self.accepted = True
        event = {"status": 101, "headers": encode(headers or {}), "subprotocol": subprotocol}
        await self._send({"type": "http.response.start", **event})

    async def receive(self) -> str | bytes:
        """The next message. If the client leaves or the process drains, the view is cancelled here."""
        return await self._messages.get()

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while True:
            yield await self.receive()

    async def send(self, message: str | bytes) -> None:
        """Send a message, as text if it is a str. Raises ClientLeft if the server knows that the client has left."""
        text, data = (message, None) if isinstance(message, str) else (None, message)
        try:
            await self._send({"type": "websocket.send", "text": text, "bytes": data})
        except OSError:  # from uvicorn
            raise ClientLeft from None

    async def close(self, code: int = _NORMAL, reason: str = "") -> None:
        """Close an accepted WebSocket. Does nothing if it is closed."""
        if not self._closed:
            self._closed = True
            with suppress(OSError):  # the client has left, says uvicorn
                await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def run(self, view: SocketView, arguments: Mapping[str, Any], lifecycle: Lifecycle) -> None:
        """Run the view until it returns, the client leaves, the process drains or the user's token expires.

        Then close the WebSocket.
        """
        viewing = asyncio.ensure_future(view(self, **arguments))
        reading = asyncio.create_task(self._read())
        draining = asyncio.create_task(lifecycle.closing.wait())
        tasks = {viewing, reading, draining}
        try:
            left = identity.seconds_left()
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=None if left == inf else left)
            if viewing.done():
                await self._end(None if viewing.cancelled() else viewing.exception())
            elif not reading.done():
                viewing.cancel()
                why, code = (_STOPPING, _RESTARTS) if draining.done() else (_EXPIRED, _UNAUTHORIZED)
                await self._end(None if self.accepted else why, code)
            if self.accepted:
                await asyncio.wait({reading}, timeout=_LINGER)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> None:
        """Queue the messages until the client leaves."""
        while (event := await self._receive())["type"] != "websocket.disconnect":
            if event["type"] == "websocket.receive":
                text = event.get("text")
                await self._messages.put(text if text is not None else event["bytes"] or b"")
        self._closed = True

    async def _end(self, error: BaseException | None, code: int = _NORMAL) -> None:
        if self.accepted:
            if isinstance(error, ClientLeft):
                return
            if error is not None:
                logger.error("a WebSocket failed", exc_info=error)
            await self.close(code if error is None else _FAILED)
            return
        await self._refusal(error).send(self._send)

    def _refusal(self, error: BaseException | None) -> Answer:
        accept = accept_of(self._scope)
        if error is None:
            error = Forbidden("The service has not accepted this WebSocket.")
        if isinstance(error, ServiceError):
            return service_error(error, accept)
        assert isinstance(error, Exception)  # noqa: S101 - a task has no other
        return unexpected_error(error, accept)
