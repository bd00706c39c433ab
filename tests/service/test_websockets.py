"""Handshakes are refused like other requests, unless a route is a WebSocket; and such a one ends with the process."""

import asyncio
import json
import logging

import pytest
from quart import Quart

from service.errors import Forbidden
from service.web.websocket import Socket
from tests.service.fixtures import StartService
from tests.service.problems import problem_of
from tests.service.raw import raw_connection
from tests.service.serving import Service
from tests.service.websockets import UPGRADE, Client, handshake
from tests.waiting import WITHIN


def echo(app: Quart) -> None:
    """WebSockets that send back what they get, refuse, fail, or end."""

    @app.websocket("/echo/<int:number>")
    async def echoes(socket: Socket, number: int) -> None:
        await socket.accept()
        async for message in socket:
            await socket.send(f"{number} {message!s}")

    @app.websocket("/refuses")
    async def refuses(socket: Socket) -> None:
        raise Forbidden(f"Not from {socket.headers['host']}.")

    @app.websocket("/returns")
    async def returns(socket: Socket) -> None:
        pass

    @app.websocket("/breaks")
    async def breaks(socket: Socket) -> None:
        raise RuntimeError("before it is accepted")

    @app.websocket("/breaks-late")
    async def breaks_late(socket: Socket) -> None:
        await socket.accept()
        await socket.receive()
        raise RuntimeError("after it was accepted")

    @app.websocket("/ends")
    async def ends(socket: Socket) -> None:
        await socket.accept()
        await socket.send("that was all")

    @app.websocket("/chooses")
    async def chooses(socket: Socket) -> None:
        await socket.accept(socket.subprotocols[0], {"x-query": socket.query_string})
        await socket.close(4000, "done")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What a process would log. It does not show what the servers say at INFO."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("service.") or record.levelno >= logging.WARNING
    ]


@pytest.fixture
async def sockets(start_service: StartService) -> Service:
    return await start_service(echo)


@pytest.mark.parametrize("path", ["/", "/things", "/things/events", "/things/import", "/nothing", "/docs"])
async def test_a_handshake_is_refused_like_any_other_request(
    shared_service: Service, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    labels = {"method": "GET", "route": "unmatched", "status": "404"}
    before = await shared_service.metric("http_requests_total", **labels)

    with caplog.at_level(logging.INFO):
        async with raw_connection(shared_service) as connection:
            await connection.send(handshake(path, "X-Request-Id: the-handshake\r\n"))
            answer = await connection.response()
            assert await connection.rest() == b""

    assert problem_of(answer, 404)["request_id"] == "the-handshake"
    assert len(answer.content) < 300
    assert answer.headers["connection"] == "close", "what follows a handshake is not the next request"
    assert await shared_service.metric("http_requests_total", **labels) == before + 1
    assert [line.rpartition(" 404 ")[0] for line in lines(caplog)] == [f"GET {path}"]


@pytest.mark.parametrize(
    "request_",
    [
        f"GET /things HTTP/1.1\r\nHost: test\r\n{UPGRADE}",
        handshake("/things").decode().replace(": 13", ": 8").removesuffix("\r\n"),
        handshake("/things").decode().replace("GET", "POST").removesuffix("\r\n"),
        handshake("/things/import").decode().replace("GET", "POST").removesuffix("\r\n"),
        handshake("/things").decode().replace("Sec-WebSocket-Key", "Key").removesuffix("\r\n"),
        f"POST /things HTTP/1.1\r\nHost: test\r\n{UPGRADE}Content-Length: 5\r\n",
    ],
    ids=["bare", "version 8", "POST", "import", "no key", "length"],
)
async def test_an_incomplete_handshake_is_refused(
    shared_service: Service, request_: str, caplog: pytest.LogCaptureFixture
) -> None:
    smuggled = "GET /nothing?smuggled HTTP/1.1\r\nHost: test\r\n\r\n"

    with caplog.at_level(logging.INFO):
        async with raw_connection(shared_service) as connection:
            await connection.send(f"{request_}\r\n{smuggled}".encode())
            answer = await connection.response()

    assert "RFC 6455" in problem_of(answer, 400)["detail"]
    assert answer.headers["connection"] == "close"
    assert len(lines(caplog)) == 1, "the rest is not another request"


@pytest.mark.parametrize(
    "request_",
    [
        "GET /things HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n",
        "GET /things HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: irc\r\n",
        f"GET /things HTTP/1.0\r\nHost: test\r\n{UPGRADE}",
    ],
    ids=["no connection", "another protocol", "HTTP/1.0"],
)
async def test_a_request_that_asks_for_no_websocket_is_answered(shared_service: Service, request_: str) -> None:
    async with raw_connection(shared_service) as connection:
        await connection.send(f"{request_}\r\n".encode())

        assert (await connection.response()).status_code == 200


async def test_a_route_can_be_a_websocket(sockets: Service, caplog: pytest.LogCaptureFixture) -> None:
    labels = {"method": "GET", "route": "/echo/<int:number>", "status": "101"}
    with caplog.at_level(logging.INFO, "service.access"):
        async with Client.connect(sockets.address, "/echo/7") as client:
            assert [await client.ask(text) for text in ("one", "zwei " * 9999)] == ["7 one", f"7 {'zwei ' * 9999}"]
            assert client.headers["x-request-id"]
            assert await sockets.metric("http_requests_in_flight", kind="events") == 1
            await client.close()
            await sockets.until_metric(1, "http_requests_total", **labels)

    [record] = caplog.records
    assert record.getMessage().startswith("GET /echo/7 101 ")
    assert await sockets.metric("http_requests_in_flight", kind="events") == 0
    assert await sockets.metric("http_request_duration_seconds_count", route=labels["route"]) == 0


async def test_a_client_that_breaks_the_connection_frees_its_slot(sockets: Service) -> None:
    async with Client.connect(sockets.address, "/echo/7") as client:
        await client.ask("one")

    await sockets.until_metric(0, "http_requests_in_flight", kind="events")


async def test_a_client_that_does_not_wait_for_the_answer_to_its_handshake_frees_its_slot(sockets: Service) -> None:
    async with raw_connection(sockets) as connection:
        await connection.send(handshake("/echo/7") + b"\x81\x83\0\0\0\0one")
        async with asyncio.timeout(WITHIN):
            assert (await connection.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")

    await sockets.until_metric(0, "http_requests_in_flight", kind="events")


async def test_websockets_take_the_slots_of_streams(start_service: StartService) -> None:
    service = await start_service(echo, max_streams=1)

    async with Client.connect(service.address, "/echo/7"), raw_connection(service) as connection:
        await connection.send(handshake("/echo/8"))

        problem_of(await connection.response(), 503)


@pytest.mark.parametrize(("path", "status"), [("/refuses", 403), ("/returns", 403), ("/breaks", 500)])
async def test_a_websocket_that_is_not_accepted_is_answered_with_a_problem(
    sockets: Service, path: str, status: int
) -> None:
    async with raw_connection(sockets) as connection:
        await connection.send(handshake(path))

        problem_of(await connection.response(), status)


async def test_a_websocket_that_fails_is_closed_and_its_error_is_logged(
    sockets: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async with Client.connect(sockets.address, "/breaks-late") as client:
        await client.send("now")

        assert await client.closed() == 1011
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["after it was accepted"]


async def test_a_view_that_returns_closes_its_websocket(sockets: Service) -> None:
    async with Client.connect(sockets.address, "/ends") as client:
        assert await client.receive() == "that was all"
        assert await client.closed() == 1000


async def test_a_view_sees_the_handshake_and_can_choose(sockets: Service) -> None:
    async with raw_connection(sockets) as connection:
        await connection.send(handshake("/chooses?a=1", "Sec-WebSocket-Protocol: chat, talk\r\n"))
        received = await connection.rest()

    head, _, frames = received.partition(b"\r\n\r\n")
    assert b"sec-websocket-protocol: chat" in head.lower()
    assert b"x-query: a=1" in head.lower()
    assert frames.endswith(b"done")


async def test_a_plain_request_to_a_websocket_is_told_to_upgrade(sockets: Service) -> None:
    response = await sockets.api.get("/echo/7")

    problem_of(response, 426)
    assert response.headers["upgrade"] == "websocket"


async def test_a_message_over_the_limit_closes_the_websocket(sockets: Service) -> None:
    async with Client.connect(sockets.address, "/echo/7") as client:
        await client.send("x" * (2**20 + 1))

        assert await client.closed() == 1009


async def test_the_api_description_leaves_websockets_out(sockets: Service) -> None:
    paths = json.loads((await sockets.api.get("/openapi.json")).content)["paths"]

    assert "/things" in paths
    assert not [path for path in paths if "echo" in path]


async def test_a_process_that_stops_closes_its_websockets(sockets: Service) -> None:
    async with Client.connect(sockets.address, "/echo/7") as client:
        assert await client.ask("one") == "7 one"

        sockets.application.lifecycle.drain()
        assert await client.closed() == 1012
