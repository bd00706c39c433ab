"""The API docs work under the content security policy of the page, and look like it."""

import re

from playwright.async_api import Page, expect

from tests.page.access import SCHEMES, has_no_violations
from tests.page.elements import button
from tests.page.fixtures import OpenPage

GROUND = {"light": "rgb(245, 247, 248)", "dark": "rgb(15, 22, 27)"}


async def try_out(page: Page, operation: str) -> None:
    await page.locator(".opblock", has=page.get_by_role("button", name=operation, exact=True)).click()
    await button(page, "Try it out").click()


async def test_calls_can_be_tried(open_page: OpenPage, word: str) -> None:
    page = await open_page("/docs")

    await try_out(page, "post /things")
    await page.locator("textarea.body-param__text").fill(f'{{"name": "{word}"}}')
    await button(page, "Execute").click()

    response = page.locator(".live-responses-table")
    await expect(response.locator(".response-col_status").nth(1)).to_have_text(re.compile("^201"))
    await expect(response).to_contain_text(word)
    await expect(response).to_contain_text("x-service-instance: service-")


async def test_the_docs_look_like_the_page_and_axe_finds_nothing(open_page: OpenPage) -> None:
    page = await open_page("/docs", reduced_motion="reduce")
    await try_out(page, "get /things")
    await button(page, "Execute").click()
    await expect(page.locator(".live-responses-table")).to_be_visible()

    await expect(page.locator("a.brand")).to_be_visible()
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == GROUND[scheme]
    await has_no_violations(page)
