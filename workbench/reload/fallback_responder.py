"""Answers while no version of the service can serve.

Otherwise clients and probes would hang, because their connections wait in the queue of a socket that nothing accepts.
"""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

_REQUEST_WITHIN = 5.0  # s
_READ_SIZE = 64 * 1024
_SHOWN_LINES = 15


@dataclass(frozen=True, slots=True)
class Reason:
    """Why nothing serves: one sentence, and the last lines of an error."""

    sentence: str
    lines: Sequence[str] = ()


class FallbackResponder:
    """Answers on the listening sockets: 503 with the reason on the API's, /livez and /readyz on the ops port's."""

    def __init__(
        self, api: socket.socket, ops: socket.socket, passed_on: socket.socket, metrics: Callable[[], str]
    ) -> None:
        """`passed_on` is the queue from which processes take each other's connections; `metrics` makes /metrics."""
        self._listeners = (api, self._api), (ops, self._ops)
        self._passed_on = passed_on
        self._metrics = metrics
        self._wanted = False
        self._starting = asyncio.Lock()
        self._servers: list[asyncio.Server] = []
        self.reason = Reason("The service is starting.")

    async def start(self) -> None:
        """Accept, unless it does already."""
        self._wanted = True
        async with self._starting:
            if self._servers or not self._wanted:
                return
            asyncio.get_running_loop().add_reader(self._passed_on, self._close_passed_on)
            self._servers = [
                await asyncio.start_server(partial(_handle, answer), sock=listener.dup())
                for listener, answer in self._listeners
            ]
            if not self._wanted:  # stop() was called meanwhile
                self._close()

    def stop(self) -> None:
        """Leave the sockets to a process of the service."""
        self._wanted = False
        if self._servers:
            self._close()

    def _close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._passed_on)
        for server in self._servers:
            server.close()
        self._servers.clear()

    def _close_passed_on(self) -> None:
        """Close a connection that a process passes on although nothing can take it."""
        with suppress(BlockingIOError):
            _, descriptors, _, _ = socket.recv_fds(self._passed_on, 1, 1)
            for descriptor in descriptors:
                os.close(descriptor)

    def _api(self, _path: str) -> tuple[str, str, bytes]:
        problem = {
            "type": "about:blank",
            "title": "Service Unavailable",
            "status": 503,
            "detail": self.reason.sentence,
            "traceback": list(self.reason.lines)[-_SHOWN_LINES:],
        }
        return "503 Service Unavailable", "application/problem+json", _json(problem)

    def _ops(self, path: str) -> tuple[str, str, bytes]:
        match path:
            case "/livez":
                return "200 OK", "text/plain; charset=utf-8", b"the supervisor is alive\n"
            case "/metrics":
                return "200 OK", "text/plain; version=0.0.4; charset=utf-8", self._metrics().encode()
            case "/readyz":
                checks = {"code": {"ok": False, "detail": self.reason.sentence}}
                return "503 Service Unavailable", "application/json", _json({"state": "starting", "checks": checks})
        return "404 Not Found", "text/plain; charset=utf-8", b"/livez, /readyz and /metrics are here\n"


def _json(document: object) -> bytes:
    return json.dumps(document).encode() + b"\n"


async def _handle(
    answer: Callable[[str], tuple[str, str, bytes]], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        async with asyncio.timeout(_REQUEST_WITHIN):
            head = await reader.readuntil(b"\r\n\r\n")
            request = head.split(b"\r\n", 1)[0].split(b" ")
            method, target = request[0], request[1] if len(request) > 1 else b"/"
            status, content_type, body = answer(target.split(b"?", 1)[0].decode("latin-1"))
            headers = (
                f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n"
                "retry-after: 1\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
            )
            writer.write(headers.encode() + (b"" if method == b"HEAD" else body))
            writer.write_eof()
            # Closing a connection with unread data resets it, and the client might lose the answer.
            while await reader.read(_READ_SIZE):
                pass
    except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    except asyncio.CancelledError:
        pass  # the supervisor ends; Python 3.11 reports a handler that is cancelled as an error
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
