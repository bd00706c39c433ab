"""Users and their notes: what a person types outlives the session, and the way to the provider and back."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.notes.page.elements import composer, edit, note, notes, search, text, title, write
from tests.page.access import has_no_violations
from tests.page.browser import Conduct
from tests.page.elements import button
from tests.page.fixtures import OpenPage
from tests.page.provider import PageProvider
from tests.page.users import USERS, conduct_of_users, expire, sign_in, with_users
from tests.workbench.reload.live import Output
from workbench.console import Console
from workbench.machine.folders import ROOT
from workbench.stack import Stack

SIGNED_OUT = "/?"
"""The address of the page, without waiting for its notes."""


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[PageProvider]:
    async with PageProvider(USERS).running() as provider:
        yield provider


@pytest.fixture(scope="module")
async def workbench(browser: Browser, new_data: Callable[[], Path], provider: PageProvider) -> AsyncIterator[Stack]:
    async with Stack(with_users(new_data(), provider, ROOT), Console(Output())) as stack:
        yield stack


@pytest.fixture
def conduct(page_url: str, provider: PageProvider) -> Conduct:
    return conduct_of_users(page_url, provider)


async def test_what_is_typed_outlives_the_session(
    open_page: OpenPage, conduct: Conduct, provider: PageProvider, word: str
) -> None:
    conduct.allowed.append("status of 400")  # the refresh token is refused
    page = await open_page(SIGNED_OUT, reduced_motion="reduce")
    await expect(notes(page)).to_have_count(0)
    await expect(composer(page)).to_be_hidden()
    await sign_in(page, "ada", "Ada Lovelace")
    await expect(page.locator("#notes-command")).to_contain_text('curl --oauth2-bearer "$TOKEN" http')
    form = await edit(await write(page, f"{word} open", "before"), page)
    await text(form).fill("not saved yet")
    await button(await write(page, f"{word} gone", "as it was"), "Delete").click()
    await write(page, f"{word} stays")
    await title(composer(page)).fill(f"{word} new")
    await text(composer(page)).fill("typed\nin two lines")
    await search(page).fill(word)

    provider.ended = True
    await expire(page, provider, "ada")
    await button(composer(page), "Add note").click()
    await expect(composer(page).get_by_role("status")).to_have_text(
        "You are not signed in any more. Sign in again: your text is kept, and can be sent then."
    )
    await expect(text(composer(page))).to_be_editable()
    for action, refused in (("Delete", f"{word} stays"), ("Undo", f"{word} gone"), ("Save", f"{word} open")):
        card = page.get_by_role("form", name=f"Edit: {refused}") if action == "Save" else note(page, refused)
        await button(card, action).click()
        await expect(button(card, action)).to_be_enabled()
    await expect(note(page, f"{word} stays")).to_be_visible()
    await has_no_violations(page)
    provider.ended = False
    # A person who comes back without having signed in loses nothing either.
    await button(page, "Sign in again").click()
    await page.get_by_role("link", name="deny").click()
    await expect(page.locator("#gate-text")).to_contain_text("access_denied")
    await expect(page.locator("#gate-text")).to_contain_text("What you typed is kept.")

    await sign_in(page, "ada", "Ada Lovelace")
    await expect(search(page)).to_have_value(word)
    await expect(title(composer(page))).to_have_value(f"{word} new")
    await expect(text(composer(page))).to_have_value("typed\nin two lines")
    form = page.get_by_role("form", name=f"Edit: {word} open")
    await expect(text(form)).to_have_value("not saved yet")
    await button(form, "Save").click()
    await expect(note(page, f"{word} open")).to_contain_text("not saved yet")
    await button(note(page, f"{word} gone"), "Undo").click()
    await expect(note(page, f"{word} gone")).to_contain_text("as it was")
    await button(composer(page), "Add note").click()
    await expect(note(page, f"{word} new")).to_contain_text("in two lines")
    await expect(notes(page)).to_have_count(4)
    assert await page.evaluate("Object.keys(sessionStorage)") == ["session.tokens"]


async def test_nobody_gets_the_text_of_somebody_else(
    open_page: OpenPage, conduct: Conduct, provider: PageProvider, word: str
) -> None:
    conduct.allowed.append("status of 400")
    page = await open_page(SIGNED_OUT)
    await sign_in(page, "ada", "Ada Lovelace")
    await text(composer(page)).fill(word)
    provider.ended = True
    await expire(page, provider, "ada")
    await title(composer(page)).fill(word)
    await button(composer(page), "Add note").click()
    await expect(button(page, "Sign in again")).to_be_visible()
    provider.ended = False

    await sign_in(page, "eve", "eve@example.com")

    await expect(composer(page)).to_be_visible()
    await expect(text(composer(page))).to_have_value("")
    assert await page.evaluate("Object.keys(sessionStorage)") == ["session.tokens"]
