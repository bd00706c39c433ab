"""Slow clients do not affect other clients."""

import asyncio
from collections.abc import AsyncIterator

import httpx

from tests.waiting import WITHIN

# More than the gateway forwards at the same time (http2MaxRequests in k8s/istio/destinationrule.yaml).
SLOW = 150


async def test_endless_bodies_do_not_block_other_clients(client: httpx.AsyncClient) -> None:
    begun = asyncio.Semaphore(0)

    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        begun.release()
        await asyncio.Event().wait()

    unlimited = httpx.Limits(max_connections=None)
    async with (
        httpx.AsyncClient(base_url=client.base_url, auth=client.auth, timeout=WITHIN, limits=unlimited) as slow,
        asyncio.timeout(WITHIN),
        asyncio.TaskGroup() as group,
    ):
        sending = [group.create_task(slow.post("/openapi.json", content=endless())) for _ in range(SLOW)]
        for _ in sending:
            await begun.acquire()

        for _ in range(20):
            assert (await client.get("/openapi.json")).status_code == 200
            assert (await client.post("/openapi.json", json={})).status_code == 405

        # The gateway waits for the end of a body: a replica would have answered 405 at once.
        assert not [task for task in sending if task.done()]
        for task in sending:
            task.cancel()
