"""Background tasks whose errors are reported at once, and waiting for the first of several events."""

import asyncio
from collections.abc import Coroutine
from typing import Any

_running: set[asyncio.Task[None]] = set()  # the event loop alone would not keep them alive


def in_background(job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run `job` beside everything else. The loop's exception handler gets an exception as soon as it ends the job."""
    task = asyncio.create_task(job)
    _running.add(task)
    task.add_done_callback(_on_done)
    return task


def _on_done(task: asyncio.Task[None]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        context = {"message": "a background task failed", "exception": error, "task": task}
        task.get_loop().call_exception_handler(context)


async def first_of(*awaited: asyncio.Event | asyncio.Future[Any], timeout: float | None = None) -> None:
    """Return when an event is set, a future is done, or `timeout` seconds have passed. Cancels no future."""
    waits = [asyncio.create_task(item.wait()) for item in awaited if isinstance(item, asyncio.Event)]
    futures = [item for item in awaited if isinstance(item, asyncio.Future)]
    try:
        await asyncio.wait([*waits, *futures], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
