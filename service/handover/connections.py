"""Connections change over to another process that serves on the same ports, between two requests.

A server that closes an idle connection races with the client's next request on it: that request is lost, and a proxy
may not repeat it. So nothing is closed. The connection itself goes to the other process (SCM_RIGHTS, unix(7)), and
its client notices nothing. One that is in the middle of a request goes after the answer.

Not for clients that send a request before the last one is answered: what of it has been read is not handed over. No
proxy and no browser does that.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, TypeAlias

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

Ends: TypeAlias = tuple[tuple[str, int], tuple[str, int]]
Factory: TypeAlias = Callable[[], asyncio.Protocol]

_AGAIN = 0.005  # s until the queue is tried again when it was full


class Connections:
    """The open connections of this process, and a queue of those that are looking for one.

    `giving` and `taking` are the two ends of the queue, a pair of connected stream sockets that all processes share.
    """

    def __init__(self, giving: socket.socket, taking: socket.socket) -> None:
        giving.setblocking(False)
        taking.setblocking(False)
        self.taking = taking
        self._giving = giving
        self._open: dict[Ends, _Connection] = {}
        self._leaving = False

    def protocol(self, factory: Factory) -> "_Connection":
        """Hypercorn's protocol for a new connection, observed."""
        return _Connection(factory(), self._open)

    def around(self, app: Any) -> Any:
        """`app`, so that it is known when a request has been answered."""

        async def observed(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            connection = None
            if scope["type"] == "http" and scope["http_version"] == "1.1":
                connection = self._open.get((scope["client"], scope["server"]))  # type: ignore[arg-type]  # TCP has both

            async def observed_send(event: Any) -> None:
                received = connection.received if connection else 0
                await send(event)
                last = event["type"] == "http.response.body" and not event.get("more_body", False)
                # As soon as the client has the last byte, its next request may come in.
                if last and connection and connection.received == received:
                    connection.idle = True
                    if self._leaving:
                        self._give(connection)

            await app(scope, receive, observed_send)

        return observed

    def leave(self) -> None:
        """Give away every connection that is idle, now or after its answer."""
        self._leaving = True
        idle = [connection for connection in self._open.values() if connection.idle]
        if not all(self._give(connection) for connection in idle):
            asyncio.get_running_loop().call_later(_AGAIN, self._leave_again)

    def stay(self) -> None:
        """Undo leave()."""
        self._leaving = False

    def take(self) -> list[socket.socket]:
        """The connections that wait in the queue."""
        taken: list[socket.socket] = []
        while True:
            try:
                # A byte at a time: each has one connection with it.
                _, descriptors, _, _ = socket.recv_fds(self.taking, 1, 1)
            except BlockingIOError:
                return taken
            if not descriptors:
                return taken
            taken += [socket.socket(fileno=descriptor) for descriptor in descriptors]

    def _leave_again(self) -> None:
        if self._leaving:
            self.leave()

    def _give(self, connection: "_Connection") -> bool:
        """False if the queue is full. One whose client is slow to read stays."""
        transport = connection.transport
        if transport.is_closing() or transport.get_write_buffer_size():
            return True
        transport.pause_reading()
        try:
            socket.send_fds(self._giving, [b"+"], [transport.get_extra_info("socket").fileno()])
        except OSError:
            transport.resume_reading()
            return False
        transport.abort()  # for this process only: the other one has it already
        return True


class _Connection(asyncio.Protocol):
    """Stands between the transport and Hypercorn's protocol."""

    transport: Any

    def __init__(self, protocol: asyncio.Protocol, registry: "dict[Ends, _Connection]") -> None:
        self.idle = True
        """Whether it is between two requests."""
        self.received = 0
        """How often something came in."""
        self._protocol = protocol
        self._registry = registry

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        client, server = (transport.get_extra_info(name) for name in ("peername", "sockname"))
        self._ends = client[:2], server[:2]
        self._registry[self._ends] = self
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
        if self._registry.get(self._ends) is self:
            del self._registry[self._ends]
        self._protocol.connection_lost(error)
