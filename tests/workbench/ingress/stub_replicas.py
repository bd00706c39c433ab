"""Servers that stand in for the service's replicas; each test says how they answer."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Self

from workbench.ingress.bootstrap import Upstream


@dataclass
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter

    async def respond(self, status: int, body: bytes = b"", headers: str = "") -> None:
        head = f"HTTP/1.1 {status} -\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
        self.writer.write(head.encode() + (b"" if self.method == "HEAD" else body))
        await self.writer.drain()

    async def reset(self) -> None:
        """Ends the connection with a RST, as the kernel does for a killed process."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def ok(request: Received) -> None:
    await request.respond(200, b"ok")


async def unavailable(request: Received) -> None:
    await request.respond(503, b"the service's own 503")


async def reset(request: Received) -> None:
    await request.reset()


async def never(request: Received) -> None:
    await asyncio.Event().wait()


class Held:
    """Holds requests until `released` is set. `arrived` is set when `count` requests have arrived."""

    def __init__(self, count: int) -> None:
        self.arrived = asyncio.Event()
        self.released = asyncio.Event()
        self._missing = count

    async def __call__(self, request: Received) -> None:
        self._missing -= 1
        if self._missing == 0:
            self.arrived.set()
        await self.released.wait()
        await request.respond(200, b"released")


@dataclass
class StubReplica:
    """A server with the two ports of a replica: `answer` handles its requests, `ready` is the status of /readyz."""

    answer: Callable[[Received], Awaitable[None]] = ok
    ready: int = 200
    labels: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    upstream: Upstream = field(init=False)
    _api: asyncio.Server = field(init=False)
    _checks: int = 0
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        self._api = await asyncio.start_server(self._serve_api, "127.0.0.1", 0)
        ops = await asyncio.start_server(self._serve_ops, "127.0.0.1", 0)
        api_port, ops_port = (server.sockets[0].getsockname()[1] for server in (self._api, ops))
        self.upstream = Upstream(api_port, ops_port, self.labels)
        try:
            yield self
        finally:
            self._api.close()
            ops.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def refuse(self) -> None:
        """Refuses new connections to the API port from now on, while /readyz still answers."""
        self._api.close()

    async def was_checked(self, times: int) -> bool:
        return self._checks >= times

    async def _serve_api(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # at the end of the test; asyncio would log an error
            async for request in self._requests(reader, writer):
                self.received.append(request)
                await self.answer(request)

    async def _serve_ops(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):
            async for request in self._requests(reader, writer):
                self._checks += 1
                await request.respond(self.ready if request.target == "/readyz" else 404)

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> AsyncIterator[Received]:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.rstrip().split("\r\n")
                method, target, _ = first.split(" ")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                yield Received(method, target, headers, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # Envoy closed the connection
        finally:
            self._connections.discard(task)
            writer.close()
