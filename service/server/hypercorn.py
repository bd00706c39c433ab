"""Hypercorn, the default server: its protocols for HTTP/1.1 and HTTP/2, on connections of our own.

`hypercorn.asyncio.serve()` spends more on its connections than on HTTP: for each request it cancels the task that
waits for the keep-alive timeout and makes a new one, and it writes a response in three parts. Here a connection has
one timer, and a response of known length is one write. Only public classes are used; they are not documented, so
tests/service/test_servers.py states what this module expects of them.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from time import time
from typing import Any

import h11
from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.events import Body, Data, EndBody, Request, Response
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from hypercorn.typing import AppWrapper, ASGISendEvent, ConnectionState, LifespanState
from hypercorn.utils import parse_socket_addr, wrap_app

from service.server.contract import Limits, Server
from service.server.handshake import is_handshake
from service.server.inbox import RequestTasks

_READ_SIZE = 2**16


@asynccontextmanager
async def serve(app: Any, listener: socket.socket, limits: Limits) -> AsyncGenerator[Server]:
    """Serve `app` while the block lasts; see `contract.Serve`."""
    worker = Worker(app, _Config(limits))
    async with worker.lifespan():
        server = Server(listener, worker.protocol, limits.backlog)
        try:
            yield server
        finally:
            server.close()
            await worker.finish(limits.grace)


class _Config(Config):
    """Hypercorn's settings, the same for both ports."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.keep_alive_timeout = limits.keep_alive
        self.keep_alive_max_requests = (
            10**9
        )  # a connection closed after 1000 requests would lose the proxy's next one
        self.include_server_header = False
        self.max_app_queue_size = 0  # none; inbox.py has the limit
        self.websocket_max_message_size = limits.max_message
        self.accesslog = None
        self.errorlog = logging.getLogger("hypercorn.error")
        self._dated: tuple[int, list[tuple[bytes, bytes]]] = 0, []

    def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
        now = int(time())
        if self._dated[0] != now:
            self._dated = now, super().response_headers(protocol)
        return self._dated[1]


class Worker:
    """What the connections of one server share: the application, the settings, and the list of open connections."""

    def __init__(self, app: Any, config: Config) -> None:
        self.app: AppWrapper = wrap_app(app, config.wsgi_max_body_size, "asgi")
        self.config = config
        self.context = WorkerContext(None)
        self.state: LifespanState = {}
        self._connections: dict[asyncio.Task[None], TCPConnection] = {}

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Run the application's startup and shutdown. Raises what the startup raises."""
        loop = asyncio.get_running_loop()
        lifespan = Lifespan(self.app, self.config, loop, self.state)
        running = loop.create_task(lifespan.handle_lifespan())
        await lifespan.wait_for_startup()
        if running.done() and (error := running.exception()) is not None:
            raise error
        try:
            yield
        finally:
            await lifespan.wait_for_shutdown()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    def protocol(self) -> asyncio.Protocol:
        """Make the protocol of a new connection."""
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._connected)

    async def finish(self, grace: float) -> None:
        """Close idle connections, wait `grace` seconds for the requests of the others, then cancel them."""
        await self.context.terminated.set()
        for connection in self._connections.values():
            connection.close_if_idle()
        if self._connections:
            await asyncio.wait(set(self._connections), timeout=grace)
        while tasks := set(self._connections):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio makes a task for each connection
        connection = self._connections[task] = TCPConnection(self, reader, writer)
        try:
            await connection.run()
        finally:
            del self._connections[task]


class TCPConnection:
    """One TCP connection: reads and writes its bytes, and closes it after the keep-alive time without a request."""

    def __init__(self, worker: Worker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._worker = worker
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._protocol: ProtocolWrapper
        self._idle_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve requests until the connection ends."""
        try:
            async with RequestTasks(self._loop) as tasks:
                self._protocol = self._speak_http(tasks)
                await self._protocol.initiate()
                self._set_idle(True)
                with suppress(OSError):  # the client has broken the connection
                    while data := await self._reader.read(_READ_SIZE):
                        await self._protocol.handle(RawData(data))
                await self._protocol.handle(Closed())
        except* OSError:
            pass  # the client left before the connection was set up
        finally:
            if self._timer is not None:
                self._timer.cancel()
            await self._close()

    def close_if_idle(self) -> None:
        if self._idle_since is not None and self._closing is None:
            self._closing = self._loop.create_task(self._close_idle())

    def _speak_http(self, tasks: TaskGroup) -> ProtocolWrapper:
        """HTTP/1.1, which changes to HTTP/2 if the client does."""
        worker, connection = self._worker, self._writer.get_extra_info("socket")
        client, address = (
            parse_socket_addr(connection.family, name)
            for name in (connection.getpeername(), connection.getsockname())
        )
        common = worker.app, worker.config, worker.context, tasks, ConnectionState(worker.state.copy()), False
        protocol = ProtocolWrapper(*common, client, address, self._send)
        protocol.protocol = SingleWriteProtocol(*common, client, address, self._send)
        return protocol

    async def _send(self, event: Event) -> None:
        if isinstance(event, RawData):
            try:
                self._writer.write(event.data)
                await self._writer.drain()
            except (ConnectionError, RuntimeError):
                await self._protocol.handle(Closed())
        elif isinstance(event, Updated):
            self._set_idle(event.idle)
        elif isinstance(event, Closed):
            await self._close()

    def _set_idle(self, idle: bool) -> None:
        if not idle:
            self._idle_since = None
            return
        self._idle_since = self._loop.time()
        if self._timer is None:  # a timer that runs already sets its own successor
            self._timer = self._loop.call_later(self._worker.config.keep_alive_timeout, self._check_idle)
        if self._worker.context.terminated.is_set():
            self.close_if_idle()

    def _check_idle(self) -> None:
        self._timer = None
        if self._idle_since is None:
            return
        rest = self._idle_since + self._worker.config.keep_alive_timeout - self._loop.time()
        if rest > 0:
            self._timer = self._loop.call_later(rest, self._check_idle)
        else:
            self.close_if_idle()

    async def _close_idle(self) -> None:
        await self._protocol.handle(Closed())
        self._writer.close()

    async def _close(self) -> None:
        with suppress(NotImplementedError, OSError, RuntimeError):
            self._writer.write_eof()
        with suppress(ConnectionError, RuntimeError, asyncio.CancelledError):
            self._writer.close()
            await self._writer.wait_closed()


class SingleWriteProtocol(H11Protocol):
    """HTTP/1.1 that writes a response of known length at once, and any other response's head with its first part."""

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

    async def _create_stream(self, request: h11.Request) -> None:
        """In place of Hypercorn's, which answers an incomplete handshake itself, with an empty 400."""
        method, version, headers = request.method.decode().upper(), request.http_version.decode(), [*request.headers]
        is_socket = is_handshake(method, version, headers)
        self.stream = (WebSocketStream if is_socket else HTTPStream)(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        if is_socket:
            assert isinstance(self.connection, h11.Connection)  # noqa: S101 - it changes once
            self.connection = H11WSConnection(self.connection)
        await self.stream.handle(Request(STREAM_ID, headers, version, method, request.target, self.connection_state))
        self.keep_alive_requests += 1
        await self.context.mark_request()

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


class WebSocketStream(WSStream):
    """Waits with what a client sends before its handshake is answered.

    Hypercorn would answer 400 itself, and would never tell the application that the client has left.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._answered = asyncio.Event()

    async def handle(self, event: StreamEvent) -> None:
        if isinstance(event, Body | Data):
            await self._answered.wait()
        await super().handle(event)

    async def app_send(self, message: ASGISendEvent | None) -> None:
        try:
            await super().app_send(message)
        finally:
            if message is None or self.state is ASGIWebsocketState.CONNECTED:
                self._answered.set()
