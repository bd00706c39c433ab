"""What the service expects of its servers, beyond what all other tests of the service show for the chosen one."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import pytest
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Event, RawData
from hypercorn.protocol.events import Body, EndBody, Response
from hypercorn.typing import ConnectionState

from service.server.choice import choose
from service.server.contract import CannotServe, Limits, Server
from service.server.hypercorn import SingleWriteProtocol
from service.server.inbox import Inbox
from service.settings import Settings
from tests.service.fixtures import StartService
from tests.waiting import WITHIN

SERVERS = ("hypercorn", "uvicorn")


async def hello(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello", "more_body": False})


@asynccontextmanager
async def hello_server(name: str, limits: Limits, app: Any = hello) -> AsyncIterator[Server]:
    """Serves `app` on a free port, which no other process accepts on."""
    listener = socket.create_server(("127.0.0.1", 0))
    serve = choose(Settings.model_validate({"server": name}))
    async with asyncio.timeout(None) as shutdown, serve(app, listener, limits) as server:
        await server.resume()
        yield server
        shutdown.reschedule(asyncio.get_running_loop().time() + WITHIN)


async def ask(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Sends a request and reads the answer of `hello`."""
    reader, writer = connection
    writer.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    async with asyncio.timeout(WITHIN):
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")


async def written_by(*events: Response | Body | EndBody) -> list[bytes]:
    """What SingleWriteProtocol writes for these events, write by write."""
    written: list[bytes] = []

    async def send(event: Event) -> None:
        if isinstance(event, RawData):
            written.append(event.data)

    task_group: Any = None  # it is used for new streams only
    protocol = SingleWriteProtocol(
        None, Config(), WorkerContext(None), task_group, ConnectionState({}), False, None, None, send
    )
    protocol.connection.receive_data(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    protocol.connection.next_event()
    for event in events:
        await protocol.stream_send(event)
    return written


async def test_hypercorn_writes_a_response_of_known_length_at_once() -> None:
    head = Response(stream_id=1, headers=[(b"content-length", b"5")], status_code=200)

    [answer] = await written_by(head, Body(stream_id=1, data=b"hello"), EndBody(stream_id=1))

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"10")]])
async def test_hypercorn_writes_each_part_of_a_stream_at_once(headers: list[tuple[bytes, bytes]]) -> None:
    head = Response(stream_id=1, headers=headers, status_code=200)

    first, second = await written_by(head, Body(stream_id=1, data=b"hello"), Body(stream_id=1, data=b"world"))

    assert b"hello" in first
    assert b"world" in second


async def test_hypercorn_writes_a_response_without_a_body() -> None:
    [answer] = await written_by(Response(stream_id=1, headers=[], status_code=204), EndBody(stream_id=1))

    assert answer.startswith(b"HTTP/1.1 204 ")


async def test_hypercorn_speaks_http_2_on_the_same_port(start_service: StartService) -> None:
    service = await start_service(server="hypercorn")

    async with httpx.AsyncClient(base_url=service.api.base_url, http1=False, http2=True) as client:
        answers = await asyncio.gather(*(client.get("/things") for _ in range(3)))

    assert {(answer.http_version, answer.status_code) for answer in answers} == {("HTTP/2", 200)}


@pytest.mark.parametrize("name", SERVERS)
async def test_an_idle_connection_is_closed_after_the_keep_alive_time(name: str) -> None:
    async with hello_server(name, Limits(grace=1, keep_alive=0.6)) as server:
        reader, writer = connection = await asyncio.open_connection(*server.listener.getsockname())
        await ask(connection)

        async with asyncio.timeout(WITHIN):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("name", SERVERS)
async def test_an_answer_before_the_end_of_the_body_ends_the_request(name: str) -> None:
    answered = asyncio.Event()

    async def impatient(scope: Any, receive: Any, send: Any) -> None:
        await hello(scope, receive, send)
        if scope["type"] == "http":
            answered.set()

    async with hello_server(name, Limits(grace=WITHIN), impatient) as server:
        reader, writer = await asyncio.open_connection(*server.listener.getsockname())
        try:
            # In one piece, so that all of it waits for the application when it answers.
            writer.write(
                b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n" + 1000 * b"1\r\nx\r\n"
            )
            async with asyncio.timeout(WITHIN):
                assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
                await answered.wait()
        finally:
            writer.close()


async def test_hypercorn_receives_no_more_than_the_application_takes() -> None:
    """Otherwise an upload would fill the memory of a service that stores it more slowly than it arrives."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    taken = asyncio.Queue[None]()

    async def app(_scope: Any, receive: Any, *_rest: Any) -> None:
        while True:
            await taken.get()
            await receive()

    inbox = Inbox(cast(Any, app))
    taking = asyncio.create_task(inbox(cast(Any, {}), queue.get, cast(Any, None), print, print))

    async def send(count: int) -> None:
        for _ in range(count):
            await inbox.put(queue.put, {"type": "http.request", "body": b"x", "more_body": True})

    sending = asyncio.create_task(send(1000))
    for taken_so_far in range(3):
        for _ in range(2000):
            await asyncio.sleep(0)
        assert queue.qsize() == 10, taken_so_far
        taken.put_nowait(None)
    assert not sending.done()

    await inbox.put(queue.put, {"type": "http.disconnect"})
    await sending
    assert queue.qsize() <= 11, "what comes after the end is dropped"
    taking.cancel()


@pytest.mark.parametrize("name", SERVERS)
async def test_an_idle_connection_does_not_delay_the_shutdown(name: str) -> None:
    async with hello_server(name, Limits(grace=3 * WITHIN)) as server:
        _, writer = connection = await asyncio.open_connection(*server.listener.getsockname())
        await ask(connection)
    writer.close()


@pytest.mark.parametrize("name", SERVERS)
async def test_a_paused_server_accepts_no_connection_and_serves_the_open_ones(name: str) -> None:
    async with hello_server(name, Limits(grace=1)) as server:
        first = await asyncio.open_connection(*server.listener.getsockname())
        await ask(first)

        server.pause()

        second = await asyncio.open_connection(*server.listener.getsockname())
        await ask(first)
        accepted, _ = server.listener.accept()  # raises BlockingIOError if the server accepted it
        accepted.close()
        third = await asyncio.open_connection(*server.listener.getsockname())
        await server.resume()
        await ask(third)
        for _, writer in (first, second, third):
            writer.close()


@pytest.mark.parametrize("name", SERVERS)
async def test_a_closed_server_refuses_connections_and_does_not_resume(name: str) -> None:
    async with hello_server(name, Limits(grace=1)) as server:
        address = server.listener.getsockname()

    await server.resume()

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)


@pytest.mark.parametrize("name", SERVERS)
async def test_an_application_that_cannot_start_is_an_error(name: str) -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no disk"})

    serve = choose(Settings.model_validate({"server": name}))
    started = False
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(Exception, match="start"):
        async with serve(fails, listener, Limits(grace=1)):
            started = True

    assert not started


def test_without_its_package_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "service.server.uvicorn", raising=False)
    monkeypatch.delattr("service.server.uvicorn", raising=False)

    with pytest.raises(CannotServe, match=r"pip install -r requirements/uvicorn\.txt"):
        choose(Settings.model_validate({"server": "uvicorn"}))
