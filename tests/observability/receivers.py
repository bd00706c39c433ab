"""Receivers of Alertmanager's messages, in the process of the tests. Prometheus scrapes them, too."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from tests.observability.connections import listening
from tests.waiting import WITHIN


class Told(NamedTuple):
    """One alert of a message."""

    name: str
    status: str


@dataclass
class Receivers:
    """Each path is a receiver. `metrics` has the samples that GET /metrics answers with, by their series."""

    port: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    messages: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    def address(self, receiver: str) -> str:
        return f"http://127.0.0.1:{self.port}/{receiver}"

    def told(self, receiver: str) -> list[Told]:
        """All alerts of all messages to a receiver, in their order."""
        return [
            Told(alert["labels"]["alertname"], alert["status"])
            for message in self.messages.get(receiver, [])
            for alert in message["alerts"]
        ]

    async def until(self, receiver: str, enough: Callable[[list[Told]], bool]) -> None:
        """Waits until what a receiver was told is `enough`."""
        try:
            async with asyncio.timeout(WITHIN), self._came:
                await self._came.wait_for(lambda: enough(self.told(receiver)))
        except TimeoutError:
            pytest.fail(f"{receiver} was told within {WITHIN:g} s: {self.told(receiver)}")

    async def until_told(self, receiver: str, name: str, status: str) -> None:
        await self.until(receiver, lambda told: Told(name, status) in told)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Receivers"]:
        async with listening(self._serve) as self.port:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path, _ = head.split(" ", 2)
                body = b""
                if method == "GET":
                    body = "".join(f"{series} {value:g}\n" for series, value in self.metrics.items()).encode()
                else:
                    length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
                    await self._take(path.strip("/"), json.loads(await reader.readexactly(length)))
                content = f"content-type: text/plain; version=0.0.4\r\ncontent-length: {len(body)}"
                writer.write(f"HTTP/1.1 200 OK\r\n{content}\r\n\r\n".encode() + body)
                await writer.drain()
        writer.close()

    async def _take(self, receiver: str, message: Mapping[str, Any]) -> None:
        async with self._came:
            self.messages.setdefault(receiver, []).append(message)
            self._came.notify_all()
