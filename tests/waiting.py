"""Waiting, with a time limit, for conditions that have no event."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

WITHIN = 300.0
"""Seconds: far more than anything here takes, so that a slow machine fails no test."""

PATIENT = {"SERVICE_ACQUIRE_TIMEOUT": "10", "SERVICE_CHECK_FAILURES": "30", "RELOAD_READY_WITHIN": "100"}
"""Settings of a workbench: on a slow machine, connections, checks and the start of new code take a while."""

UNHURRIED = {"SERVICE_ACQUIRE_TIMEOUT": "10", "SERVICE_DRAIN_DELAY": "3"}
"""Settings of a workbench to which faults happen: on a slow machine too, Envoy notices that a replica drains."""


async def eventually(condition: Callable[[], Awaitable[bool]], what: str, within: float = WITHIN) -> None:
    """Waits until the condition holds. Fails the test with `what` if it does not hold within `within` seconds."""
    try:
        async with asyncio.timeout(within):
            while not await condition():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"not within {within:g} s: {what}")
