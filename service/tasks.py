"""Background tasks that last as long as the service."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from logging import getLogger
from typing import Any

logger = getLogger(__name__)

_CANCEL_AGAIN = 0.1  # s


@asynccontextmanager
async def running(*jobs: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run `jobs` while the block lasts, then cancel them and wait for their end."""
    tasks = [asyncio.create_task(job) for job in jobs]
    for task in tasks:
        task.add_done_callback(_report)
    try:
        yield
    finally:
        # More than once: asyncio.wait_for() of Python 3.11 forgets a cancellation that meets its result.
        while pending := [task for task in tasks if not task.done()]:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=_CANCEL_AGAIN)


def _report(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("a background task ended with an error; the service goes on without it", exc_info=error)
