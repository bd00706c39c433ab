"""One HTTP request of Quart's: to an endpoint it is answered here, else by Quart, its body with back pressure."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar, cast

import quart
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from quart.asgi import ASGIHTTPConnection
from quart.utils import cancel_tasks
from quart.wrappers.request import Body

from service.errors import RequestTimeout, Unavailable
from service.web.admission import Kind, Ticket
from service.web.dispatch import ENDPOINTS
from service.web.endpoint import require_media_type
from service.web.middleware import TICKET

# A body that is consumed as it comes is held back here instead of growing in memory.
_BODY_BUFFER = 1024 * 1024


class BoundedBody(Body):
    """A request body that tells the reader of the socket when to pause."""

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        self._buffered = 0
        self._room = asyncio.Event()

    def append(self, data: bytes) -> None:
        self._buffered += len(data)
        super().append(data)

    async def __anext__(self) -> bytes:
        data = await super().__anext__()
        self._buffered -= len(data)
        self._room.set()
        return data

    async def wait_for_room(self) -> None:
        while self._buffered > _BODY_BUFFER:
            self._room.clear()
            await self._room.wait()


class Request(quart.Request):
    """A request whose body has no limit on the paths of streamed uploads."""

    body_class = BoundedBody
    streamed_uploads: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, method: str, scheme: str, path: str, *args: Any, **kwargs: Any) -> None:
        if path in self.streamed_uploads:
            kwargs["max_content_length"] = None
        super().__init__(method, scheme, path, *args, **kwargs)

    @property
    def ticket(self) -> Ticket:
        ticket: Ticket = self.scope["state"][TICKET]
        return ticket

    def require_media_type(self, expected: str) -> None:
        """Raises UnsupportedMediaType unless the body is declared as `expected`, not compressed."""
        require_media_type(cast(HTTPScope, self.scope), expected)

    async def chunks(self, idle_timeout: float, timeout: float) -> AsyncIterator[bytes]:
        """The body as it arrives.

        Raises RequestTimeout when nothing came for `idle_timeout` seconds, and when it has not ended after `timeout`.
        """
        end = asyncio.get_running_loop().time() + timeout
        while True:
            try:
                async with asyncio.timeout_at(end), asyncio.timeout(idle_timeout):
                    chunk = await anext(self.body)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if asyncio.get_running_loop().time() >= end:
                    late = f"The body took longer than {timeout:g} seconds. Send it in parts."
                    raise RequestTimeout(late) from None
                raise RequestTimeout(f"Nothing of the body arrived for {idle_timeout:g} seconds.") from None
            yield chunk


class HTTPConnection(ASGIHTTPConnection):
    """Handles one request within its deadline."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """As Quart's, which would leave the handler running when the server cancels the request."""
        found = self.app.extensions[ENDPOINTS].find(self.scope)
        if found is not None:
            await found.respond(self.scope, receive, send)
            return
        request = self._create_request_from_scope(send)
        handler = asyncio.create_task(self.handle_request(request, send))
        receiver = asyncio.create_task(self.handle_messages(request, receive))
        try:
            await asyncio.wait({handler, receiver}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel_tasks({handler, receiver})

    async def handle_messages(self, request: quart.Request, receive: ASGIReceiveCallable) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.request":
                request.body.append(message.get("body", b""))
                if not message.get("more_body", False):
                    request.body.set_complete()
                elif isinstance(request.body, BoundedBody):
                    await request.body.wait_for_room()
            elif message["type"] == "http.disconnect":
                return

    async def handle_request(self, request: quart.Request, send: ASGISendCallable) -> None:
        ticket: Ticket = self.scope["state"][TICKET]
        try:
            async with ticket.resources:
                await self._handle_in_time(request, send, ticket)
        finally:
            if request.url_rule is not None:
                ticket.route = request.url_rule.rule

    async def _handle_in_time(self, request: quart.Request, send: ASGISendCallable, ticket: Ticket) -> None:
        try:
            async with asyncio.timeout(self.app.config["REQUEST_TIMEOUT"]) as ticket.deadline:
                await super().handle_request(request, self._limited(send, ticket))
        except TimeoutError:
            raise Unavailable("The request took too long and was given up. Try again in a moment.") from None

    def _limited(self, send: ASGISendCallable, ticket: Ticket) -> ASGISendCallable:
        """A client that stops reading a stream loses it; short answers are bound by the deadline already."""

        async def limited(event: Any) -> None:
            if ticket.kind is Kind.REQUEST:
                await send(event)
                return
            async with asyncio.timeout(self.app.config["STREAM_IDLE_TIMEOUT"]):
                await send(event)

        return limited
