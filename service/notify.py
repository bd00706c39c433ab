"""Tells a supervisor what the process is doing, in the protocol of systemd's sd_notify(3)."""

import socket
from contextlib import suppress

from service.lifecycle import State


class Notifier:
    """Sends each change of state to the Unix datagram socket at `path`; a leading `@` means an abstract name."""

    def __init__(self, path: str) -> None:
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def __call__(self, state: State, failed: str) -> None:
        lines = [f"STATUS={state}{f': {failed}' if failed else ''}"]
        if state is State.READY:
            lines.append("READY=1")
        elif state is State.DRAINING:
            lines.append("STOPPING=1")
        with suppress(OSError):  # nobody listens any more: nobody needs to know
            self._socket.sendto("\n".join(lines).encode(), self._address)
