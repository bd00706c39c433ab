"""One request and its response on their way through the middleware."""

import asyncio
import re
import uuid
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from logging import getLogger
from time import perf_counter

from hypercorn.typing import ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, ASGISendEvent, HTTPScope

from service.errors import Malformed, ServiceError
from service.lifecycle import Lifecycle
from service.web.answer import Headers
from service.web.error_handlers import service_error
from service.web.error_page import accept_of
from service.web.target import simplify
from service.web.websocket import is_handshake

logger = getLogger(__name__)

_CLIENT_CLOSED = 499  # nginx's status for a request whose client disconnected before the answer
_LINGER = 5.0  # s
_REQUEST_ID = re.compile(rb"[!-~]{1,128}")
_API_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Exchange:
    """Gives the request its id, adds headers to the response, and counts the bytes that are sent."""

    def __init__(
        self,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        headers: Headers,
        lifecycle: Lifecycle,
    ) -> None:
        self.scope = scope
        self.request_id = ""
        """The id from the ingress, or a new one if there is none that is safe to log."""
        self._has_length = self._has_encoding = self._upgrades = False
        for name, value in scope["headers"]:
            if name == b"x-request-id" and not self.request_id and _REQUEST_ID.fullmatch(value):
                self.request_id = value.decode("ascii")
            elif name == b"content-length":
                self._has_length = True
            elif name == b"transfer-encoding":
                self._has_encoding = True
            elif name == b"upgrade" and scope["http_version"] == "1.1":
                self._upgrades = value.strip().lower() == b"websocket" and _upgrades_connection(scope)
        self.request_id = self.request_id or str(uuid.uuid4())
        self.started = perf_counter()
        self.status = _CLIENT_CLOSED
        self.sent = 0
        """Bytes of the response's body, so far."""
        self._receive = receive
        self._receiving = asyncio.Lock()
        # An HTTP/1.1 request without either header has no body.
        self._received = scope["http_version"] == "1.1" and not self._has_length and not self._has_encoding
        self._send = send
        self._common_headers = headers
        self._lifecycle = lifecycle

    def check(self) -> None:
        """Raises Malformed for a wrong target, an incomplete WebSocket handshake, or a request with two lengths.

        A proxy that trusts the other length would see two requests. RFC 9112, section 6.1, allows a server to use
        Transfer-Encoding if it closes the connection afterwards, but not every server closes it. Likewise a proxy
        takes what follows a handshake for the messages of a WebSocket, and a server for the next request.
        """
        simplify(self.scope)
        if self._upgrades and not is_handshake(self.scope):
            self._received = True  # a proxy does not send a body; do not wait for one
            raise Malformed(
                "The WebSocket handshake is incomplete. It is a GET without a body, with a Sec-WebSocket-Key and "
                "Sec-WebSocket-Version: 13 (RFC 6455, section 4.1)."
            )
        if self._has_encoding and self._has_length:
            raise Malformed("The request has both a Content-Length and a Transfer-Encoding. Send one of them.")

    async def receive(self) -> ASGIReceiveEvent:
        async with self._receiving:
            return await self._receive_next()

    async def send(self, event: ASGISendEvent) -> None:
        if event["type"] == "http.response.start":
            # A 408 means that the time for the body is over, so the rest is not awaited.
            early = not self._received and event["status"] != HTTPStatus.REQUEST_TIMEOUT
            if early and not self._lifecycle.draining.is_set():
                await self._discard_rest()
            self.status = event["status"]
            event["headers"] = [*event["headers"], *self._headers(event["headers"])]
        elif event["type"] == "http.response.body" and self.scope["method"] != "HEAD":  # the server sends no body
            self.sent += len(event["body"])
        await self._send(event)

    async def refuse(self, error: ServiceError) -> None:
        """Answer in place of the application. A response that has begun is cut instead, which the client notices."""
        if self.status != _CLIENT_CLOSED:
            logger.warning("response cut: %s", error.detail)
            return
        await service_error(error, accept_of(self.scope)).send(self.send)

    async def _receive_next(self) -> ASGIReceiveEvent:
        event = await self._receive()
        self._received = event["type"] != "http.request" or not event["more_body"]
        return event

    async def _discard_rest(self) -> None:
        """Read the rest of the body if the answer, for example 413, is known before the end of the body.

        Many clients, among them Envoy, read nothing until they have sent everything. If the server closed the
        connection earlier, they would never see the answer. After _LINGER the answer is sent in any case; Hypercorn
        then closes the connection, uvicorn goes on discarding the body.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while not self._received:
                    async with self._receiving:  # the application may be receiving too
                        if not self._received:
                            await self._receive_next()

    def _headers(self, given: Iterable[tuple[bytes, bytes]]) -> Headers:
        headers = [(b"x-request-id", self.request_id.encode()), *self._common_headers]
        if not any(name == b"content-security-policy" for name, _ in given):
            headers.append(_API_POLICY)
        reusable = self.scope["http_version"] != "2" and self.status != HTTPStatus.SWITCHING_PROTOCOLS
        if self._lifecycle.leaving and reusable:
            headers.append((b"connection", b"close"))  # the proxy's next request goes to another replica
        return headers


def _upgrades_connection(scope: HTTPScope) -> bool:
    tokens = b",".join(value for name, value in scope["headers"] if name == b"connection").lower().split(b",")
    return b"upgrade" in {token.strip() for token in tokens}
