"""What a server is to the service: one application on one listening socket, until it is told to stop."""

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from hypercorn.config import Config

from service.settings import Settings

# Above the ingress's idle timeout (60 s, k8s/istio/destinationrule.yaml): the proxy closes idle connections, never
# the service, so no request meets a connection that is being closed.
_KEEP_ALIVE = 75.0
_BACKLOG = 2048


class CannotServe(Exception):
    """An address is taken, or a package is missing; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are in seconds."""

    grace: float
    """For requests in flight after the stop; then they are cancelled."""
    keep_alive: float = _KEEP_ALIVE
    """For a connection on which nothing happens."""
    backlog: int = _BACKLOG


class Serve(Protocol):
    """Serves until stop() returns, lets requests end within their grace, and runs the application's lifespan."""

    async def __call__(
        self, app: Any, listener: socket.socket, stop: Callable[[], Awaitable[object]], limits: Limits
    ) -> None: ...


def choose(settings: Settings) -> Serve:
    """The server of the settings. Raises CannotServe if it is not installed."""
    if settings.server == "hypercorn":
        from service.server import hypercorn as server_hypercorn

        return server_hypercorn.serve
    try:
        from service.server import uvicorn as server_uvicorn
    except ModuleNotFoundError as error:
        raise CannotServe(
            f"SERVICE_SERVER=uvicorn: there is no package {error.name}; pip install -r requirements/uvicorn.txt"
        ) from error
    return server_uvicorn.serve


def listen(variable: str, bind: str) -> socket.socket:
    """The socket of `bind`, taken here, before anything starts; it accepts later. Raises CannotServe."""
    config = Config()
    config.bind = [bind]
    try:
        [listener] = config.create_sockets().insecure_sockets
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CannotServe(
            f"cannot listen on {bind}: {reason}; stop what does, or choose another {variable}"
        ) from error
    return listener
