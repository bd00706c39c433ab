"""Background tasks that last as long as the service."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from logging import getLogger
from typing import Any

logger = getLogger(__name__)


@asynccontextmanager
async def running(*jobs: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Run `jobs` while the block lasts, then cancel them and wait for their end."""
    tasks = [asyncio.create_task(job) for job in jobs]
    for task in tasks:
        task.add_done_callback(_report)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _report(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("a background task ended with an error; the service goes on without it", exc_info=error)
