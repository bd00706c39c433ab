"""Every error is an RFC 9457 problem with the request's id, and reveals nothing internal."""

from collections.abc import AsyncGenerator

import pytest
from quart import Quart, Response

from tests.service.fixtures import StartService
from tests.service.problems import problem_of
from tests.service.raw import raw_connection
from tests.service.serving import Service

SECRET = "the launch code"  # noqa: S105 - a text that no answer may contain


async def test_an_unknown_path_is_not_found(shared_service: Service) -> None:
    problem = problem_of(await shared_service.api.get("/nowhere"), 404)

    assert "/openapi.json" in problem["detail"]


@pytest.mark.parametrize("path", ["/things/", "/things/../nowhere", "/Things", "/things/%2e%2e/%2e%2e/etc/passwd"])
async def test_a_path_is_matched_literally(shared_service: Service, path: str) -> None:
    async with raw_connection(shared_service) as connection:
        await connection.send(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())

        problem_of(await connection.response(), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "/things", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("POST", "/things/01890000-0000-7000-8000-000000000000", {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}),
        ("GET", "/things/import", {"POST", "OPTIONS"}),
        ("DELETE", "/openapi.json", {"GET", "HEAD", "OPTIONS"}),
        ("PROPFIND", "/things/events", {"GET", "HEAD", "OPTIONS"}),
    ],
)
async def test_the_answer_to_an_unknown_method_lists_the_allowed_ones(
    shared_service: Service, method: str, path: str, allowed: set[str]
) -> None:
    response = await shared_service.api.request(method, path)

    problem_of(response, 405)
    assert set(response.headers["allow"].split(", ")) == allowed


async def test_an_unexpected_error_is_logged_and_its_answer_reveals_nothing_internal(
    start_service: StartService, caplog: pytest.LogCaptureFixture
) -> None:
    service = await start_service(prepare=fails)

    response = await service.api.get("/fails", headers={"x-request-id": "the-request"})

    problem = problem_of(response, 500)
    assert problem["request_id"] == "the-request"
    assert "request id" in problem["detail"], "the operator can find the error in the log"
    assert SECRET not in response.text
    assert "RuntimeError" not in response.text
    assert "Traceback" not in response.text
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == SECRET
    await service.until_metric(1, "http_requests_total", route="/fails", status="500")


async def test_an_unexpected_error_costs_neither_a_slot_nor_a_connection(start_service: StartService) -> None:
    service = await start_service(prepare=fails, max_requests=1, pool_size=1)

    for _ in range(3):
        problem_of(await service.api.get("/fails"), 500)

    await service.create()


def fails(app: Quart) -> None:
    @app.get("/fails")
    async def fail() -> str:
        raise RuntimeError(SECRET)


async def test_an_error_in_the_middle_of_a_stream_cuts_the_response(
    start_service: StartService, caplog: pytest.LogCaptureFixture
) -> None:
    service = await start_service(prepare=fails_late)

    async with raw_connection(service) as connection:
        await connection.send(b"GET /fails-late HTTP/1.1\r\nHost: test\r\n\r\n")
        received = await connection.rest()

    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"begun\r\n"), (
        "the chunked body has no end, so the client can tell that it is incomplete"
    )
    assert any(record.exc_info and str(record.exc_info[1]) == SECRET for record in caplog.records)


def fails_late(app: Quart) -> None:
    @app.get("/fails-late")
    async def fail() -> Response:
        async def body() -> AsyncGenerator[bytes]:
            yield b"begun"
            raise RuntimeError(SECRET)

        return Response(body())


@pytest.mark.parametrize("given", ["the-request", "01890000-0000-7000-8000-000000000000", "x" * 128])
async def test_the_request_id_of_the_ingress_is_kept(shared_service: Service, given: str) -> None:
    response = await shared_service.api.get("/nowhere", headers={"x-request-id": given})

    assert problem_of(response, 404)["request_id"] == given


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 129, b"\xc3\xbc", b'a" \xff'])
async def test_a_harmful_request_id_is_replaced(shared_service: Service, given: bytes) -> None:
    response = await shared_service.api.get("/nowhere", headers={b"x-request-id": given})

    problem = problem_of(response, 404)
    assert problem["request_id"] != given.decode("latin-1")
    assert len(problem["request_id"]) == 36


async def test_every_request_has_an_id_of_its_own(shared_service: Service) -> None:
    ids = {(await shared_service.api.get("/things")).headers["x-request-id"] for _ in range(5)}

    assert len(ids) == 5
