"""An event loop that accepts when it is told to, can stop while its connections go on, and accept again."""

import asyncio
import os
import socket
from functools import partial
from typing import Any

import uvloop

from service.handover.connections import Connections

_PORTS = 2  # API and ops


class ServingLoop(uvloop.Loop):
    """uvloop with a hand on its servers: whoever serves keeps them to itself, but asks the loop to make them."""

    def __init__(self, connections: Connections | None = None, *, accepts: bool = True) -> None:
        super().__init__()
        self.connections = connections
        self.complete = asyncio.Event()
        """Set when both ports have a server."""
        self._accepts = accepts
        self._servers: list[tuple[Any, Any, dict[str, Any]]] = []
        self._left: list[tuple[socket.socket, Any, dict[str, Any]]] = []
        self._changing = asyncio.Lock()

    async def create_server(self, factory: Any, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        options["start_serving"] = self._accepts
        observed = partial(self.connections.protocol, factory) if self.connections else factory
        server = await super().create_server(observed, *args, **options)
        options.pop("sock", None)
        self._servers.append((server, factory, options))
        if len(self._servers) == _PORTS:
            self.complete.set()
        return server

    async def accept(self) -> None:
        """Accept new connections, and take over those of a process that has left. Undoes stop_accepting."""
        async with self._changing:
            self._accepts = True
            for server, _, _ in self._servers:
                await server.start_serving()
            left, self._left = self._left, []
            for listener, factory, options in left:
                await self.create_server(factory, sock=listener, **options)
            if self.connections:
                self.connections.stay()
                self.add_reader(self.connections.taking, self._take_over)

    async def stop_accepting(self) -> None:
        """Leave new connections, and those that are idle, to the other process that has the same sockets."""
        async with self._changing:
            self._accepts = False
            for server, factory, options in self._servers:
                for listener in server.sockets:
                    self._left.append((socket.socket(fileno=os.dup(listener.fileno())), factory, options))
                server.close()
            self._servers.clear()
            if self.connections:
                self.remove_reader(self.connections.taking)
                self.connections.leave()

    def _take_over(self) -> None:
        assert self.connections  # noqa: S101 - or nobody would read
        for connection in self.connections.take():
            port = connection.getsockname()[1]
            for server, factory, _ in self._servers:
                if any(listener.getsockname()[1] == port for listener in server.sockets):
                    protocol = partial(self.connections.protocol, factory)
                    self.create_task(self.connect_accepted_socket(protocol, connection))
                    break
            else:
                connection.close()
