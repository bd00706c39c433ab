"""The page keeps working through reloads, restarts and lost connections, and loses nothing that was typed."""

import asyncio
import re

import httpx
from playwright.async_api import Page, Route, expect

from harness.sandbox import Sandbox
from tests.page.browser import Conduct
from tests.page.conftest import OpenPage
from tests.page.parts import button, composer, edit, headline, note, story, strip, text, title, write
from workbench.stack import Stack

NO_REQUEST_FAILED = re.compile(r"took over from \w+ at \d\d:\d\d:\d\d\. No request failed\.$")


async def count(api: httpx.AsyncClient, word: str) -> int:
    return len((await api.get("/notes", params={"q": word})).json()["items"])


async def type_everywhere(page: Page, word: str) -> None:
    """Types text into the form for a new note and into the editor of another note."""
    form = await edit(await write(page, word), page)
    await text(form).fill(f"{word} in the editor")
    await title(composer(page)).fill(f"{word} new")
    await text(composer(page)).fill("half a sen")


async def nothing_typed_is_lost(page: Page, word: str) -> None:
    await expect(title(composer(page))).to_have_value(f"{word} new")
    await expect(text(composer(page))).to_have_value("half a sen")
    await expect(text(page.get_by_role("form", name=f"Edit: {word}"))).to_have_value(f"{word} in the editor")
    await expect(text(composer(page))).to_be_focused()


async def test_the_strip_shows_which_replica_answered(open_page: OpenPage) -> None:
    page = await open_page()

    await expect(strip(page).locator(".lane")).to_have_text(["service-1", "service-2", "service-3"])
    for lane in await strip(page).locator(".lane").all():
        await expect(lane.locator(".mark").first).to_be_attached()
    assert re.search(r"requests: service-1 \d+, service-2 \d+, service-3 \d+\.", await label(page))
    await expect(page.locator("#replicas")).to_have_text("3")
    await expect(page.locator("#database")).to_have_text(re.compile(r"^PostgreSQL 18\.\d+$"))
    await expect(page.locator("#rate")).to_have_text(re.compile(r"^\d+\.\d$"))
    await expect(page.locator("#p95")).to_have_text(re.compile(r"^\d+(\.\d)?$"))


async def test_the_strip_holds_the_last_sixty_requests(open_page: OpenPage, conduct: Conduct) -> None:
    page = await open_page("/docs")
    answers: list[str] = []
    page.on("response", lambda response: answers.append(response.url))
    await page.clock.install()  # fake timers: a minute of polls takes a few seconds
    await page.goto("/")

    while len(answers) < 70:
        async with page.expect_response("/"):
            await page.clock.run_for(1000)

    await expect(strip(page).locator(".mark")).to_have_count(60)
    await expect(page.locator("#of")).to_have_text("of 60")
    await expect(page.locator("#failed")).to_have_text("0")


async def label(page: Page) -> str:
    return await strip(page).get_attribute("aria-label") or ""


async def test_a_live_reload_is_shown_and_loses_nothing(open_page: OpenPage, sources: Sandbox, word: str) -> None:
    page = await open_page()
    before = sources.version
    await expect(headline(page)).to_have_text(f"Version {before} answers")
    await type_everywhere(page, word)
    try:
        sources.append("service/errors.py", f"\n# {word}\n")

        await expect(headline(page)).to_have_text(f"Version {sources.version} answers")
        await expect(story(page)).to_have_text(NO_REQUEST_FAILED)
        await expect(page.locator("#legend")).to_contain_text(f"{before}{sources.version}")
        await expect(page.locator("#failed")).to_have_text("0")
        await nothing_typed_is_lost(page, word)
        await button(composer(page), "Add note").click()
        await expect(note(page, f"{word} new")).to_contain_text("half a sen")
    finally:
        sources.restore()


async def test_a_restart_of_the_database_loses_nothing(
    open_page: OpenPage, conduct: Conduct, workbench: Stack, api: httpx.AsyncClient, word: str
) -> None:
    conduct.allowed.append("status of 503")
    page = await open_page()
    await type_everywhere(page, word)

    await workbench.postgres.kill()
    try:
        await expect(story(page)).to_contain_text("The database has been down since")
        await expect(page.locator("#database")).to_have_text("down")
        await nothing_typed_is_lost(page, word)
        await page.keyboard.press("Control+Enter")
        await expect(composer(page).get_by_role("status")).to_contain_text("No answer yet. Trying again")
        await expect(text(composer(page))).to_be_focused()
    finally:
        await workbench.postgres.start()

    await expect(note(page, f"{word} new")).to_contain_text("half a sen")
    await expect(story(page)).to_contain_text("is back after")
    await expect(text(page.get_by_role("form", name=f"Edit: {word}"))).to_have_value(f"{word} in the editor")
    assert await count(api, word) == 2
    # The stream of events has reconnected by itself too.
    await api.post("/notes", json={"title": f"{word} of somebody else"})
    await expect(note(page, f"{word} of somebody else")).to_be_visible()


async def test_a_lost_connection_and_its_return_are_shown(
    open_page: OpenPage, conduct: Conduct, api: httpx.AsyncClient, word: str
) -> None:
    conduct.allowed += ["ERR_INTERNET_DISCONNECTED", "ERR_NETWORK", "network error"]
    page = await open_page()
    await type_everywhere(page, word)

    await page.context.set_offline(True)
    await expect(headline(page)).to_have_text("The service does not answer")
    await expect(story(page)).to_contain_text("Nothing that you typed is lost.")
    await expect(strip(page).locator(".lane").last).to_contain_text("no answer")
    await nothing_typed_is_lost(page, word)
    await api.post("/notes", json={"title": f"{word} meanwhile"})

    await page.context.set_offline(False)
    await expect(story(page)).to_contain_text("The service is back after")
    await expect(note(page, f"{word} meanwhile")).to_be_visible()
    await nothing_typed_is_lost(page, word)


async def test_a_creation_without_an_answer_is_repeated_but_made_once(
    open_page: OpenPage, conduct: Conduct, api: httpx.AsyncClient, word: str
) -> None:
    conduct.allowed.append("ERR_CONNECTION_RESET")
    page = await open_page()
    keys: list[str | None] = []

    async def lose_the_first_answer(route: Route) -> None:
        if route.request.method != "POST":
            await route.continue_()
            return
        keys.append(await route.request.header_value("idempotency-key"))
        answer = await route.fetch()
        await (route.fulfill(response=answer) if len(keys) > 1 else route.abort("connectionreset"))

    await page.route("**/notes", lose_the_first_answer)
    await write(page, word)

    await expect(title(composer(page))).to_have_value("")
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert keys[0]
    assert await count(api, word) == 1
    await expect(note(page, word)).to_have_count(1)


async def test_a_save_that_takes_too_long_can_be_stopped(open_page: OpenPage, conduct: Conduct, word: str) -> None:
    conduct.allowed.append("ERR_FAILED")
    page = await open_page()
    blocked = asyncio.Event()

    async def block(route: Route) -> None:
        blocked.set()
        await route.abort()

    await page.route("**/notes", block)
    form = composer(page)
    await title(form).fill(word)
    await button(form, "Add note").click()
    await blocked.wait()
    await button(form, "Stop trying").click()

    await expect(form.get_by_role("status")).to_contain_text("Stopped.")
    await expect(title(form)).to_have_value(word)
    await expect(title(form)).to_be_editable()
