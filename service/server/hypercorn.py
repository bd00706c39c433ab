"""Hypercorn, the default server: its protocols for HTTP/1.1, HTTP/2 and their changes, on connections of our own.

What `hypercorn.asyncio.serve()` does beside speaking HTTP costs more than that: for each request it cancels a task
that waits for the keep-alive timeout and makes a new one, and writes an answer in three parts. Here a connection has
one timer, and an answer that is known as a whole is one write. Only public classes are used; they are not documented,
so tests/service/test_server_hypercorn.py says what is expected of them.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import time
from typing import Any

from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.events import Body, EndBody, Response
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.typing import AppWrapper, ConnectionState, LifespanState
from hypercorn.utils import parse_socket_addr, wrap_app

from service.server.contract import Limits

_READ_AT_ONCE = 2**16


async def serve(app: Any, listener: socket.socket, stop: Callable[[], Awaitable[object]], limits: Limits) -> None:
    """Serve `app` until stop() returns and its requests have ended."""
    await Server(app, _Config(limits)).serve(listener, stop, limits.grace)


class _Config(Config):
    """Hypercorn's settings, as every port of the service has them."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.backlog = limits.backlog
        self.keep_alive_timeout = limits.keep_alive
        self.keep_alive_max_requests = 10**9  # closing every 1000th request would meet the proxy's next one
        self.include_server_header = False
        self.accesslog = None
        self.startup_timeout = float("inf")  # SERVICE_LISTEN=ready waits for the database
        self.errorlog = logging.getLogger("hypercorn.error")
        self._dated: tuple[int, list[tuple[bytes, bytes]]] = 0, []

    def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
        now = int(time())
        if self._dated[0] != now:
            self._dated = now, super().response_headers(protocol)
        return self._dated[1]


class Server:
    """Serves one application on one listening socket."""

    def __init__(self, app: Any, config: Config) -> None:
        self.app: AppWrapper = wrap_app(app, config.wsgi_max_body_size, "asgi")
        self.config = config
        self.context = WorkerContext(None)
        self.state: LifespanState = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()

    async def serve(self, listener: socket.socket, stop: Callable[[], Awaitable[object]], grace: float) -> None:
        """Until stop() returns; then requests in flight have `grace` seconds before they are cancelled."""
        loop = asyncio.get_running_loop()
        lifespan = Lifespan(self.app, self.config, loop, self.state)
        living = loop.create_task(lifespan.handle_lifespan())
        await lifespan.wait_for_startup()
        if living.done() and (error := living.exception()) is not None:
            raise error
        server = await asyncio.start_server(self._connected, sock=listener, backlog=self.config.backlog)
        try:
            await stop()
        finally:
            await self.context.terminated.set()
            server.close()
            for connection in self._connections:
                connection.close_if_idle()
            await self._end_requests(grace)
            await lifespan.wait_for_shutdown()
            living.cancel()
            with suppress(asyncio.CancelledError):
                await living

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio makes one for each connection
        connection = Connection(self, reader, writer)
        self._tasks.add(task)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._tasks.discard(task)
            self._connections.discard(connection)

    async def _end_requests(self, grace: float) -> None:
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=grace)
        while tasks := set(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


class Connection:
    """One connection: its reader, its requests, and when it is closed because nobody uses it."""

    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._protocol: ProtocolWrapper
        self._idle_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        try:
            async with TaskGroup(self._loop) as tasks:
                self._protocol = self._speak_http(tasks)
                await self._protocol.initiate()
                self._is_idle(True)
                with suppress(OSError):  # the client has broken the connection
                    while data := await self._reader.read(_READ_AT_ONCE):
                        await self._protocol.handle(RawData(data))
                await self._protocol.handle(Closed())
        except OSError:
            pass  # it was gone at once
        finally:
            if self._timer is not None:
                self._timer.cancel()
            await self._close()

    def close_if_idle(self) -> None:
        if self._idle_since is not None and self._closing is None:
            self._closing = self._loop.create_task(self._close_from_here())

    def _speak_http(self, tasks: TaskGroup) -> ProtocolWrapper:
        """HTTP/1.1, which changes to HTTP/2 when the client does."""
        server, connection = self._server, self._writer.get_extra_info("socket")
        client, address = (
            parse_socket_addr(connection.family, name)
            for name in (connection.getpeername(), connection.getsockname())
        )
        common = server.app, server.config, server.context, tasks, ConnectionState(server.state.copy()), False
        protocol = ProtocolWrapper(*common, client, address, self._send)
        protocol.protocol = WholeAnswers(*common, client, address, self._send)
        return protocol

    async def _send(self, event: Event) -> None:
        if isinstance(event, RawData):
            try:
                self._writer.write(event.data)
                await self._writer.drain()
            except (ConnectionError, RuntimeError):
                await self._protocol.handle(Closed())
        elif isinstance(event, Updated):
            self._is_idle(event.idle)
        elif isinstance(event, Closed):
            await self._close()

    def _is_idle(self, idle: bool) -> None:
        if not idle:
            self._idle_since = None
            return
        self._idle_since = self._loop.time()
        if self._timer is None:  # one that is there looks again by itself
            self._timer = self._loop.call_later(self._server.config.keep_alive_timeout, self._look)
        if self._server.context.terminated.is_set():
            self.close_if_idle()

    def _look(self) -> None:
        self._timer = None
        if self._idle_since is None:
            return
        rest = self._idle_since + self._server.config.keep_alive_timeout - self._loop.time()
        if rest > 0:
            self._timer = self._loop.call_later(rest, self._look)
        else:
            self.close_if_idle()

    async def _close_from_here(self) -> None:
        await self._protocol.handle(Closed())
        self._writer.close()

    async def _close(self) -> None:
        with suppress(NotImplementedError, OSError, RuntimeError):
            self._writer.write_eof()
        with suppress(ConnectionError, RuntimeError, asyncio.CancelledError):
            self._writer.close()
            await self._writer.wait_closed()


class WholeAnswers(H11Protocol):
    """HTTP/1.1 that writes the head of an answer with its body, and an answer whose length is known at once."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._write = self.send
        self.send = self._hold
        self._held: list[bytes] | None = None
        self._expected = -1

    async def stream_send(self, event: StreamEvent) -> None:
        if isinstance(event, Response) and event.status_code >= 200:
            self._held = []
            self._expected = next((int(value) for name, value in event.headers if name == b"content-length"), -1)
        await super().stream_send(event)
        if self._held is not None and (
            isinstance(event, EndBody) or (isinstance(event, Body) and len(event.data) != self._expected)
        ):
            await self._release()

    async def _hold(self, event: Event) -> None:
        if self._held is not None:
            if isinstance(event, RawData):
                self._held.append(event.data)
                return
            await self._release()
        await self._write(event)

    async def _release(self) -> None:
        held, self._held = self._held, None
        if held:
            await self._write(RawData(b"".join(held)))
