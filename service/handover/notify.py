"""Tells a supervisor what the process is doing, in the protocol of systemd's sd_notify(3)."""

import json
import socket
from collections.abc import Sequence
from contextlib import suppress

from service.lifecycle import State


class Notifier:
    """Sends messages to the Unix datagram socket at `path`; a leading `@` means an abstract name.

    Without a path, every method does nothing.
    """

    def __init__(self, path: str | None) -> None:
        self._address = "\0" + path[1:] if path and path.startswith("@") else path
        if self:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)

    def __bool__(self) -> bool:
        """Whether there is a supervisor."""
        return bool(self._address)

    def status(self, state: State, failed: str) -> None:
        """Report the state, and the failed checks as one line."""
        self._send(f"STATUS={state}{f': {failed}' if failed else ''}")

    def stage(self, stage: str) -> None:
        """Report a stage of the start, so that the supervisor can show how long each stage took."""
        self._send(f"X_STAGE={stage}")

    def rehearsing(self, requests: str) -> None:
        """Report the requests that are being replayed. If one blocks the process, this is the last report."""
        self._send(f"STATUS=rehearsing {requests}")

    def rehearsed(self, remark: str) -> None:
        """Report what a person should know of the rehearsal."""
        self._send(f"X_REHEARSED={remark}")

    def compared(self, costs: Sequence[str] | None) -> None:
        """Report, when it serves, which routes cost much more or less than before; None without rehearsals."""
        self._send(f"X_COMPARED={json.dumps(costs)}")

    def ready(self) -> None:
        """Report that the database answers, and that the process accepts connections or does so at SIGUSR1."""
        self._send("READY=1")

    def handed_over(self, answered: int) -> None:
        """Report that new and idle connections are left to another process, and how many requests were answered."""
        self._send(f"X_HANDED_OVER={answered}")

    def _send(self, message: str) -> None:
        if self._address:
            with suppress(OSError):  # the supervisor is gone, or does not read
                self._socket.sendto(message.encode(), self._address)
