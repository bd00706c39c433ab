"""The elements of the page that do not belong to a domain, found by their roles and ids."""

from playwright.async_api import Locator, Page


def button(place: Page | Locator, name: str) -> Locator:
    return place.get_by_role("button", name=name)


def story(page: Page) -> Locator:
    return page.locator("#story")


def headline(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


def strip(page: Page) -> Locator:
    return page.locator("#strip")
