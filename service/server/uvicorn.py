"""uvicorn, an optional server: it parses HTTP/1.1 in C and takes half the CPU, but has no HTTP/2.

It fits a service behind a proxy that speaks HTTP/1.1 to it.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import unquote

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from service.server.contract import Limits, Server
from service.server.handshake import is_handshake


@asynccontextmanager
async def serve(app: Any, listener: socket.socket, limits: Limits) -> AsyncGenerator[Server]:
    """Serve `app` while the block lasts; see `contract.Serve`."""
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws=WSProtocol,
        ws_max_size=limits.max_message,
        ws_ping_interval=None,  # as Hypercorn
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
    protocol = partial(Protocol, config, worker.server_state, worker.lifespan.state)
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


class Protocol(HttpToolsProtocol):
    """Leaves more to the application: targets that are no plain path, and upgrades that are no complete handshake."""

    def on_headers_complete(self) -> None:
        target = self.url
        if target.startswith(b"/") and not target.startswith(b"//"):
            super().on_headers_complete()
            return
        self.url = b"/"  # in other targets uvicorn looks for a path itself, and may find none
        super().on_headers_complete()
        self.url = target
        raw_path, _, query_string = target.partition(b"?")
        self.scope |= {
            "path": unquote(raw_path.decode("latin-1")),
            "raw_path": raw_path,
            "query_string": query_string,
        }

    def _should_upgrade(self) -> bool:
        return is_handshake(self.scope["method"], self.scope["http_version"], self.headers)

    def _unsupported_upgrade_warning(self) -> None:
        pass
