"""A reader of Server-Sent Events that takes each block as it is on the wire."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.waiting import WITHIN


@dataclass(frozen=True)
class Block:
    """The lines up to an empty one. An event has a type; a comment, a retry hint or a lone id has none."""

    id: str | None = None
    event: str | None = None
    data: str | None = None
    retry: str | None = None
    comment: str | None = None

    @classmethod
    def parse(cls, lines: list[str]) -> "Block":
        fields = dict(line.split(": ", 1) for line in lines)
        if "" in fields:
            fields["comment"] = fields.pop("")
        return cls(**fields)


class Subscriber:
    """One open stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._blocks = self._read()

    def __aiter__(self) -> AsyncIterator[Block]:
        return self._blocks

    async def block(self) -> Block | None:
        """The next block, of whatever kind; None at the end of the stream."""
        async with asyncio.timeout(WITHIN):
            return await anext(self._blocks, None)

    async def event(self) -> Block:
        """The next event; other blocks are passed over."""
        async with asyncio.timeout(WITHIN):  # as a whole: heartbeats come for ever
            async for block in self:
                if block.event is not None:
                    return block
        raise EOFError("the stream ended")

    async def events(self, count: int) -> list[Block]:
        return [await self.event() for _ in range(count)]

    async def _read(self) -> AsyncIterator[Block]:
        lines: list[str] = []
        async for line in self.response.aiter_lines():
            if line:
                lines.append(line)
            else:
                yield Block.parse(lines)
                lines = []


def note_of(block: Block) -> Any:
    """The id of the event's note."""
    assert block.data is not None
    return json.loads(block.data)["id"]
