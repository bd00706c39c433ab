"""Many subscribers to /notes/events, and how long an event takes to reach each of them."""

import asyncio
import json
import re
import time

_PAUSE = 0.05  # s between two changes
_WITHIN = 60.0


async def deliver(port: int, count: int, events: int) -> list[float]:
    """Creates `events` notes with `count` subscribers; returns the seconds from each 201 to each arrival."""
    streams = await asyncio.gather(*(_subscribe(port) for _ in range(count)))
    arrivals: dict[str, list[float]] = {}
    readers = [asyncio.create_task(_follow(reader, events, arrivals)) for reader, _ in streams]
    made = await _create(port, events)
    async with asyncio.timeout(_WITHIN):
        await asyncio.gather(*readers)
    for _, writer in streams:
        writer.close()
    # An event may arrive before the answer to the request that caused it.
    return [max(arrival - made[note], 0.0) for note, times in arrivals.items() for arrival in times]


async def _subscribe(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /notes/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"retry:")
    return reader, writer


async def _follow(reader: asyncio.StreamReader, events: int, arrivals: dict[str, list[float]]) -> None:
    for _ in range(events):
        data = await reader.readuntil(b'"version"')
        note = re.findall(rb'"id":"([0-9a-f-]+)"', data)[-1].decode()
        arrivals.setdefault(note, []).append(time.monotonic())


async def _create(port: int, events: int) -> dict[str, float]:
    made = {}
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"title": "An event"}'
    head = b"POST /notes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    for _ in range(events):
        writer.write(head % len(body) + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)
        assert length is not None, answer  # noqa: S101 - every note has one
        note = json.loads(await reader.readexactly(int(length[1])))
        made[note["id"]] = time.monotonic()
        await asyncio.sleep(_PAUSE)
    writer.close()
    return made
