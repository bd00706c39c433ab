"""A client of WebSockets, on a connection that tests can look into."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self

import httpx
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, TextMessage

from tests.waiting import WITHIN

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
"""What makes an HTTP request one for a WebSocket."""


def handshake(path: str, headers: str = "") -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: test\r\n{UPGRADE}"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{headers}\r\n"
    ).encode()


class Client:
    """An open WebSocket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: httpx.Headers) -> None:
        self.headers = headers
        """Of the answer to the handshake."""
        self._reader = reader
        self._writer = writer
        self._connection = Connection(ConnectionType.CLIENT)
        self._text = ""

    async def send(self, text: str) -> None:
        await self._write(TextMessage(data=text))

    async def receive(self) -> str:
        """The next message."""
        event = await self._next()
        assert isinstance(event, TextMessage), event
        return event.data

    async def ask(self, text: str) -> str:
        await self.send(text)
        return await self.receive()

    async def closed(self) -> int:
        """Waits until the server closes the WebSocket and then the connection. Returns the code."""
        event = await self._next()
        assert isinstance(event, CloseConnection), event
        async with asyncio.timeout(WITHIN):
            with suppress(ConnectionResetError):  # uvicorn does not wait for the client's answer
                await self._write(event.response())
                assert await self._reader.read() == b""
        return event.code

    async def close(self) -> None:
        await self._write(CloseConnection(code=1000))

    async def _next(self) -> Event:
        async with asyncio.timeout(WITHIN):
            while True:
                for event in self._connection.events():
                    if isinstance(event, Ping):
                        await self._write(event.response())
                    elif not isinstance(event, TextMessage):
                        return event
                    else:
                        self._text += event.data
                        if event.message_finished:
                            text, self._text = self._text, ""
                            return TextMessage(data=text)
                data = await self._reader.read(2**16)
                assert data, "the connection ended without a close frame"
                self._connection.receive_data(data)

    async def _write(self, event: Event) -> None:
        self._writer.write(self._connection.send(event))
        await self._writer.drain()

    @classmethod
    @asynccontextmanager
    async def connect(cls, address: tuple[str, int], path: str) -> AsyncIterator[Self]:
        """Opens a WebSocket; the connection is aborted at the end of the block."""
        reader, writer = await asyncio.open_connection(*address)
        try:
            writer.write(handshake(path))
            async with asyncio.timeout(WITHIN):
                status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
            assert status.split(" ")[1] == "101", status
            pairs = (line.partition(":") for line in lines)
            yield cls(reader, writer, httpx.Headers([(name, value.strip()) for name, _, value in pairs]))
        finally:
            writer.transport.abort()
