"""Accessibility: keyboard, screen readers, light and dark, narrow screens, zoom, and reduced motion."""

import importlib.util
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Page, expect

from tests.page.browser import Conduct
from tests.page.conftest import OpenPage
from tests.page.parts import button, composer, edit, note, search, text, title, write

# Layout shifts that no recent input caused (https://web.dev/articles/cls).
COUNT_SHIFTS = """
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry.value);
    }).observe({ type: "layout-shift", buffered: true });
"""


SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def axe() -> str:
    """The script of axe-core. Only this file of the package is needed, so the package is not imported."""
    spec = importlib.util.find_spec("axe_playwright_python")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "axe.min.js").read_text()


async def has_no_violations(page: Page) -> None:
    """Fails on every violation that axe-core finds, even minor ones, in light and in dark."""
    await page.evaluate(axe())
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        found: dict[str, Any] = await page.evaluate("axe.run()")
        assert "color-contrast" in {rule["id"] for rule in found["passes"]}
        assert [
            f"{scheme}, {rule['impact']}: {rule['help']}: {node['target']} {node.get('failureSummary', '')}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ] == []


async def test_axe_finds_nothing_on_the_page(open_page: OpenPage, word: str) -> None:
    page = await open_page(reduced_motion="reduce")
    await write(page, f"{word} shown", "text")
    await button(await write(page, f"{word} gone"), "Delete").click()
    form = await edit(await write(page, f"{word} open"), page)
    await title(form).fill("")
    await button(form, "Save").click()
    await expect(form.get_by_role("status")).to_have_text("A note needs a title.")

    await has_no_violations(page)


async def test_axe_finds_nothing_on_an_error(open_page: OpenPage, conduct: Conduct) -> None:
    conduct.allowed.append("status of 404")
    await has_no_violations(await open_page("/nothing"))


async def test_notes_can_be_edited_with_the_keyboard_only(open_page: OpenPage, word: str) -> None:
    page = await open_page()
    press, write_ = page.keyboard.press, page.keyboard.type

    await press("Tab")
    await expect(page.get_by_role("link", name="Skip to the notes")).to_be_focused()
    await press("Enter")
    await expect(title(composer(page))).to_be_focused()
    await write_(word)
    await press("Tab")
    await write_("by hand")
    await press("Tab")
    await press("Enter")
    await expect(note(page, word)).to_be_visible()
    await expect(title(composer(page))).to_be_focused()

    await search(page).focus()
    await write_(word)
    await expect(page.get_by_text("1 found")).to_be_visible()
    await press("Tab")
    await expect(button(note(page, word), "Edit")).to_be_focused()
    await press("Enter")
    form = page.get_by_role("form", name=f"Edit: {word}")
    await expect(title(form)).to_be_focused()
    await press("Tab")
    await write_("by keyboard")
    await press("Control+Enter")
    await expect(button(note(page, word), "Edit")).to_be_focused()
    await expect(note(page, word)).to_contain_text("by keyboard")

    await press("Enter")
    await press("Escape")
    await expect(button(note(page, word), "Edit")).to_be_focused()
    await press("Tab")
    await press("Enter")
    await expect(button(note(page, word), "Undo")).to_be_focused()
    await press("Enter")
    await expect(button(note(page, word), "Edit")).to_be_focused()


# 640 is 1280 pixels at a zoom of 200 %; WCAG 1.4.10 requires 320.
@pytest.mark.parametrize(("path", "width"), [("/", 640), ("/", 320), ("/nothing", 320), ("/docs", 390)])
async def test_nothing_is_cut_off_on_narrow_screens(
    open_page: OpenPage, conduct: Conduct, word: str, path: str, width: int
) -> None:
    conduct.allowed.append("status of 404")
    page = await open_page(path, viewport={"width": width, "height": 600})
    if path == "/":
        await edit(await write(page, f"{word} {'long' * 40}", "wide" * 100), page)

    assert await page.evaluate("document.documentElement.scrollWidth") == width
    outside = """(width) => [...document.querySelectorAll("main *:not(.unseen)")]
        .filter((element) => element.checkVisibility() && element.getBoundingClientRect().right > width + 1)
        .map((element) => element.outerHTML.slice(0, 80))"""
    if path != "/docs":
        assert await page.evaluate(outside, width) == []


async def test_nothing_jumps_while_the_page_loads_and_polls(open_page: OpenPage) -> None:
    page = await open_page("/docs")
    await page.add_init_script(COUNT_SHIFTS)
    await page.goto("/")
    await expect(page.locator(".mark")).to_have_count(12)

    assert sum(await page.evaluate("shifts")) < 0.02


async def test_an_open_editor_does_not_move_while_others_write(open_page: OpenPage, word: str) -> None:
    page, other = await open_page(), await open_page()
    form = await edit(await write(page, word), page)
    await text(form).press_sequentially("typing")
    before = await form.bounding_box()

    await write(other, f"{word} of somebody else")
    await expect(note(page, f"{word} of somebody else")).to_be_attached()
    await page.keyboard.type(" on")

    after = await form.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) < 2
    await expect(text(form)).to_have_value("typing on")


async def test_reduced_motion_is_respected(open_page: OpenPage, word: str) -> None:
    running = "document.getAnimations().length"
    moving, still = await open_page(), await open_page(reduced_motion="reduce")
    await write(moving, word)
    assert await moving.evaluate(running) == 1
    await expect(note(still, word)).to_be_visible()
    assert await still.evaluate(running) == 0
