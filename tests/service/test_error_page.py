"""Errors as pages: which clients get them, and what they say."""

import asyncio
import logging
from html import unescape

import pytest

from service.web import error_page
from tests.service.databases import Database
from tests.service.fixtures import StartService
from tests.service.problems import problem_of
from tests.service.serving import Service
from tests.waiting import eventually

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize("accept", [BROWSER, "text/html", "text/html, application/json;q=0.9"])
def test_a_browser_gets_a_page(accept: str) -> None:
    assert error_page.preferred(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        "application/json, text/html;q=0.9",
        "application/problem+json, text/html",
        "image/*",
    ],
)
def test_a_client_gets_a_problem(accept: str) -> None:
    assert not error_page.preferred(accept)


@pytest.mark.parametrize(
    ("status", "title", "advice"),
    [
        (404, "Not Found", "Check the address."),
        (422, "Unprocessable Content", "Correct what is named above"),
        (429, "Too Many Requests", "Wait a minute"),
        (500, "Internal Server Error", "give the request id"),
        (503, "Service Unavailable", "Try again in a moment."),
    ],
)
def test_the_page_says_what_to_do(status: int, title: str, advice: str) -> None:
    page = error_page.render(status, 'a <b> & "c"', "id<1>").decode()

    assert f"<h1>{title}</h1>" in page
    assert advice in page
    for text in ('a <b> & "c"', "id<1>"):
        assert text not in page
        assert text in unescape(page)


async def test_a_browser_also_gets_a_page_for_a_refused_request(
    start_service: StartService, database: Database
) -> None:
    service = await start_service(max_requests=1)
    path = await service.create()

    async with database.locked(path.rpartition("/")[2]):
        change = asyncio.create_task(service.api.put(path, json={"name": "Changed"}))
        await database.until_waiting(1)
        page = await service.api.get(path, headers={"accept": BROWSER})
        problem_of(await service.api.get(path), 503)
    await change

    assert page.status_code == 503
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["retry-after"] == "1"
    assert page.headers["vary"] == "accept"
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self';")
    assert page.headers["x-request-id"] in page.text


async def test_successful_polls_are_logged_at_debug_level_only(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    def lines() -> list[tuple[str, str]]:
        records = [record for record in caplog.records if record.name == "service.access"]
        return [(record.levelname, record.getMessage().split()[1]) for record in records]

    async def all_written() -> bool:
        return len(lines()) == 3  # the line follows the answer

    with caplog.at_level(logging.DEBUG, "service.access"):
        await service.api.get("/things", headers={"x-poll": "1"})
        await service.api.get("/nothing", headers={"x-poll": "1"})
        await service.api.get("/things")
        await eventually(all_written, "every request has its line")

    assert lines() == [("DEBUG", "/things"), ("INFO", "/nothing"), ("INFO", "/things")]
