"""Accessibility: keyboard, screen readers, light and dark, narrow screens, and zoom."""

import pytest
from playwright.async_api import expect

from tests.page.access import (
    NARROW,
    does_not_scroll_sideways,
    has_no_violations,
    has_nothing_cut_off,
    loads_without_jumps,
)
from tests.page.browser import Conduct
from tests.page.fixtures import OpenPage


async def test_axe_finds_nothing_on_the_page(open_page: OpenPage) -> None:
    await has_no_violations(await open_page(reduced_motion="reduce"))


async def test_axe_finds_nothing_on_an_error(open_page: OpenPage, conduct: Conduct) -> None:
    conduct.allowed.append("status of 404")
    await has_no_violations(await open_page("/nothing"))


async def test_the_keyboard_reaches_the_content_past_the_links_at_the_top(open_page: OpenPage) -> None:
    page = await open_page()

    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")

    await expect(page.get_by_role("region", name="API").get_by_role("link").first).to_be_focused()


@pytest.mark.parametrize(("path", "width"), [*(("/", width) for width in NARROW), ("/nothing", 320)])
async def test_nothing_is_cut_off_on_narrow_screens(
    open_page: OpenPage, conduct: Conduct, path: str, width: int
) -> None:
    conduct.allowed.append("status of 404")

    await has_nothing_cut_off(await open_page(path, viewport={"width": width, "height": 600}), width)


async def test_the_docs_do_not_scroll_sideways_on_narrow_screens(open_page: OpenPage) -> None:
    await does_not_scroll_sideways(await open_page("/docs", viewport={"width": 390, "height": 600}), 390)


async def test_nothing_jumps_while_the_page_loads_and_polls(open_page: OpenPage) -> None:
    await loads_without_jumps(await open_page("/docs"))
