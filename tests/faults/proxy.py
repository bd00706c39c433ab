"""A network between the service and its database that a test can slow down and cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self

_AT_ONCE = 64 * 1024


class Network:
    """Forwards TCP connections from a loopback port to a Unix socket. Neither end is told about a cut."""

    port: int

    def __init__(self, to: Path) -> None:
        self.delay = 0.0
        """Seconds that data takes in each direction."""
        self._to = to
        self._connected = asyncio.Event()
        self._connected.set()
        self._connections: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def cut(self) -> None:
        """From now on nothing arrives: no data, and no end of a connection."""
        self._connected.clear()

    def mend(self) -> None:
        """Delivers what was held back, just as TCP would send it again."""
        self._connected.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        try:
            await self._connected.wait()
            from_server, to_server = await asyncio.open_unix_connection(self._to)
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._forward(reader, to_server))
                directions.create_task(self._forward(from_server, writer))
        except (OSError, asyncio.CancelledError):
            pass  # one end has closed, or the test is over
        finally:
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forwards pieces of data in order, each one `delay` seconds after it arrived."""
        loop, in_transit = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]]()

        async def deliver() -> None:
            while True:
                arrives, data = await in_transit.get()
                await asyncio.sleep(max(0, arrives - loop.time()))
                await self._connected.wait()
                if not data:
                    writer.close()
                    return
                writer.write(data)
                with suppress(OSError):  # closed; the other direction handles that
                    await writer.drain()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(deliver())
            while True:
                try:
                    data = await reader.read(_AT_ONCE)
                except OSError:
                    data = b""
                in_transit.put_nowait((loop.time() + self.delay, data))
                if not data:
                    return
