"""A reload of the service with notes: a subscriber misses no event."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from harness.sandbox import Sandbox
from tests.waiting import WITHIN
from tests.workbench.reload.live import Live, live_workbench

MODULE = "service/domains/notes/routes.py"


@pytest.fixture
async def live(new_data: Callable[[], Path], tmp_path: Path) -> AsyncIterator[Live]:
    async with live_workbench(Sandbox(tmp_path / "sources"), new_data()) as (_, live):
        yield live


async def test_a_stream_of_events_is_resumed_without_a_gap(live: Live) -> None:
    async def create(title: str) -> str:
        response = await client.post("/notes", json={"title": title})
        note_id: str = response.json()["id"]
        return note_id

    async with httpx.AsyncClient(base_url=live.url, timeout=WITHIN) as client:
        events: list[dict[str, str]] = []
        async with client.stream("GET", "/notes/events") as response:
            begun = asyncio.Event()
            following = asyncio.create_task(follow(response, events, begun))
            await begun.wait()
            created = [await create("before the reload")]
            live.sources.append(MODULE, "\n# streams\n")
            await live.reloads()
            created.append(await create("while the old process still has the stream"))
            async with asyncio.timeout(WITHIN):
                await following
        assert events[-1] == {"retry": "100"}
        created.append(await create("while nobody listens"))

        last = [event["id"] for event in events if "id" in event][-1]
        async with client.stream("GET", "/notes/events", headers={"last-event-id": last}) as response:
            assert response.headers["x-service-version"] == live.sources.version
            following = asyncio.create_task(follow(response, events, asyncio.Event()))
            async with asyncio.timeout(WITHIN):
                while not all(note_id in str(events) for note_id in created):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            following.cancel()
        told = [json.loads(event["data"])["id"] for event in events if "data" in event]
        assert [note_id for note_id in told if note_id in created] == created


async def follow(response: httpx.Response, events: list[dict[str, str]], begun: asyncio.Event) -> None:
    """Collects the blocks of a stream until it ends."""
    block: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            block[name] = value
        else:
            events.append(block)
            block = {}
            begun.set()
