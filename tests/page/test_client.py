"""The module that parts of the page import: requests are repeated until they are answered, and streams resume."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, Response, Route, expect

from tests.page.browser import Conduct
from tests.page.fixtures import OpenPage
from tests.waiting import WITHIN, eventually

CALL = """async ([name, ...values]) => (await import("/static/client.js"))[name](...values)"""
STOPPABLE = """async () => {
    const { insist } = await import("/static/client.js");
    window.stop = new AbortController();
    window.setTimeout = () => 0; // no timer ends, so nothing but the stop can end a wait
    const waiting = () => (window.waits = true);
    insist("/things", { signal: stop.signal }, waiting).catch((error) => (window.outcome = error.name));
}"""
FOLLOW = """async (paths) => {
    const { follow } = await import("/static/client.js");
    window.taken = [];
    window.refreshed = 0;
    for (const path of paths) follow(path, (changes) => taken.push(changes), () => (refreshed += 1));
}"""
RECONNECT = """async () => (await import("/static/client.js")).reconnect()"""

SSE = {"content-type": "text/event-stream"}
# These ids are known to the service, which may get a request that a test has not answered at its end.
UPDATED = 'id: 1-8\nevent: updated\ndata: {"id": "a", "version": 2}\n\n'
EVENTS = f'retry: 10\n\n: heartbeat\n\nid: 1-7\nevent: created\ndata: {{"id": "a", "version": 1}}\n\n{UPDATED}'


@pytest.fixture
async def page(open_page: OpenPage) -> AsyncIterator[Page]:
    page = await open_page()
    yield page
    await page.unroute_all(behavior="ignoreErrors")


async def insist(page: Page, path: str, options: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = await page.evaluate(CALL, ["insist", path, options])
    return answer


async def until(page: Page, expression: str) -> Any:
    """The value of an expression as soon as it is true. Playwright's own wait breaks the policy of the page."""

    async def holds() -> bool:
        return bool(await page.evaluate(expression))

    await eventually(holds, expression)
    return await page.evaluate(expression)


async def polled_again(page: Page) -> None:
    async with page.expect_request(lambda request: request.headers.get("x-poll") == "1"):
        pass


async def test_a_request_is_repeated_until_the_answer_is_final(page: Page, conduct: Conduct) -> None:
    conduct.allowed += ["status of 503", "status of 404", "ERR_CONNECTION_RESET"]
    statuses = [503, None, 404, 200]

    async def answer(route: Route) -> None:
        status = statuses.pop(0)
        await (route.fulfill(status=status) if status else route.abort("connectionreset"))

    await page.route("**/things", answer)

    assert (await insist(page, "/things", {}))["status"] == 404
    assert statuses == [200]


async def test_a_creation_with_a_key_whose_answer_is_lost_happens_once(
    page: Page, conduct: Conduct, api: httpx.AsyncClient, word: str
) -> None:
    conduct.allowed.append("ERR_CONNECTION_RESET")
    keys: list[str | None] = []

    async def lose_the_first_answer(route: Route) -> None:
        keys.append(await route.request.header_value("idempotency-key"))
        answer = await route.fetch()
        await (route.fulfill(response=answer) if len(keys) > 1 else route.abort("connectionreset"))

    await page.route("**/things", lose_the_first_answer)
    key = await page.evaluate(CALL, ["newKey"])
    creation = {"method": "POST", "json": {"name": word}, "headers": {"idempotency-key": key}}

    assert (await insist(page, "/things", creation))["status"] == 201
    assert keys == [key, key]
    assert [thing["name"] for thing in (await api.get("/things")).json()["items"]].count(word) == 1
    assert await page.evaluate(CALL, ["newKey"]) != key


@pytest.mark.parametrize("refused", [True, False], ids=["while it waits", "while it is sent"])
async def test_a_repeated_request_can_be_stopped(page: Page, conduct: Conduct, refused: bool) -> None:
    conduct.allowed.append("ERR_FAILED")

    async def answer(route: Route) -> None:
        if refused:
            await route.abort()

    await page.route("**/things", answer)
    async with page.expect_request("**/things"):
        await page.evaluate(STOPPABLE)
    if refused:
        await until(page, "window.waits")
    await page.evaluate("stop.abort()")

    assert await until(page, "window.outcome") == "AbortError"


async def test_every_request_is_a_mark_on_the_strip(page: Page) -> None:
    await page.evaluate(CALL, ["ask", "/things?limit=7"])

    mark = page.locator('.mark[title*="GET /things?limit=7: 200"]')
    await expect(mark).to_be_attached()


async def test_a_stream_resumes_after_its_last_event(page: Page) -> None:
    resumed = asyncio.Event()
    asked_for: list[str | None] = []

    async def answer(route: Route) -> None:
        asked_for.append(await route.request.header_value("last-event-id"))
        if len(asked_for) < 3:
            await route.fulfill(status=200, headers=SSE, body=EVENTS if len(asked_for) == 1 else "")
        else:
            resumed.set()

    await page.route("**/things/events", answer)
    await page.evaluate(FOLLOW, ["/things/events"])
    async with asyncio.timeout(WITHIN):
        await resumed.wait()

    assert asked_for == [None, "1-8", "1-8"]
    assert await page.evaluate("refreshed") == 1
    # The changes of a moment come together, and of each id only the last one.
    await until(page, "taken.length")
    assert await page.evaluate("taken") == [[{"kind": "updated", "id": "a", "version": 2}]]


async def test_a_stream_that_does_not_know_the_event_begins_anew(page: Page, conduct: Conduct) -> None:
    conduct.allowed.append("status of 422")
    answers = [(200, EVENTS), (422, ""), (200, "")]
    again = asyncio.Event()
    asked_for: list[str | None] = []

    async def answer(route: Route) -> None:
        asked_for.append(await route.request.header_value("last-event-id"))
        if not answers:
            again.set()
            return
        status, body = answers.pop(0)
        await route.fulfill(status=status, headers=SSE, body=body)

    await page.route("**/things/events", answer)
    await page.evaluate(FOLLOW, ["/things/events"])
    async with asyncio.timeout(WITHIN):
        await again.wait()

    assert asked_for == [None, "1-8", None, None]
    assert await page.evaluate("refreshed") >= 2, "what happened meanwhile may be missing"


async def test_all_streams_begin_again_after_a_lost_connection(page: Page) -> None:
    begun: asyncio.Queue[int] = asyncio.Queue()

    def record(response: Response) -> None:
        if response.url.endswith("/events"):
            begun.put_nowait(response.status)

    page.on("response", record)
    for script, argument in ((FOLLOW, ["/things/events"] * 2), (RECONNECT, None)):
        await page.evaluate(script, argument)
        async with asyncio.timeout(WITHIN):
            assert [await begun.get() for _ in range(2)] == [200, 200]
        await polled_again(page)
