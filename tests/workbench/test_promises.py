"""What clients notice, through the ingress and under load, when a part stops or is killed.

When `make dev` gives a part up is in test_make_dev.py, and what Ctrl-C does meanwhile in test_stop_signals.py.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from harness.clients import Record, clients, missing
from tests.waiting import WITHIN
from tests.workbench.reload.live import Output
from tests.workbench.things import LOAD
from workbench.console import Console
from workbench.restarts import keep_running
from workbench.stack import Component, Stack

# Far above the service's own limits (2 s for a connection, 10 s for a request), so only a request that hangs fails.
ANSWER_WITHIN = 30.0
PAUSE = 0.1
"""Seconds between two requests of a client: the parts that start again need the cores too."""


async def until(record: Record, answers: int) -> None:
    """Waits for `answers` more answers."""
    enough = record.answers + answers
    async with asyncio.timeout(WITHIN):
        while record.answers < enough:  # noqa: ASYNC110 - the clients only count
            await asyncio.sleep(0.01)


async def until_success(record: Record) -> None:
    since = asyncio.get_running_loop().time()
    async with asyncio.timeout(WITHIN):
        while record.last_success < since:  # noqa: ASYNC110 - the clients only count
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("index", [0, 1])
async def test_a_replica_that_stops_loses_no_request(stack: Stack, index: int) -> None:
    async with clients(stack.ingress_url, 16, LOAD, ANSWER_WITHIN, pause=PAUSE) as record:
        await until(record, 50)
        stack.replicas[index].terminate()
        assert await stack.replicas[index].wait(WITHIN) == 0
        await until(record, 50)
        await stack.start_replica(index)
        await until(record, 50)
    assert record.failed == 0, record


async def test_a_killed_database_loses_no_acknowledged_thing(stack: Stack) -> None:
    async with clients(stack.ingress_url, 32, LOAD, ANSWER_WITHIN, pause=PAUSE) as record:
        await until(record, 100)
        await stack.postgres.kill()
        await until(record, 200)
        await stack.postgres.start()
        await until_success(record)
        await until(record, 100)
    assert set(record.statuses) <= {200, 201, 503}, record
    assert record.without_retry_after == 0, record
    assert not record.transport_errors, record
    assert await missing(stack.ingress_url, record.acknowledged) == []


@pytest.fixture
async def output(stack: Stack) -> AsyncIterator[Output]:
    """What is said about the parts, which are started again during the test."""
    output = Output()
    keeping = asyncio.create_task(keep_running(stack, Console(output)))
    yield output
    keeping.cancel()


async def kill_9(part: Component, output: Output) -> None:
    """Kills only the process itself, and waits until it is there again."""
    assert part.part
    name, pid = part.part.name, part.part.pid
    begin = len(output.lines)
    os.kill(pid, signal.SIGKILL)
    await output.until(rf"{name} +ended unexpectedly, killed by SIGKILL: starting it again.* \d+\.\d\d s$", begin)
    assert part.part.running
    assert part.part.pid != pid


async def test_postgres_comes_back(stack: Stack, output: Output) -> None:
    async with clients(stack.ingress_url, 8, LOAD, ANSWER_WITHIN, pause=PAUSE) as record:
        for _ in range(2):
            await until(record, 50)
            await kill_9(stack.postgres, output)
            await until_success(record)
    assert set(record.statuses) <= {200, 201, 503}, record
    assert record.without_retry_after == 0, record
    assert not record.transport_errors, record
    assert record.acknowledged
    assert await missing(stack.ingress_url, record.acknowledged) == []


async def test_envoy_comes_back_on_its_port(stack: Stack, output: Output) -> None:
    async with clients(stack.ingress_url, 8, LOAD, ANSWER_WITHIN, pause=PAUSE) as record:
        await until(record, 50)
        await kill_9(stack.envoy, output)
        await until_success(record)
    assert set(record.statuses) <= {200, 201, 503}, record
    assert record.acknowledged
    assert await missing(stack.ingress_url, record.acknowledged) == []


async def test_parts_that_end_at_the_same_time(stack: Stack, output: Output) -> None:
    async with asyncio.timeout(WITHIN):
        await asyncio.gather(kill_9(stack.envoy, output), kill_9(stack.postgres, output))
    async with clients(stack.ingress_url, 1, LOAD, ANSWER_WITHIN, pause=PAUSE) as record:
        await until_success(record)
