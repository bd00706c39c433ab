"""What an endpoint answers with: a complete body, or a stream."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import orjson
from hypercorn.typing import ASGISendCallable

from service.errors import Unavailable

Headers = list[tuple[bytes, bytes]]

_JSON = (b"content-type", b"application/json")
_NO_STORE = (b"cache-control", b"no-store")
_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE  # the newline is for people at a terminal


@dataclass(slots=True)
class Answer:
    """Status, body and headers. send() adds Content-Length, so an Answer is sent once."""

    status: int
    body: bytes = b""
    headers: Headers = field(default_factory=list)

    async def send(self, send: ASGISendCallable) -> None:
        """Send the whole answer. Without a body it has no Content-Length, as 204 and 304 require."""
        if self.body:
            self.headers.append((b"content-length", b"%d" % len(self.body)))
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


@dataclass(slots=True)
class Stream:
    """A body of unknown length, sent chunk by chunk."""

    chunks: AsyncGenerator[bytes]
    media_type: str
    _first: bytes | None = None

    async def begin(self) -> None:
        """Produce the first chunk. No header is sent yet, so an error can still be answered with its own status."""
        self._first = await anext(self.chunks, None)

    async def send(self, send: ASGISendCallable, idle_timeout: float) -> None:
        """Send all chunks. Raises Unavailable if the client reads nothing for `idle_timeout` seconds."""
        headers = [(b"content-type", self.media_type.encode()), _NO_STORE]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        chunk = self._first
        while chunk is not None:
            try:
                async with asyncio.timeout(idle_timeout):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except TimeoutError:
                raise Unavailable(f"The client read nothing for {idle_timeout:g} seconds.") from None
            chunk = await anext(self.chunks, None)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def json(value: object, headers: Mapping[str, str] | None = None, status: int = 200) -> Answer:
    """An answer in JSON, made of dicts, lists, text, numbers, UUIDs and times; a time in UTC ends with Z."""
    return Answer(status, orjson.dumps(value, _uuid, _OPTIONS), [_JSON, *encode(headers or {})])


def encode(headers: Mapping[str, str]) -> Headers:
    """Headers as bytes. Names and values must be ASCII."""
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _uuid(value: object) -> str:
    if isinstance(value, UUID):  # asyncpg returns a subclass, which orjson does not know
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
