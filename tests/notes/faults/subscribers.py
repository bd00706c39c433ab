"""A crowd of subscribers to the events of notes."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

import httpx

from harness.exchange import encode
from harness.sign_in import SignIn
from tests.faults.site import Site

_SUBSCRIBERS = 1000
_OPENED_AT_ONCE = 100
_EVENTS = 20
_ARRIVES_WITHIN = 20.0


async def subscribers(site: Site, _: float) -> str:
    """Each of 20 changes reaches each of 1,000 subscribers."""
    before = site.resident()
    crowd = [Subscriber(site.user) for _ in range(_SUBSCRIBERS)]
    for start in range(0, _SUBSCRIBERS, _OPENED_AT_ONCE):
        await asyncio.gather(*(one.open(site) for one in crowd[start : start + _OPENED_AT_ONCE]))
    await _until(lambda: all(one.begun for one in crowd), "every stream has begun")
    each = (site.resident() - before) / _SUBSCRIBERS / 1024
    slowest = []
    async with httpx.AsyncClient(base_url=site.url, auth=site.user, timeout=30) as client:
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

    user: SignIn
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
        transport.write(encode("GET", "/notes/events", "localhost", b"", **self.user.headers()))

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


async def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _ARRIVES_WITHIN
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {_ARRIVES_WITHIN:g} s: {what}")
        await asyncio.sleep(0.01)
