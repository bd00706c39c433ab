"""Reads Server-Sent Events block by block, as they are sent."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx

from tests.waiting import WITHIN


@dataclass(frozen=True)
class Block:
    """The lines up to an empty one. An event has a type; a comment, a retry hint or an id alone has no type."""

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
    """An open event stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._blocks = self._read()

    def __aiter__(self) -> AsyncIterator[Block]:
        return self._blocks

    async def block(self) -> Block | None:
        """The next block of any kind; None at the end of the stream."""
        async with asyncio.timeout(WITHIN):
            return await anext(self._blocks, None)

    async def event(self) -> Block:
        """The next event; other blocks are skipped."""
        async with asyncio.timeout(WITHIN):  # for all blocks together: heartbeats never end
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
