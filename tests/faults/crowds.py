"""Crowds of idle and slow connections."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

from harness.exchange import Exchange, encode
from tests.faults.ledger import Ledger
from tests.faults.recorder import Outcome, Recorder
from tests.faults.site import Site

_SECONDS = 10
_IDLE = 2000
_SLOW = 500
_OPENED_AT_ONCE = 100
_HEAD_OF_LONG_BODY = (
    b"POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n"
)


async def idle_and_slow_connections(site: Site, rate: float) -> str:
    """Compares requests before and during 2,000 idle connections, 500 slow headers and 500 slow bodies."""
    before = await _requests(site, rate)
    headers = _slow_connections(site, b"GET / HTTP/1.1\r\nhost: localhost\r\n", b"x-slow: 1\r\n")
    bodies = _slow_connections(site, _HEAD_OF_LONG_BODY % site.collection.path.encode(), b" ")
    async with _idle_connections(site), headers, bodies:
        during = await _requests(site, rate)
    quiet, crowded = _p99(before) * 1000, _p99(during) * 1000
    assert not [outcome for outcome in during if outcome.failed], "requests failed"
    return (
        f"{_IDLE:,} idle connections, {_SLOW} slow headers, {_SLOW} slow bodies: p99 of {rate:g} requests a second "
        f"{quiet:.1f} ms before, {crowded:.1f} ms during (x{crowded / quiet:.1f})"
    )


@asynccontextmanager
async def _idle_connections(site: Site) -> AsyncGenerator[None]:
    """Each connection has received one answer, so that the server keeps it alive."""
    connections: list[Exchange] = []
    request = encode("GET", f"{site.collection.path}?limit=1", "localhost", b"", **site.user.headers())
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


async def _requests(site: Site, rate: float) -> Sequence[Outcome]:
    recorder = Recorder(site.url, rate, Ledger(f"f{uuid4().hex[:8]}", site.collection), site.user)
    await recorder.run_for(_SECONDS, rate)
    recorder.close()
    return recorder.outcomes


def _p99(outcomes: Sequence[Outcome]) -> float:
    times = sorted(outcome.took for outcome in outcomes)
    return times[int(len(times) * 0.99)]
