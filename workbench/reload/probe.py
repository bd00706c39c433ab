"""Requests of the supervisor to the serving process."""

import asyncio
import re

_WITHIN = 2.0  # s
_ANSWERED = re.compile(rb"^http_requests_total\{.*\} ([0-9.e+]+)$", re.MULTILINE)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

_FAILURES = (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)  # OSError: TimeoutError too


class Probe:
    """Opens a new connection each time, because an old one could still belong to the process that served before."""

    def __init__(self, api: tuple[str, int], ops: tuple[str, int]) -> None:
        self._api = api
        self._ops = ops

    async def answered(self) -> int | None:
        """How many requests the process has answered; None if it does not answer this one."""
        try:
            body = await _get(self._ops, "/metrics")
        except _FAILURES:
            return None
        return round(sum(float(value) for value in _ANSWERED.findall(body)))

    async def first_answer(self) -> str:
        """Return when the API has answered: what went wrong, or an empty string."""
        try:
            await _get(self._api, "/")
        except _FAILURES as error:
            return str(error) or type(error).__name__
        return ""


async def _get(address: tuple[str, int], path: str) -> bytes:
    async with asyncio.timeout(_WITHIN):
        reader, writer = await asyncio.open_connection(*address)
        try:
            request = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: reload\r\nconnection: close\r\n\r\n"
            writer.write(request.encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            if length is None:
                raise ValueError("the answer has no length")
            return await reader.readexactly(int(length[1]))
        finally:
            writer.close()
