"""What the servers do for the service beside what all other tests of it say of both."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Event, RawData
from hypercorn.protocol.events import Body, EndBody, Response
from hypercorn.typing import ConnectionState

from service.server import contract as server
from service.server.hypercorn import WholeAnswers
from service.settings import Settings
from tests.service.fixtures import StartService
from tests.waiting import WITHIN, eventually

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
async def hello_server(name: str, limits: server.Limits) -> AsyncIterator[str]:
    """Serves `hello`; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = "http://{}:{}".format(*listener.getsockname())
    stop = asyncio.Event()
    serve = server.choose(Settings.model_validate({"server": name}))
    serving = asyncio.create_task(serve(hello, listener, stop.wait, limits))
    try:
        yield url
    finally:
        stop.set()
        async with asyncio.timeout(WITHIN):
            await serving


async def written_by(*events: Response | Body | EndBody) -> list[bytes]:
    """What WholeAnswers writes, write by write, when it is told to answer a request so."""
    written: list[bytes] = []

    async def send(event: Event) -> None:
        if isinstance(event, RawData):
            written.append(event.data)

    task_group: Any = None  # no stream is made
    protocol = WholeAnswers(
        None, Config(), WorkerContext(None), task_group, ConnectionState({}), False, None, None, send
    )
    protocol.connection.receive_data(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    protocol.connection.next_event()
    for event in events:
        await protocol.stream_send(event)
    return written


async def test_hypercorn_writes_an_answer_of_known_length_at_once() -> None:
    head = Response(stream_id=1, headers=[(b"content-length", b"5")], status_code=200)

    [answer] = await written_by(head, Body(stream_id=1, data=b"hello"), EndBody(stream_id=1))

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"10")]])
async def test_hypercorn_holds_no_part_of_a_stream_back(headers: list[tuple[bytes, bytes]]) -> None:
    head = Response(stream_id=1, headers=headers, status_code=200)

    first, second = await written_by(head, Body(stream_id=1, data=b"hello"), Body(stream_id=1, data=b"world"))

    assert b"hello" in first
    assert b"world" in second


async def test_hypercorn_writes_an_answer_without_a_body() -> None:
    [answer] = await written_by(Response(stream_id=1, headers=[], status_code=204), EndBody(stream_id=1))

    assert answer.startswith(b"HTTP/1.1 204 ")


async def test_hypercorn_speaks_http_2_on_the_same_port(start_service: StartService) -> None:
    service = await start_service(server="hypercorn")

    async with httpx.AsyncClient(base_url=service.api.base_url, http1=False, http2=True) as client:
        answers = await asyncio.gather(*(client.get("/things") for _ in range(3)))

    assert {(answer.http_version, answer.status_code) for answer in answers} == {("HTTP/2", 200)}


@pytest.mark.parametrize("name", SERVERS)
async def test_a_connection_without_requests_is_closed(name: str) -> None:
    async with hello_server(name, server.Limits(grace=1, keep_alive=0.6)) as url:
        reader, writer = await asyncio.open_connection(*httpx.URL(url).netloc.decode().split(":"))
        writer.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")

        async with asyncio.timeout(WITHIN):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("name", SERVERS)
async def test_idle_connections_do_not_delay_the_end(name: str) -> None:
    async with hello_server(name, server.Limits(grace=3 * WITHIN)) as url, httpx.AsyncClient() as client:

        async def answers() -> bool:
            return (await client.get(url)).status_code == 200

        await eventually(answers, "it serves")


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "service.server.uvicorn", raising=False)
    monkeypatch.delattr("service.server.uvicorn", raising=False)

    with pytest.raises(server.CannotServe, match=r"pip install -r requirements/uvicorn\.txt"):
        server.choose(Settings.model_validate({"server": "uvicorn"}))
