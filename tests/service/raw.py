"""Requests that no client library would send: half a body and then nothing, or a response that is not read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from tests.service.clients import Clients
from tests.waiting import WITHIN

COPYING = "query LIKE 'COPY%' AND state = 'active'"
"""A condition on pg_stat_activity: the session runs an import."""


@dataclass
class RawConnection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes = b""
    """The head of the response, if it was received already."""

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def send_chunk(self, data: bytes) -> None:
        """Sends a chunk of a body with `Transfer-Encoding: chunked`; an empty chunk ends the body."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def response(self) -> httpx.Response:
        """Receives a response, which must have a Content-Length. All responses but streams have one."""
        async with asyncio.timeout(WITHIN):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status, *lines = head.decode("latin-1").rstrip().split("\r\n")
            headers = httpx.Headers([(name, value) for name, _, value in (line.partition(": ") for line in lines)])
            body = await self.reader.readexactly(int(headers["content-length"]))
        return httpx.Response(int(status.split(" ")[1]), headers=headers, content=body)

    async def rest(self) -> bytes:
        """Receives everything until the connection ends."""
        async with asyncio.timeout(WITHIN):
            return self.head + await self.reader.read()


@asynccontextmanager
async def raw_connection(service: Clients) -> AsyncIterator[RawConnection]:
    """A connection to the API; it is aborted at the end of the block."""
    # The buffer is small, so that a client that does not read makes the service wait soon.
    reader, writer = await asyncio.open_connection(*service.address, limit=1024)
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def stalled_import(
    service: Clients, *lines: bytes, path: str = "/things/import"
) -> AsyncIterator[RawConnection]:
    """An import that has sent these lines and has not finished. An empty chunk finishes it."""
    async with raw_connection(service) as connection:
        await connection.send(
            f"POST {path} HTTP/1.1\r\nHost: test\r\n"
            "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        if lines:  # at once, since a limit of the service may already count
            await connection.send_chunk(b"".join(line + b"\n" for line in lines))
        yield connection


@asynccontextmanager
async def stalled_export(service: Clients) -> AsyncIterator[RawConnection]:
    """An export that the service has begun to send, and whose client has read only the head."""
    async with raw_connection(service) as connection:
        await connection.send(b"GET /things/export HTTP/1.1\r\nHost: test\r\n\r\n")
        async with asyncio.timeout(WITHIN):
            connection.head = await connection.reader.readuntil(b"\r\n\r\n")
        yield connection
