"""uvicorn, an optional server: it parses HTTP/1.1 in C and takes half the CPU, but has no HTTP/2.

It fits a service behind a proxy that speaks HTTP/1.1 to it.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.server.contract import Limits, Server


@asynccontextmanager
async def serve(app: Any, listener: socket.socket, limits: Limits) -> AsyncGenerator[Server]:
    """Serve `app` while the block lasts; see `contract.Serve`."""
    config = uvicorn.Config(
        app,
        http=HttpToolsProtocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=round(limits.keep_alive),
        timeout_graceful_shutdown=limits.grace,  # type: ignore[arg-type]  # uvicorn uses it as a number of seconds
    )
    config.load()
    # In place of uvicorn's serve(), which owns the signals and the listening socket of a process with one server.
    worker = uvicorn.Server(config)
    worker.servers = []
    worker.lifespan = config.lifespan_class(config)
    await worker.lifespan.startup()
    if worker.lifespan.should_exit:
        raise RuntimeError("the application failed to start; its error is above")
    protocol = partial(HttpToolsProtocol, config, worker.server_state, worker.lifespan.state)
    server = Server(listener, protocol, limits.backlog)
    await worker.on_tick(0)
    dating = asyncio.create_task(_renew_date(worker))
    try:
        yield server
    finally:
        dating.cancel()
        server.close()
        await worker.shutdown()


async def _renew_date(worker: uvicorn.Server) -> None:
    """Renew the Date header of answers each second."""
    while True:
        await asyncio.sleep(1)
        await worker.on_tick(0)
