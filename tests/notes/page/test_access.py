"""Accessibility of the notes: keyboard, screen readers, light and dark, narrow screens, zoom, and reduced motion."""

import pytest
from playwright.async_api import expect

from tests.notes.page.elements import composer, edit, note, search, text, title, write
from tests.page.access import NARROW, has_no_violations, has_nothing_cut_off, loads_without_jumps
from tests.page.elements import button
from tests.page.fixtures import OpenPage


async def test_axe_finds_nothing_in_any_state_of_a_note(open_page: OpenPage, word: str) -> None:
    page = await open_page(reduced_motion="reduce")
    await search(page).fill(word)  # hides the notes of other tests: the more there are, the longer axe-core takes
    await write(page, f"{word} shown", "text")
    await button(await write(page, f"{word} gone"), "Delete").click()
    form = await edit(await write(page, f"{word} open"), page)
    await title(form).fill("")
    await button(form, "Save").click()
    await expect(form.get_by_role("status")).to_have_text("A note needs a title.")

    await has_no_violations(page)


async def test_notes_can_be_edited_with_the_keyboard_only(open_page: OpenPage, word: str) -> None:
    page = await open_page()
    press, write_ = page.keyboard.press, page.keyboard.type

    await press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await press("Enter")
    await press("Tab")
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


@pytest.mark.parametrize("width", NARROW)
async def test_nothing_is_cut_off_on_narrow_screens(open_page: OpenPage, word: str, width: int) -> None:
    page = await open_page(viewport={"width": width, "height": 600})
    await edit(await write(page, f"{word} {'long' * 40}", "wide" * 100), page)

    await has_nothing_cut_off(page, width)


async def test_nothing_jumps_while_the_page_loads_and_polls(open_page: OpenPage) -> None:
    await loads_without_jumps(await open_page("/docs"))


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
