"""The server and the listening sockets that the settings ask for."""

import socket

from hypercorn.config import Config

from service.server import hypercorn
from service.server.contract import CannotServe, Serve
from service.settings import Settings


def choose(settings: Settings) -> Serve:
    """Return the server that SERVICE_SERVER names. Raises CannotServe if it is not installed."""
    if settings.server == "hypercorn":
        return hypercorn.serve
    try:
        from service.server import uvicorn
    except ModuleNotFoundError as error:
        raise CannotServe(
            f"SERVICE_SERVER=uvicorn: the package {error.name} is not installed; "
            "run pip install -r requirements/uvicorn.txt"
        ) from error
    return uvicorn.serve


def listen(variable: str, bind: str) -> socket.socket:
    """Return a socket that is bound to `bind`, the value of `variable`; a Server accepts on it later.

    Raises CannotServe.
    """
    config = Config()
    config.bind = [bind]
    try:
        [listener] = config.create_sockets().insecure_sockets
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CannotServe(
            f"cannot listen on {bind}: {reason}; stop the program that uses it, or choose another {variable}"
        ) from error
    return listener
