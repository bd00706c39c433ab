"""A part that ends under `make dev` is started again. What ends that: test_make_dev.py and test_stop_signals.py."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from harness.clients import clients, missing
from tests.waiting import WITHIN
from tests.workbench.reload.live import Output
from tests.workbench.test_promises import ANSWER_WITHIN, until, until_success
from tests.workbench.things import LOAD
from workbench.console import Console
from workbench.restarts import keep_running
from workbench.stack import Component, Stack


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
    async with clients(stack.ingress_url, 8, LOAD, ANSWER_WITHIN) as record:
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
    async with clients(stack.ingress_url, 8, LOAD, ANSWER_WITHIN) as record:
        await until(record, 50)
        await kill_9(stack.envoy, output)
        await until_success(record)
    assert set(record.statuses) <= {200, 201, 503}, record
    assert record.acknowledged
    assert await missing(stack.ingress_url, record.acknowledged) == []


async def test_parts_that_end_at_the_same_time(stack: Stack, output: Output) -> None:
    async with asyncio.timeout(WITHIN):
        await asyncio.gather(kill_9(stack.envoy, output), kill_9(stack.postgres, output))
    async with clients(stack.ingress_url, 1, LOAD, ANSWER_WITHIN) as record:
        await until_success(record)
