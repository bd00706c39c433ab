"""Tells a supervisor what the process is doing, in the protocol of systemd's sd_notify(3)."""

import asyncio
import errno
import json
import socket
from collections.abc import Sequence

from service.lifecycle import State

_AGAIN = {errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS}  # the last one on macOS
_AGAIN_AFTER = 0.01  # s
_STATUS = "STATUS="


class Notifier:
    """Sends messages to the Unix datagram socket at `path`; a leading `@` means an abstract name.

    The system keeps only a few messages that nobody has read: ten on Linux. On a busy machine the supervisor does not
    get to read them as fast as they are sent. So all others wait here, in their order, and of statuses the newest.

    Without a path, every method does nothing.
    """

    def __init__(self, path: str | None) -> None:
        self._address = "\0" + path[1:] if path and path.startswith("@") else path or ""
        if self:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        self._unsent: list[str] = []
        self._again: asyncio.TimerHandle | None = None

    def __bool__(self) -> bool:
        """Whether there is a supervisor."""
        return bool(self._address)

    def status(self, state: State, failed: str) -> None:
        """Report the state, and the failed checks as one line."""
        self._send(f"{_STATUS}{state}{f': {failed}' if failed else ''}")

    def stage(self, stage: str) -> None:
        """Report a stage of the start, so that the supervisor can show how long each stage took."""
        self._send(f"X_STAGE={stage}")

    def rehearsing(self, requests: str) -> None:
        """Report the requests that are being replayed. If one blocks the process, this is the last report."""
        self._send(f"{_STATUS}rehearsing {requests}")

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
        if not self:
            return
        if message.startswith(_STATUS) and self._unsent and self._unsent[-1].startswith(_STATUS):
            self._unsent.pop()
        self._unsent.append(message)
        if self._again is None:
            self._send_all()

    def _send_all(self) -> None:
        self._again = None
        while self._unsent:
            try:
                self._socket.sendto(self._unsent[0].encode(), self._address)
            except OSError as error:
                if error.errno in _AGAIN:
                    self._again = asyncio.get_running_loop().call_later(_AGAIN_AFTER, self._send_all)
                    return
                # Otherwise the supervisor is gone.
            del self._unsent[0]
