"""An event loop that can stop accepting while its connections go on, and accept again."""

import asyncio
import os
import socket
from typing import Any

import uvloop

_PORTS = 2  # API and ops


class ServingLoop(uvloop.Loop):
    """uvloop with a hand on its servers: Hypercorn keeps them to itself, but asks the loop to make them.

    uvloop, because Hypercorn's grace for requests in flight has no effect on asyncio's own loop from 3.12.1 on
    (pgjones/hypercorn#308).
    """

    def __init__(self) -> None:
        super().__init__()
        self.accepting = asyncio.Event()
        """Set when both ports accept for the first time."""
        self._servers: list[tuple[asyncio.AbstractServer, Any, dict[str, Any]]] = []
        self._handed_over: list[tuple[socket.socket, Any, dict[str, Any]]] = []

    async def create_server(self, factory: Any, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        server = await super().create_server(factory, *args, **options)
        options.pop("sock", None)
        self._servers.append((server, factory, options))
        if len(self._servers) == _PORTS:
            self.accepting.set()
        return server

    def stop_accepting(self) -> None:
        """Leave new connections to the other process that has the same sockets."""
        for server, factory, options in self._servers:
            for listener in getattr(server, "sockets", ()):
                self._handed_over.append((socket.socket(fileno=os.dup(listener.fileno())), factory, options))
            server.close()
        self._servers.clear()

    async def accept_again(self) -> None:
        """Undo stop_accepting."""
        handed_over, self._handed_over = self._handed_over, []
        for listener, factory, options in handed_over:
            await self.create_server(factory, sock=listener, **options)
