"""What a server is: it runs one ASGI application on one listening socket, and can pause accepting connections."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

# Above the ingress's idle timeout (60 s, k8s/istio/destinationrule.yaml): the proxy closes idle connections, never
# the service, so no request arrives on a connection that the service is closing.
_KEEP_ALIVE = 75.0
_BACKLOG = 2048
_MAX_MESSAGE = 2**20


class CannotServe(Exception):
    """An address is in use, or a package is missing; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are in seconds."""

    grace: float
    """How long requests in flight may take once the server stops; after that they are cancelled."""
    keep_alive: float = _KEEP_ALIVE
    """How long a connection may be idle before the server closes it."""
    backlog: int = _BACKLOG
    """How many connections may wait to be accepted."""
    max_message: int = _MAX_MESSAGE
    """The maximum size of a WebSocket message, in bytes. A longer one closes the WebSocket with 1009."""


class Server:
    """A running server. It starts paused: it accepts no connection before the first resume()."""

    def __init__(self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol], backlog: int) -> None:
        self.listener = listener
        self.protocol = protocol
        """Makes the protocol of a new connection. May be wrapped before the first resume()."""
        self._backlog = backlog
        self._acceptor: asyncio.Server | None = None

    @property
    def closed(self) -> bool:
        return self.listener.fileno() == -1

    async def resume(self) -> None:
        """Accept new connections. Does nothing on a server that is accepting or closed."""
        if self._acceptor is None and not self.closed:
            # A duplicate, because closing the acceptor closes its socket, and resume() needs the listener again.
            self._acceptor = await asyncio.get_running_loop().create_server(
                self.protocol, sock=self.listener.dup(), backlog=self._backlog, start_serving=False
            )
            await self._acceptor.start_serving()

    def pause(self) -> None:
        """Leave new connections to the other processes that share the socket. Open connections go on."""
        if self._acceptor is not None:
            self._acceptor.close()
            self._acceptor = None

    async def adopt(self, connection: socket.socket) -> None:
        """Serve a connection that another process accepted. A server that is closed closes it."""
        if self.closed:
            connection.close()
            return
        await asyncio.get_running_loop().connect_accepted_socket(self.protocol, connection)

    def close(self) -> None:
        """Pause for good and close the listening socket. Open connections go on."""
        self.pause()
        self.listener.close()


class Serve(Protocol):
    """Serves `app` within an `async with` block.

    The block starts after the application's lifespan startup. When it ends, the server closes the listening socket
    and idle connections, gives requests in flight `limits.grace` seconds, cancels the others, and runs the lifespan
    shutdown. Raises what the startup raises.
    """

    def __call__(self, app: Any, listener: socket.socket, limits: Limits) -> AbstractAsyncContextManager[Server]: ...
