"""The notes on the page, found by their roles and labels."""

from playwright.async_api import Locator, Page

from tests.page.elements import button


def composer(page: Page) -> Locator:
    return page.get_by_role("region", name="New note")


def title(form: Locator) -> Locator:
    return form.get_by_role("textbox", name="Title")


def text(form: Locator) -> Locator:
    return form.get_by_role("textbox", name="Text")


def listed(page: Page) -> Locator:
    return page.get_by_role("list", name="Notes")


def notes(page: Page) -> Locator:
    return listed(page).get_by_role("listitem")


def note(page: Page, content: str) -> Locator:
    return notes(page).filter(has_text=content)


def search(page: Page) -> Locator:
    return page.get_by_role("searchbox", name="Search the notes")


async def write(page: Page, name: str, content: str = "") -> Locator:
    """Creates a note; returns its card when it is shown."""
    form = composer(page)
    await title(form).fill(name)
    await text(form).fill(content)
    await button(form, "Add note").click()
    card = note(page, name)
    await card.wait_for()
    return card


async def edit(card: Locator, page: Page) -> Locator:
    """Opens the editor of a card; returns its form."""
    name = await card.get_by_role("heading").text_content()
    await button(card, "Edit").click()
    form = page.get_by_role("form", name=f"Edit: {name}")
    await form.wait_for()
    return form
