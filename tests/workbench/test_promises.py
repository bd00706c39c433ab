"""What clients notice, through the ingress and under load, when a replica stops or the database is killed."""

import asyncio

import pytest

from harness.clients import Record, clients, missing
from tests.waiting import WITHIN
from tests.workbench.things import LOAD
from workbench.stack import Stack

# Far above the service's own limits (2 s for a connection, 10 s for a request), so only a request that hangs fails.
ANSWER_WITHIN = 30.0


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
    async with clients(stack.ingress_url, 16, LOAD, ANSWER_WITHIN) as record:
        await until(record, 50)
        stack.replicas[index].terminate()
        assert await stack.replicas[index].wait(WITHIN) == 0
        await until(record, 50)
        await stack.start_replica(index)
        await until(record, 50)
    assert record.failed == 0, record


async def test_a_killed_database_loses_no_acknowledged_thing(stack: Stack) -> None:
    async with clients(stack.ingress_url, 32, LOAD, ANSWER_WITHIN) as record:
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
