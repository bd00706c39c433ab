"""Edits under load through the ingress: no request fails, and every acknowledged note is there."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from harness.breakages import BREAKAGES
from harness.steady_load import Answer, Load, loaded
from tests.waiting import WITHIN
from tests.workbench.reload.live import MODULE, Live, slow_route

EDITS = 10
RATE = 100  # requests a second
SHORT = 5  # breakages


@pytest.fixture
async def load(live: Live, ingress_port: int) -> AsyncIterator[Load]:
    """Half of the requests write; the ingress must not repeat those once the service has seen them."""
    async with loaded(Load(ingress_port, RATE, keys=False)) as load:
        yield load


def report(failures: list[Answer]) -> str:
    return "\n".join(f"{answer.method}: {answer.status} {answer.body.decode()}" for answer in failures[:5])


async def test_edits_under_load(live: Live, load: Load) -> None:
    versions = [live.sources.version]
    for number in range(EDITS):
        live.sources.append(MODULE, f"\n# {number}\n")
        versions.append(live.sources.version)
        await load.first(versions[-1])
    await load.more(RATE // 2)
    load.stop()

    assert not load.failures, report(load.failures)
    assert {answer.version for answer in load.answers} == set(versions)
    assert load.outdated(versions) == []
    assert await missing(live, load.notes) == set()
    assert await live.metric("reload_code_stale") == 0


async def test_breakages_under_load(live: Live, load: Load) -> None:
    versions = [live.sources.version]
    for number, (_, path, code) in enumerate(BREAKAGES[:SHORT]):
        live.forget()
        good = live.sources.read(path)
        live.sources.append(path, code)
        keeps_serving = rf"the new code does not serve: .*version {versions[-1]} keeps serving, older than the files"
        await live.says(keeps_serving)
        await load.more(RATE // 10)

        # In one write, because the state between two writes is a version too, which may be served.
        live.sources.write(path, f"{good}\n# fixed {number}\n")
        versions.append(live.sources.version)
        await load.first(versions[-1])
    load.stop()

    assert not load.failures, report(load.failures)
    assert {answer.version for answer in load.answers} == set(versions)
    assert load.outdated(versions) == []
    assert await missing(live, load.notes) == set()


async def test_a_reload_is_reported_in_one_line(live: Live) -> None:
    live.sources.append(MODULE, "\n# one\n")
    line = await live.reloads()
    told = rf"reload: {MODULE}: version \w{{8}} answers after \d+ ms, \d+ requests answered meanwhile$"
    assert re.search(told, line)
    assert len(live.said("reload: ")) == 1
    assert (await live.get("/")).json()["version"] == live.sources.version
    assert await live.metric("reload_last_seconds") < 20
    stages = re.findall(
        r'^reload_last_stage_seconds\{stage="(.*)"\}', (await live.ops("/metrics")).text, re.MULTILINE
    )
    assert stages == ["watched", "forked", "imported", "created", "ready", "handed over", "answered"]


async def test_a_connection_changes_over_to_the_new_code(live: Live) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{live.api_port}") as client:
        old = await client.get("/")
        live.sources.append(MODULE, "\n# a new version\n")
        await live.reloads()
        new = await client.get("/")
        ends = [response.extensions["network_stream"].get_extra_info("client_addr") for response in (old, new)]
    assert ends[0] == ends[1]
    assert new.headers["x-service-version"] == live.sources.version != old.headers["x-service-version"]


async def test_a_request_in_flight_is_answered_by_the_code_that_received_it(live: Live, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    live.sources.edit(*slow_route(go_on))
    await live.reloads()
    begun = live.sources.version
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{live.api_port}") as client:
        answering = asyncio.create_task(client.get("/slow"))
        await live.until_answering()
        live.sources.append(MODULE, "\n# while it is being answered\n")
        await live.reloads()
        go_on.touch()
        answer = await answering
    assert (answer.text, answer.headers["x-service-version"]) == ("done", begun)
    assert answer.headers["connection"] == "close"


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


async def missing(live: Live, notes: set[str]) -> set[str]:
    """The notes that were acknowledged but are not there."""
    assert notes
    exported = (await live.get("/notes/export")).text
    return notes - {json.loads(line)["id"] for line in exported.splitlines()}
