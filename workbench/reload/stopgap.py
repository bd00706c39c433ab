"""The answers while nothing can serve: a socket that nobody accepts from leaves clients and probes hanging."""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

_REQUEST_WITHIN = 5.0
_LARGEST_HEAD = 64 * 1024
_SHOWN_LINES = 15


@dataclass(frozen=True, slots=True)
class Reason:
    """Why nothing serves: one sentence, and the last lines of an error."""

    sentence: str
    lines: Sequence[str] = ()


class Stopgap:
    """Answers on the listening sockets: 503 with the reason on the API's, livez and readyz on the ops port's."""

    def __init__(
        self, api: socket.socket, ops: socket.socket, given_away: socket.socket, metrics: Callable[[], str]
    ) -> None:
        self._listeners = (api, self._api), (ops, self._ops)
        self._given_away = given_away
        self._metrics = metrics
        self._servers: list[asyncio.AbstractServer] = []
        self.reason = Reason("The service is starting.")

    async def start(self) -> None:
        """Accept; does nothing if it does already."""
        if self._servers:
            return
        asyncio.get_running_loop().add_reader(self._given_away, self._close_given_away)
        for listener, answer in self._listeners:
            self._servers.append(await asyncio.start_server(partial(_handle, answer), sock=listener.dup()))

    def stop(self) -> None:
        """Leave the sockets to a process of the service."""
        if self._servers:
            asyncio.get_running_loop().remove_reader(self._given_away)
        for server in self._servers:
            server.close()
        self._servers.clear()

    def _close_given_away(self) -> None:
        """What a process that leaves still gives to the next one, when there is none."""
        with suppress(BlockingIOError):
            _, descriptors, _, _ = socket.recv_fds(self._given_away, 1, 1)
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
            # What the client still sends is read: closing now could take the answer away from it.
            while await reader.read(_LARGEST_HEAD):
                pass
    except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
