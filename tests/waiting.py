"""Bounded waiting for what can only be seen from outside."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

WITHIN = 30.0
"""Seconds: far more than anything here takes, so that only what never happens fails, however slow the machine."""


async def eventually(condition: Callable[[], Awaitable[bool]], what: str, within: float = WITHIN) -> None:
    """Waits until the condition holds; fails the test if it does not in `within` seconds."""
    try:
        async with asyncio.timeout(within):
            while not await condition():  # noqa: ASYNC110 - what is asked has no event to wait for
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"not within {within:g} s: {what}")
