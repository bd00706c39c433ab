"""Edits under load through the ingress: no request fails, and every acknowledged thing is there."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from harness.breakages import BREAKAGES
from harness.steady_load import Answer, Load, loaded
from tests.probe.project import MODULE
from tests.waiting import WITHIN
from tests.workbench.reload.live import Live, slow_route
from tests.workbench.things import ANY, LOAD

EDITS = 10
RATE = 100  # requests a second
AT_A_TIME = 20  # on a slow machine more of them would wait longer than the ingress does
SHORT = 5  # breakages


@pytest.fixture
async def load(live: Live, ingress_port: int) -> AsyncIterator[Load]:
    """Half of the requests write; the ingress must not repeat those once the service has seen them."""
    async with loaded(Load(ingress_port, RATE, LOAD, keys=False, most=AT_A_TIME)) as load:
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
    assert await missing(live, load.created) == set()
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
    assert await missing(live, load.created) == set()


async def test_a_reload_is_reported_in_one_line(live: Live) -> None:
    live.sources.append(MODULE, "\n# one\n")
    line = await live.reloads()
    told = rf"reload: {MODULE}: version \w{{8}} answers after \d+ ms, \d+ requests answered meanwhile$"
    assert re.search(told, line)
    assert len(live.said("reload: ")) == 1
    assert (await live.get("/openapi.json")).json()["info"]["version"] == live.sources.version
    assert await live.metric("reload_last_seconds") > 0
    stages = re.findall(
        r'^reload_last_stage_seconds\{stage="(.*)"\}', (await live.ops("/metrics")).text, re.MULTILINE
    )
    assert stages == ["watched", "forked", "imported", "created", "ready", "rehearsed", "handed over", "answered"]


async def test_a_connection_changes_over_to_the_new_code(live: Live) -> None:
    kept = httpx.Limits(keepalive_expiry=WITHIN)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{live.api_port}", limits=kept) as client:
        old = await client.get(ANY)
        live.sources.append(MODULE, "\n# a new version\n")
        await live.reloads()
        new = await client.get(ANY)
        ends = [response.extensions["network_stream"].get_extra_info("client_addr") for response in (old, new)]
    assert ends[0] == ends[1]
    assert new.headers["x-service-version"] == live.sources.version != old.headers["x-service-version"]


async def test_a_request_in_flight_is_answered_by_the_code_that_received_it(live: Live, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    live.sources.edit(*slow_route(go_on))
    await live.reloads()
    begun = live.sources.version
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{live.api_port}") as client:
        answering = asyncio.create_task(client.get("/things/slow"))
        await live.until_answering()
        live.sources.append(MODULE, "\n# while it is being answered\n")
        await live.reloads()
        go_on.touch()
        answer = await answering
    assert (answer.text, answer.headers["x-service-version"]) == ("done", begun)
    assert answer.headers["connection"] == "close"


async def test_a_stream_of_events_ends_and_the_next_one_comes_from_the_new_code(live: Live) -> None:
    async with httpx.AsyncClient(base_url=live.url, timeout=WITHIN) as client:
        old = live.sources.version
        async with client.stream("GET", "/things/events") as response:
            assert response.headers["x-service-version"] == old
            lines = response.aiter_lines()
            assert await anext(lines) == "retry: 1000"
            live.sources.append(MODULE, "\n# streams\n")
            await live.reloads()
            async with asyncio.timeout(WITHIN):
                assert [line async for line in lines if line and not line.startswith("id:")] == ["retry: 100"]
        async with client.stream("GET", "/things/events") as response:
            assert response.headers["x-service-version"] == live.sources.version != old


async def missing(live: Live, created: set[str]) -> set[str]:
    """The things whose creation was acknowledged but that are not there."""
    assert created
    exported = (await live.get("/things/export")).text
    return created - {json.loads(line)["id"] for line in exported.splitlines()}
