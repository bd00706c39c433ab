"""uvicorn, an extra: HTTP/1.1 only, parsed in C, for half the CPU. For a service behind a proxy that speaks it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

import uvicorn

from service.server.contract import Limits

_TICK = 1.0  # s; the Date header is renewed at each


async def serve(app: Any, listener: socket.socket, stop: Callable[[], Awaitable[object]], limits: Limits) -> None:
    """Serve `app` until stop() returns and its requests have ended."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="on",
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        backlog=limits.backlog,
        timeout_keep_alive=round(limits.keep_alive),
        timeout_graceful_shutdown=limits.grace,  # type: ignore[arg-type]  # it is used as a number of seconds
    )
    await _Server(config, stop).serve([listener])


class _Server(uvicorn.Server):
    """Stops when it is told to, not by a signal."""

    def __init__(self, config: uvicorn.Config, stop: Callable[[], Awaitable[object]]) -> None:
        super().__init__(config)
        self._stop = stop

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield  # they are the process's, which has two servers

    async def main_loop(self) -> None:
        stopped = asyncio.create_task(self._wait())
        counter = 0
        while not stopped.done():
            await self.on_tick(counter)
            await asyncio.wait({stopped}, timeout=_TICK)
            counter = (counter + 10) % 864_000  # uvicorn counts tenths, and dates at each full second
        stopped.result()

    async def _wait(self) -> None:
        await self._stop()
