"""Open connections move to another process that serves on the same ports, between two requests.

A server that closes an idle connection races with the client's next request on it: that request is lost, and a proxy
may not repeat it. So no connection is closed. The connection itself goes to the other process (SCM_RIGHTS, unix(7)),
and its client notices nothing. A connection with a request in flight follows after the response.

Clients that send a request before the last one is answered are not supported: what this process has read of the
second request is not handed over. No proxy and no browser sends requests in this way.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from service.server.contract import Limits, Serve, Server

Addresses: TypeAlias = tuple[tuple[str, int], tuple[str, int]]
"""Of the client and of the server; together they identify a connection."""

_RETRY_AFTER = 0.005  # s, when the queue was full


class OpenConnections:
    """The open connections of this process, and a queue of connections that change over to another process.

    `giving` and `taking` are the two ends of the queue, a pair of connected stream sockets that all processes share.
    """

    def __init__(self, giving: socket.socket, taking: socket.socket) -> None:
        giving.setblocking(False)
        taking.setblocking(False)
        self.taking = taking
        self._giving = giving
        self._open: dict[Addresses, ObservedProtocol] = {}
        self._leaving = False

    def observe(self, serve: Serve) -> Serve:
        """Return `serve` with an observer on each connection and on the application."""

        @asynccontextmanager
        async def observed(app: Any, listener: socket.socket, limits: Limits) -> AsyncGenerator[Server]:
            async with serve(self._observe_answers(app), listener, limits) as server:
                server.protocol = partial(self._observe_connection, server.protocol)
                yield server

        return observed

    def leave(self) -> None:
        """Give away every idle connection now, and each other connection after its response."""
        self._leaving = True
        idle = [connection for connection in self._open.values() if connection.idle]
        if not all(self._give(connection) for connection in idle):
            asyncio.get_running_loop().call_later(_RETRY_AFTER, self._leave_again)

    def stay(self) -> None:
        """Undo leave()."""
        self._leaving = False

    def take(self) -> list[socket.socket]:
        """Remove the connections from the queue and return them."""
        taken: list[socket.socket] = []
        while True:
            try:
                # One byte at a time, because each byte carries one connection.
                _, descriptors, _, _ = socket.recv_fds(self.taking, 1, 1)
            except BlockingIOError:
                return taken
            if not descriptors:
                return taken
            taken += [socket.socket(fileno=descriptor) for descriptor in descriptors]

    def _observe_connection(self, protocol: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        return ObservedProtocol(protocol(), self._open)

    def _observe_answers(self, app: Any) -> Any:
        """Return `app` with an observer that marks a connection as idle once a request on it is answered."""

        async def observed(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            connection = None
            if scope["type"] == "http" and scope["http_version"] == "1.1":
                connection = self._open.get((scope["client"], scope["server"]))  # type: ignore[arg-type]  # TCP has both
            elif scope["type"] == "websocket":  # it stays, and uvicorn does not say when it ends
                self._open.pop((scope["client"], scope["server"]), None)  # type: ignore[arg-type]

            async def observed_send(event: Any) -> None:
                received = connection.received if connection else 0
                await send(event)
                last = event["type"] == "http.response.body" and not event.get("more_body", False)
                # As soon as the client has the last byte, its next request may arrive.
                if last and connection and connection.received == received:
                    connection.idle = True
                    if self._leaving:
                        self._give(connection)

            await app(scope, receive, observed_send)

        return observed

    def _leave_again(self) -> None:
        if self._leaving:
            self.leave()

    def _give(self, connection: "ObservedProtocol") -> bool:
        """Return False if the queue is full. A connection whose client has not read all of its response stays."""
        transport = connection.transport
        if transport.is_closing() or transport.get_write_buffer_size():
            return True
        transport.pause_reading()
        try:
            socket.send_fds(self._giving, [b"+"], [transport.get_extra_info("socket").fileno()])
        except OSError:
            transport.resume_reading()
            return False
        transport.abort()  # closes it in this process only: the other process has its own descriptor
        return True


class ObservedProtocol(asyncio.Protocol):
    """Stands between a connection's transport and the server's protocol, and knows whether the connection is idle."""

    transport: Any

    def __init__(self, protocol: asyncio.Protocol, registry: "dict[Addresses, ObservedProtocol]") -> None:
        self.idle = True
        """Whether the connection is between two requests."""
        self.received = 0
        """How many times data arrived."""
        self._protocol = protocol
        self._registry = registry

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        client, server = (transport.get_extra_info(name) for name in ("peername", "sockname"))
        self._addresses = client and client[:2], server and server[:2]  # None if the client has left already
        self._registry[self._addresses] = self
        self._protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.idle = False
        self.received += 1
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        self.idle = False
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        if self._registry.get(self._addresses) is self:
            del self._registry[self._addresses]
        self._protocol.connection_lost(error)
