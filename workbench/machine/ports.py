"""TCP ports of this machine: which ones are free, and which process uses the others."""

import errno
import random
import socket
from collections import deque
from collections.abc import Collection, Mapping

from workbench.errors import PortTaken, UsageError
from workbench.machine import foreign

FAMILIES = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}

# Below the ports that Linux (from 32768) and macOS (from 49152) use for outgoing connections, so that no such
# connection can take a port after it was chosen here and before a part uses it.
CHOICES = range(20_000, 32_000)
_BLOCK = 200

_own: deque[int] = deque()


def loopbacks() -> list[str]:
    """The addresses that `localhost` can mean on this machine."""
    return [address for address in FAMILIES if _bind_error(address, 0) is None]


def check(wanted: Mapping[str, int]) -> None:
    """Raises PortTaken if a port cannot be used, and UsageError if two variables name the same port.

    The keys are the variables that choose the ports. Port 0 is not checked.
    """
    chosen: dict[int, str] = {}
    for variable, port in wanted.items():
        if port in chosen:
            raise UsageError(f"{chosen[port]} and {variable} are both {port}: choose another {variable}=")
        if port != 0:
            chosen[port] = variable
    for port, variable in chosen.items():
        for address in loopbacks():
            if reason := _why_unusable(address, port):
                raise PortTaken(f"port {port} {reason}, or choose another one: make dev {variable}={_next(port)}")


def free(count: int, excluding: Collection[int] = ()) -> list[int]:
    """Different ports that no process uses now, without those in `excluding`.

    No other process is given them as long as this one runs, and this one only after many others: otherwise another
    workbench could take a port before its part listens on it, or while it is restarted.
    """
    found: list[int] = []
    while len(found) < count and (_own or _reserve()):
        for _ in range(len(_own)):
            port = _own.popleft()
            _own.append(port)
            if port not in {*found, *excluding} and _is_free(port):
                found.append(port)
            if len(found) == count:
                return found
        if not _reserve():
            break
    return found


def _reserve() -> bool:
    """Takes one more block of ports for this process. Its first port is bound, which tells other processes."""
    for first in random.sample(CHOICES[::_BLOCK], len(CHOICES[::_BLOCK])):
        holder = socket.socket()
        try:
            holder.bind(("127.0.0.1", first))
        except OSError:
            holder.close()
            continue
        holder.detach()  # stays bound until this process ends
        _own.extendleft(range(first + 1, first + _BLOCK))
        return True
    return False


def _is_free(port: int) -> bool:
    return all(_bind_error(address, port) is None and not _answers(address, port) for address in loopbacks())


def _next(port: int) -> int:
    """The next free port, which is easy to remember; 0, which means any, if the next 99 are all in use."""
    near = range(port + 1, min(port + 100, 65536))
    return next((port for port in near if _is_free(port)), 0)


def _why_unusable(address: str, port: int) -> str | None:
    error = _bind_error(address, port)
    if error == errno.EACCES:
        return "is reserved for root: run as root"
    if error is not None or _answers(address, port):
        return f"is in use by {foreign.describe_listener(port)}: stop it"
    return None


def _bind_error(address: str, port: int) -> int | None:
    try:
        with socket.socket(FAMILIES[address]) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT does not count
            listener.bind((address, port))
    except OSError as error:
        return error.errno
    return None


def _answers(address: str, port: int) -> bool:
    """Needed on macOS, where binding succeeds even if a process listens on all addresses."""
    with socket.socket(FAMILIES[address]) as client:
        return client.connect_ex((address, port)) == 0
