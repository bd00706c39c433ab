"""Crowds of clients: idle and slow connections, and subscribers to the events."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import httpx

from harness.exchange import Exchange, encode
from tests.faults.ledger import Ledger
from tests.faults.recorder import Outcome, Recorder
from tests.faults.site import Site

_IDLE = 2000
_SLOW = 500
_SUBSCRIBERS = 1000
_OPENED_AT_ONCE = 100
_EVENTS = 20
_ARRIVES_WITHIN = 20.0
_HEAD_OF_LONG_BODY = (
    b"POST /notes HTTP/1.1\r\nhost: slipway\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n"
)


async def idle_and_slow_connections(site: Site, rate: float, seconds: float) -> str:
    """Compares requests before and during 2,000 idle connections, 500 slow headers and 500 slow bodies."""
    before = await _requests(site, rate, seconds)
    headers = _slow_connections(site, b"GET / HTTP/1.1\r\nhost: slipway\r\n", b"x-slow: 1\r\n")
    bodies = _slow_connections(site, _HEAD_OF_LONG_BODY, b" ")
    async with _idle_connections(site), headers, bodies:
        during = await _requests(site, rate, seconds)
    quiet, crowded = _p99(before) * 1000, _p99(during) * 1000
    assert not [outcome for outcome in during if outcome.failed], "requests failed"
    return (
        f"{_IDLE:,} idle connections, {_SLOW} slow headers, {_SLOW} slow bodies: p99 of {rate:g} requests a second "
        f"{quiet:.1f} ms before, {crowded:.1f} ms during (x{crowded / quiet:.1f})"
    )


async def subscribers(site: Site) -> str:
    """Each of 20 changes reaches each of 1,000 subscribers."""
    before = site.resident()
    crowd = [Subscriber() for _ in range(_SUBSCRIBERS)]
    for start in range(0, _SUBSCRIBERS, _OPENED_AT_ONCE):
        await asyncio.gather(*(one.open(site) for one in crowd[start : start + _OPENED_AT_ONCE]))
    await _until(lambda: all(one.begun for one in crowd), "every stream has begun")
    each = (site.resident() - before) / _SUBSCRIBERS / 1024
    slowest = []
    async with httpx.AsyncClient(base_url=site.url, timeout=30) as client:
        for _ in range(_EVENTS):
            made = time.monotonic()
            note_id = (await client.post("/notes", json={"title": f"event {uuid4()}"})).json()["id"]
            await _until(lambda: all(note_id in one.seen for one in crowd), f"all receive the event of {note_id}")  # noqa: B023
            slowest.append(max(one.seen[note_id] for one in crowd) - made)
    for one in crowd:
        one.close()
    slowest.sort()
    return (
        f"{_SUBSCRIBERS:,} subscribers, {_EVENTS} events: each got every event; the last one after "
        f"{slowest[len(slowest) // 2] * 1000:.0f} ms (median), {slowest[-1] * 1000:.0f} ms (longest); "
        f"{each:.0f} KiB of the replicas' memory for each subscriber"
    )


@dataclass(eq=False)
class Subscriber(asyncio.Protocol):
    """Follows /notes/events and records when the event of each note arrived."""

    begun: bool = False
    seen: dict[str, float] = field(default_factory=dict)
    _rest: bytes = b""
    _transport: asyncio.BaseTransport | None = None

    async def open(self, site: Site) -> None:
        self._transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: self, "127.0.0.1", site.stack.envoy.port
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(encode("GET", "/notes/events", "slipway"))

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.begun = self.begun or line.startswith(b"id: ")
            if line.startswith(b"data: "):
                note_id = json.loads(line.removeprefix(b"data: "))["id"]
                self.seen.setdefault(note_id, time.monotonic())

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@asynccontextmanager
async def _idle_connections(site: Site) -> AsyncGenerator[None]:
    """Each connection has received one answer, so that the server keeps it alive."""
    connections: list[Exchange] = []
    request = encode("GET", "/", "slipway", accept="application/json")
    try:
        for _ in range(0, _IDLE, _OPENED_AT_ONCE):
            opened = [Exchange.open("127.0.0.1", site.stack.envoy.port) for _ in range(_OPENED_AT_ONCE)]
            connections += await asyncio.gather(*opened)
            answers = await asyncio.gather(*(one.ask(request) for one in connections[-_OPENED_AT_ONCE:]))
            assert {answer.status for answer in answers} == {200}
        yield
    finally:
        for connection in connections:
            connection.close()


@asynccontextmanager
async def _slow_connections(site: Site, begin: bytes, more: bytes) -> AsyncGenerator[None]:
    """Each connection sends the start of a request, then a little more every second, and never the end."""
    writers = []
    for _ in range(_SLOW):
        _, writer = await asyncio.open_connection("127.0.0.1", site.stack.envoy.port)
        writer.write(begin)
        writers.append(writer)

    async def dribble() -> None:
        while True:
            await asyncio.sleep(1)
            for writer in writers:
                writer.write(more)

    dribbling = asyncio.create_task(dribble())
    try:
        yield
    finally:
        dribbling.cancel()
        for writer in writers:
            writer.transport.abort()


async def _requests(site: Site, rate: float, seconds: float) -> Sequence[Outcome]:
    recorder = Recorder(site.url, rate, Ledger(f"f{uuid4().hex[:8]}"))
    await recorder.run_for(seconds, rate)
    recorder.close()
    return recorder.outcomes


def _p99(outcomes: Sequence[Outcome]) -> float:
    times = sorted(outcome.took for outcome in outcomes)
    return times[int(len(times) * 0.99)]


async def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _ARRIVES_WITHIN
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {_ARRIVES_WITHIN:g} s: {what}")
        await asyncio.sleep(0.01)
