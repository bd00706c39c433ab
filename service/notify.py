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

    def status(self, state: State, failed: str) -> None:
        """What the process is doing, in words."""
        self._send(f"STATUS={state}{f': {failed}' if failed else ''}")

    def ready(self) -> None:
        """It accepts connections, and the database answers."""
        self._send("READY=1")

    def _send(self, message: str) -> None:
        with suppress(OSError):  # nobody listens any more: nobody needs to know
            self._socket.sendto(message.encode(), self._address)
