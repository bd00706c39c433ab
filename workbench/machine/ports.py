"""TCP ports of this machine: is one free, and if not, whose is it."""

import errno
import itertools
import random
import socket
from collections.abc import Collection, Mapping

from workbench.errors import PortTaken, UsageError
from workbench.machine import foreign

FAMILIES = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}

# Below the ports that Linux (32768) and macOS (49152) give to outgoing connections, so that none of those can take
# a port between its choice here and its use by a part.
CHOICES = range(20_000, 32_000)


def loopbacks() -> list[str]:
    """The addresses that `localhost` can mean on this machine."""
    return [address for address in FAMILIES if _bind_error(address, 0) is None]


def check(wanted: Mapping[str, int]) -> None:
    """Raises PortTaken if a port cannot be used. The keys are the variables that choose them; 0 is not checked."""
    chosen: dict[int, str] = {}
    for variable, port in wanted.items():
        if port in chosen:
            raise UsageError(f"{chosen[port]} and {variable} are both {port}: choose another {variable}=")
        if port == 0:
            continue
        chosen[port] = variable
        for address in loopbacks():
            problem = _problem(address, port)
            if problem is not None:
                raise PortTaken(f"port {port} {problem}, or choose another one: make dev {variable}={_next(port)}")


def free(count: int, besides: Collection[int] = ()) -> list[int]:
    """Ports that nobody uses now, all different and none of `besides`."""
    choices = (port for port in random.sample(CHOICES, len(CHOICES)) if port not in besides and _is_free(port))
    return list(itertools.islice(choices, count))


def _is_free(port: int) -> bool:
    return all(_bind_error(address, port) is None and not _answers(address, port) for address in loopbacks())


def _next(port: int) -> int:
    """A free port that is easy to remember, as it is near; 0, which means any, if there is none."""
    near = range(port + 1, min(port + 100, 65536))
    return next((port for port in near if _is_free(port)), 0)


def _problem(address: str, port: int) -> str | None:
    error = _bind_error(address, port)
    if error == errno.EACCES:
        return "is reserved for root: run as root"
    if error is not None or _answers(address, port):
        return f"is in use by {foreign.listener(port)}: stop it"
    return None


def _bind_error(address: str, port: int) -> int | None:
    try:
        with socket.socket(FAMILIES[address]) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no use
            listener.bind((address, port))
    except OSError as error:
        return error.errno
    return None


def _answers(address: str, port: int) -> bool:
    """On macOS binding succeeds although somebody listens on all addresses."""
    with socket.socket(FAMILIES[address]) as client:
        return client.connect_ex((address, port)) == 0
