"""How connections change over between two processes on one listening socket; both run in the test's process."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest

from service.handover.connections import OpenConnections
from service.handover.ports import Ports
from service.server.choice import choose
from service.server.contract import Limits
from service.settings import Settings
from tests.waiting import WITHIN


class Application:
    """Answers each request with `name`, once it is allowed to."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.asked = asyncio.Event()
        self.allowed = asyncio.Event()
        self.allowed.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        self.asked.set()
        await self.allowed.wait()
        headers = [(b"content-length", str(len(self.name)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.name, "more_body": False})


class Replicas:
    """Starts processes that share a listening socket and the queue of connections."""

    def __init__(self, server: str, resources: ExitStack) -> None:
        self._serve = choose(Settings.model_validate({"server": server}))
        self._resources = resources
        self._ends = [resources.enter_context(end) for end in socket.socketpair()]
        self.listener = resources.enter_context(socket.create_server(("127.0.0.1", 0)))

    @asynccontextmanager
    async def start(self, app: Application) -> AsyncIterator[Ports]:
        """Serves `app` until the end of the block; accepts connections once it is told to."""
        giving, taking = (self._resources.enter_context(end.dup()) for end in self._ends)
        ports = Ports(accepting=False, connections=OpenConnections(giving, taking))
        async with ports.observe(self._serve)(app, self.listener.dup(), Limits(grace=WITHIN)) as server:
            await ports.open(server)
            yield ports
            await ports.hand_over()  # a process that has ended takes no connections


@pytest.fixture(params=["hypercorn", "uvicorn"])
def replicas(request: pytest.FixtureRequest) -> Iterator[Replicas]:
    with ExitStack() as resources:
        yield Replicas(request.param, resources)


class Client:
    """A client with one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self) -> None:
        self._writer.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")

    async def answer(self) -> bytes:
        """The body of the next response."""
        async with asyncio.timeout(WITHIN):
            head = await self._reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            return await self._reader.readexactly(3)

    async def ask(self) -> bytes:
        self.send()
        return await self.answer()

    def reset(self) -> None:
        """Ends the connection with a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()


@asynccontextmanager
async def connected(replicas: Replicas) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(*replicas.listener.getsockname())
    yield Client(reader, writer)
    writer.close()


@pytest.fixture
async def client(replicas: Replicas) -> AsyncIterator[Client]:
    async with connected(replicas) as client:
        yield client


async def test_an_idle_connection_changes_over_at_once(replicas: Replicas, client: Client) -> None:
    async with replicas.start(Application(b"old")) as old, replicas.start(Application(b"new")) as new:
        await old.accept()
        assert await client.ask() == b"old"

        await old.hand_over()
        await new.accept()

        assert await client.ask() == b"new"


async def test_a_connection_with_a_request_in_flight_changes_over_after_the_response(
    replicas: Replicas, client: Client
) -> None:
    app = Application(b"old")
    app.allowed.clear()
    async with replicas.start(app) as old, replicas.start(Application(b"new")) as new:
        await old.accept()
        client.send()
        await app.asked.wait()

        await old.hand_over()
        await new.accept()
        app.allowed.set()

        assert await client.answer() == b"old"
        assert await client.ask() == b"new"


async def test_a_process_that_accepts_again_keeps_its_connections(replicas: Replicas, client: Client) -> None:
    async with replicas.start(Application(b"old")) as old, replicas.start(Application(b"new")) as new:
        await old.accept()
        assert await client.ask() == b"old"

        await old.hand_over()
        await old.accept()

        assert await client.ask() == b"old"
        await old.hand_over()
        await new.accept()
        assert await client.ask() == b"new"


async def test_a_connection_that_its_client_has_reset_is_dropped(
    replicas: Replicas, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async with replicas.start(Application(b"old")) as old, replicas.start(Application(b"new")) as new:
        await old.accept()
        assert await client.ask() == b"old"
        await old.hand_over()
        client.reset()

        await new.accept()

        async with connected(replicas) as another:
            assert await another.ask() == b"new"
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
