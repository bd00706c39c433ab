"""Each form of a request's target (RFC 9112, section 3.2) is answered, and Quart never calls an endpoint for one."""

import asyncio
import logging
from collections.abc import Sequence

import pytest
from quart import Quart

from service import pages
from service.domain import Domain
from service.web.answer import Answer, json
from service.web.endpoint import endpoint
from tests.service.fixtures import StartService
from tests.service.problems import problem_of
from tests.service.raw import raw_connection
from tests.service.serving import PROBE, Service

A_THING = "/things/01890000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def domains() -> Sequence[Domain]:
    """With the pages, which Quart answers."""
    return (*PROBE, pages.DOMAIN)


async def ask(service: Service, method: str, target: str, headers: str = "") -> tuple[int, str, bytes]:
    """Sends a request; returns the status, the media type and the body."""
    async with raw_connection(service) as connection:
        await connection.send(
            f"{method} {target} HTTP/1.1\r\nHost: test\r\n{headers}Connection: close\r\n\r\n".encode("latin-1")
        )
        head, _, body = (await connection.rest()).partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").lower().split("\r\n")
    [media_type] = [line[14:] for line in lines if line.startswith("content-type: ")] or [""]
    return int(status.split(" ")[1]), media_type, body


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/things?limit=1", 200),
        ("http://a.example/things?limit=1", 200),
        ("http://a.example:8080/things", 200),
        ("https://a.example/things", 200),
        ("HTTP://A.EXAMPLE/things", 200),
        ("http://user:secret@a.example/things", 200),
        ("http://[::1]:8000/things", 200),
        ("http://a.example/", 200),
        ("http://a.example/docs", 200),
        (f"http://a.example{A_THING}", 404),
        ("http://a.example/nothing", 404),
        ("http://a.example//things", 404),
        ("//a.example/things", 404),
        ("//things", 404),
        ("///things", 404),
        ("//docs", 404),
        ("/./things", 404),
        ("/things%2f", 404),
        ("/http://a.example/things", 404),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_target_is_a_path_or_an_http_url(
    shared_service: Service, method: str, target: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    answered, media_type, body = await ask(shared_service, method, target)

    assert answered == status
    if status == 404:
        assert media_type == "application/problem+json"
    assert bool(body) is (method == "GET")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PATCH", "CONNECT"])
@pytest.mark.parametrize(
    "target",
    [
        "*",
        "things",
        "things/export",
        "?limit=1",
        "http:/things",
        "http:things",
        "http:///things",
        "ftp://a.example/things",
        "mailto:things",
        "a.example:80",
        "http://a.example",
        "http://a.example?",
    ],
)
async def test_any_other_target_is_refused(
    shared_service: Service, method: str, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    status, _, _ = await ask(shared_service, method, target)

    assert status in expected(method, target)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def expected(method: str, target: str) -> set[int]:
    if target == "*" and method == "OPTIONS":
        return {204}
    if target.startswith("http://a.example"):  # an empty path is `/`, or of OPTIONS `*`
        return {"GET": {200}, "HEAD": {200}, "OPTIONS": {204}}.get(method, {405})
    return {400}


async def test_a_wrong_target_is_a_problem(shared_service: Service) -> None:
    async with raw_connection(shared_service) as connection:
        await connection.send(b"GET * HTTP/1.1\r\nHost: test\r\n\r\n")

        assert "path" in problem_of(await connection.response(), 400)["detail"]


async def test_each_form_is_counted_as_its_route(service: Service) -> None:
    await ask(service, "GET", "http://a.example/things")
    await ask(service, "GET", "//things")

    assert await service.metric("http_requests_total", route="/things", status="200") == 1
    assert await service.metric("http_requests_total", route="unmatched", status="404") == 1


async def test_a_write_can_have_an_absolute_target(shared_service: Service) -> None:
    async with raw_connection(shared_service) as connection:
        await connection.send(
            b"POST http://a.example/things HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
            b'Content-Length: 18\r\n\r\n{"name": "Launch"}'
        )

        assert (await connection.response()).status_code == 201


@pytest.mark.parametrize("target", ["/things", A_THING, "http://a.example/things", "/things/events"])
async def test_options_list_the_methods(shared_service: Service, target: str) -> None:
    async with raw_connection(shared_service) as connection:
        await connection.send(f"OPTIONS {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        answer = await connection.response()

    assert answer.status_code == 200
    assert {"GET", "HEAD", "OPTIONS"} <= set(answer.headers["allow"].split(", "))


async def test_an_endpoint_can_answer_options(start_service: StartService) -> None:
    service = await start_service(answers_options)

    assert (await service.api.options("/options")).json() == "mine"


def answers_options(app: Quart) -> None:
    @app.route("/options", methods=["OPTIONS"])
    @endpoint()
    async def options() -> Answer:
        return json("mine")


async def test_the_host_of_an_absolute_target_counts(start_service: StartService) -> None:
    service = await start_service(redirects)

    async with raw_connection(service) as connection:
        await connection.send(b"GET http://a.example/folder HTTP/1.1\r\nHost: b.example\r\n\r\n")
        answer = await connection.response()

    assert answer.status_code == 308
    assert answer.headers["location"] == "http://a.example/folder/"


def redirects(app: Quart) -> None:
    @app.get("/folder/")
    async def folder() -> str:
        return "a page"


async def test_quart_calls_no_endpoint_even_if_a_server_sets_a_root_path(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Quart takes the root path off the path before it looks for a route; the service does not."""
    sent: list[int] = []

    async def send(event: dict[str, object]) -> None:
        if event["type"] == "http.response.start":
            sent.append(int(str(event["status"])))

    for path in ("/api/things", "/things", "/docs", "/api/docs"):
        scope: dict[str, object] = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
        }
        scope |= {"raw_path": path.encode(), "query_string": b"", "root_path": "/api", "headers": []}
        received: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        received.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        scope |= {"client": None, "server": None, "state": {}}
        await service.application.api(scope, received.get, send)

    assert sent == [404, 200, 404, 404]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
