"""Which process accepts connections: this one, or another one that has the same listening sockets."""

import asyncio
import socket

from service.handover.connections import OpenConnections
from service.server.contract import Serve, Server
from service.settings import Settings


class Ports:
    """The servers of this process. Together they accept connections, or leave them to the other process."""

    def __init__(self, *, accepting: bool, connections: OpenConnections | None) -> None:
        """Without `connections`, idle connections stay at a handover."""
        self._accepting = accepting
        self._connections = connections
        self._servers: dict[Server, object] = {}  # with the port of each
        self._adoptions: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()

    @classmethod
    def of(cls, settings: Settings) -> "Ports":
        ends = settings.give_connections, settings.take_connections
        giving, taking = (end and socket.socket(fileno=int(end.removeprefix("fd://"))) for end in ends)
        connections = OpenConnections(giving, taking) if giving and taking else None
        return cls(accepting=settings.listen != "told", connections=connections)

    def observe(self, serve: Serve) -> Serve:
        """Return `serve` with an observer on each connection, or `serve` itself if no connections are handed over."""
        return self._connections.observe(serve) if self._connections else serve

    async def open(self, *servers: Server) -> None:
        """Let these servers accept connections whenever this process does. May be called again for a server."""
        async with self._changing:
            self._servers |= {server: _port(server.listener) for server in servers}
            if self._accepting:
                await self._resume()

    async def accept(self) -> None:
        """Accept new connections, and adopt those that another process gives away. Undoes hand_over()."""
        async with self._changing:
            self._accepting = True
            await self._resume()
            if self._connections:
                self._connections.stay()
                asyncio.get_running_loop().add_reader(self._connections.taking, self._adopt)

    async def hand_over(self) -> None:
        """Leave new connections to the other process, and give it the idle ones."""
        async with self._changing:
            self._accepting = False
            for server in self._servers:
                server.pause()
            if self._connections:
                asyncio.get_running_loop().remove_reader(self._connections.taking)
                self._connections.leave()

    async def _resume(self) -> None:
        for server in self._servers:
            await server.resume()

    def _adopt(self) -> None:
        assert self._connections  # noqa: S101 - otherwise there is no queue to read from
        for connection in self._connections.take():
            server = next((server for server, port in self._servers.items() if port == _port(connection)), None)
            if server is None:
                connection.close()
                continue
            adoption = asyncio.create_task(server.adopt(connection))
            self._adoptions.add(adoption)
            adoption.add_done_callback(self._adoptions.discard)


def _port(endpoint: socket.socket) -> object:
    """The port of a TCP socket, the path of a Unix socket: the same for a listener and its connections."""
    name = endpoint.getsockname()
    return name if isinstance(name, str) else name[1]
