"""Tells a supervisor what the process is doing, in the protocol of systemd's sd_notify(3)."""

import socket
from contextlib import suppress

from service.lifecycle import State


class Notifier:
    """Sends messages to the Unix datagram socket at `path`, if there is one; a leading `@` means an abstract name."""

    def __init__(self, path: str | None) -> None:
        self._address = "\0" + path[1:] if path and path.startswith("@") else path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def __bool__(self) -> bool:
        """Whether there is a supervisor."""
        return self._address is not None

    def status(self, state: State, failed: str) -> None:
        """What the process is doing, in words."""
        self._send(f"STATUS={state}{f': {failed}' if failed else ''}")

    def stage(self, stage: str) -> None:
        """How far it has come on its way to readiness, for who wants to know where the time goes."""
        self._send(f"X_STAGE={stage}")

    def ready(self) -> None:
        """It accepts connections, or waits only to be told to; and the database answers."""
        self._send("READY=1")

    def handed_over(self, answered: int) -> None:
        """It accepts no connections any more, and has given away those that were idle; the requests it answered."""
        self._send(f"X_HANDED_OVER={answered}")

    def _send(self, message: str) -> None:
        if self._address is not None:
            with suppress(OSError):  # nobody listens any more: nobody needs to know
                self._socket.sendto(message.encode(), self._address)
