"""The strip, the headline and the line below it show reloads, restarts and lost connections."""

import re

from playwright.async_api import Page, expect

from harness.sandbox import Sandbox
from tests.page.browser import Conduct
from tests.page.elements import headline, story, strip
from tests.page.fixtures import OpenPage
from tests.probe.project import COUNT, MODULE
from workbench.stack import Stack

NO_REQUEST_FAILED = re.compile(r"took over from \w+ at \d\d:\d\d:\d\d\. No request failed\.$")


async def test_the_strip_shows_which_replica_answered(open_page: OpenPage) -> None:
    page = await open_page()

    await expect(strip(page).locator(".lane")).to_have_text(["service-1", "service-2"])
    for lane in await strip(page).locator(".lane").all():
        await expect(lane.locator(".mark").first).to_be_attached()
    assert re.search(r"requests: service-1 \d+, service-2 \d+\.", await label(page))
    await expect(page.locator("#replicas")).to_have_text("2")
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


async def test_a_live_reload_is_shown(open_page: OpenPage, sources: Sandbox, word: str) -> None:
    page = await open_page()
    before = sources.version
    await expect(headline(page)).to_have_text(f"Version {before} answers")
    try:
        sources.append("service/errors.py", f"\n# {word}\n")

        await expect(headline(page)).to_have_text(f"Version {sources.version} answers")
        await expect(story(page)).to_have_text(NO_REQUEST_FAILED)
        await expect(page.locator("#legend")).to_contain_text(f"{before}{sources.version}")
        await expect(page.locator("#failed")).to_have_text("0")
    finally:
        sources.restore()


async def test_what_a_reload_has_changed_is_shown(open_page: OpenPage, sources: Sandbox) -> None:
    page = await open_page()
    await expect(headline(page)).to_have_text(f"Version {sources.version} answers")
    try:
        sources.edit(MODULE, *COUNT)

        await expect(story(page)).to_have_text(re.compile(r"No request failed\. API: GET /things/count added\.$"))
    finally:
        sources.restore()


async def test_a_restart_of_the_database_is_shown(open_page: OpenPage, conduct: Conduct, workbench: Stack) -> None:
    conduct.allowed.append("status of 503")
    page = await open_page()

    await workbench.postgres.kill()
    try:
        await expect(story(page)).to_contain_text("The database has been down since")
        await expect(page.locator("#database")).to_have_text("down")
    finally:
        await workbench.postgres.start()

    await expect(story(page)).to_contain_text("is back after")
    await expect(page.locator("#database")).to_have_text(re.compile("^PostgreSQL"))


async def test_a_lost_connection_and_its_return_are_shown(open_page: OpenPage, conduct: Conduct) -> None:
    conduct.allowed += ["ERR_INTERNET_DISCONNECTED", "ERR_NETWORK", "network error"]
    page = await open_page()

    await page.context.set_offline(True)
    await expect(headline(page)).to_have_text("The service does not answer")
    await expect(story(page)).to_contain_text("No answer since")
    await expect(strip(page).locator(".lane").last).to_contain_text("no answer")

    await page.context.set_offline(False)
    await expect(story(page)).to_contain_text("The service is back after")
    await expect(headline(page)).to_have_text(re.compile("^Version"))
