"""Asks one process of the service, over a connection that stays with it."""

import asyncio
import re
from contextlib import suppress

_WITHIN = 2.0
_ANSWERED = re.compile(rb"^http_requests_total\{.*\} ([0-9.e+]+)$", re.MULTILINE)


class Probe:
    """A connection to a port. It was accepted by whoever served then, and goes on talking to that process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, address: tuple[str, int]) -> "Probe":
        """Raises OSError."""
        async with asyncio.timeout(_WITHIN):
            return cls(*await asyncio.open_connection(*address))

    async def answered(self) -> int | None:
        """How many requests the process has answered; None if it does not say."""
        with suppress(OSError, ValueError, asyncio.IncompleteReadError):
            body = await self.get("/metrics")
            return round(sum(float(value) for value in _ANSWERED.findall(body)))
        return None

    async def get(self, path: str) -> bytes:
        """The body of an answer. Raises OSError, ValueError or IncompleteReadError if there is none."""
        async with asyncio.timeout(_WITHIN):
            self._writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: reload\r\n\r\n".encode())
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            if length is None:
                raise ValueError("no length")
            return await self._reader.readexactly(int(length[1]))

    def close(self) -> None:
        self._writer.close()
