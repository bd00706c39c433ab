"""Runs the service as a process of its own, to test its signals, its exit status and its output."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.servers import SERVER
from tests.service.clients import Clients, client_of, listeners
from tests.service.commands import ROOT, environment
from tests.service.databases import Database
from tests.waiting import WITHIN


@dataclass(frozen=True)
class Process(Clients):
    """A service in another process."""

    process: asyncio.subprocess.Process
    output: asyncio.Task[bytes]
    """All that it writes to stdout and stderr; done when it has ended."""
    shared: tuple[socket.socket, socket.socket]
    """Its listening sockets, if they are shared: the API's and that of ops."""

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def status(self) -> int:
        """Waits for its end; returns its exit status."""
        async with asyncio.timeout(WITHIN):
            return await self.process.wait()

    async def lines(self) -> list[str]:
        """Waits for its end; returns all lines that it wrote."""
        await self.status()
        return (await self.output).decode().split("\n")[:-1]


@asynccontextmanager
async def service_process(
    database: Database, *, module: str = "tests.probe", share: bool = False, **variables: str
) -> AsyncIterator[Process]:
    """Starts the service on free ports, and kills it at the end of the block.

    `tests.probe` has the probe domain, `service` has the registered domains. Without `share` this process closes the
    listening sockets.
    """
    api_socket, ops_socket = sockets = listeners()
    descriptors = tuple(listener.fileno() for listener in sockets)
    defaults = {
        "SERVICE_API_BIND": f"fd://{descriptors[0]}",
        "SERVICE_OPS_BIND": f"fd://{descriptors[1]}",
        "SERVICE_DATABASE_URL": database.url("app_rw"),
        "SERVICE_CHECK_INTERVAL": "0.05",
        "SERVICE_SERVER": SERVER,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        pass_fds=descriptors,
        cwd=ROOT,
        env=environment(**(defaults | variables)),
    )
    assert process.stdout is not None
    output = asyncio.create_task(process.stdout.read())
    try:
        async with client_of(api_socket) as api, client_of(ops_socket) as ops:
            if not share:
                for listener in sockets:
                    listener.close()
            yield Process(api, ops, process, output, sockets)
    finally:
        for listener in sockets:
            listener.close()
        if process.returncode is None:
            process.kill()
        await process.wait()
        await output
