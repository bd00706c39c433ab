"""HTTP/1.1 with as little CPU time of this process as possible: one request after another on a connection."""

import asyncio
import re
import ssl
from dataclasses import dataclass
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_WITHOUT_BODY = {204, 304}


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    head: bytes
    """The status line and the headers."""
    body: bytes

    def header(self, name: str) -> str:
        """The first value of a header; empty if the response does not have it."""
        found = re.search(rb"\r\n%s: *([^\r]+)" % name.encode(), self.head, re.IGNORECASE)
        return found[1].decode() if found else ""


class Broken(Exception):
    """There was no response, and the connection cannot be used any more. The message says why."""


class Exchange(asyncio.Protocol):
    """A connection to an HTTP/1.1 server whose responses have a Content-Length."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._response: asyncio.Future[Response] | None = None
        self._last = False

    @classmethod
    async def open(cls, host: str, port: int, tls: ssl.SSLContext | None = None) -> "Exchange":
        """Raises Broken if the server does not accept the connection."""
        try:
            _, exchange = await asyncio.get_running_loop().create_connection(cls, host, port, ssl=tls)
        except OSError as error:
            raise Broken(type(error).__name__) from error
        return exchange

    @property
    def usable(self) -> bool:
        return not self._last and self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> Response:
        """Sends a request and waits for its response. Raises Broken if the connection ends first."""
        if not self.usable or self._transport is None:
            raise Broken("closed before the request")
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._response

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or self._response is None or self._response.done():
            return
        head = bytes(self._received[: end + 2])
        status = int(head.split(b" ", 2)[1])
        length = _LENGTH.search(head)
        whole = end + 4 + (int(length[1]) if length and status not in _WITHOUT_BODY else 0)
        if len(self._received) < whole:
            return
        self._last = self._last or _CLOSE.search(head) is not None
        body = bytes(self._received[end + 4 : whole])
        self._received.clear()
        self._response.set_result(Response(status, head, body))
        if self._last:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._response is not None and not self._response.done():
            self._response.set_exception(Broken(type(error).__name__ if error else "closed before the answer"))


def encode(method: str, path: str, host: str, body: bytes = b"", **headers: str) -> bytes:
    """A request, as bytes. A `_` in the name of a header stands for `-`."""
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", "user-agent: harness"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
