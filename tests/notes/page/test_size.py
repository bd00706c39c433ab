"""The page stays small with the notes on it."""

from tests.page.browser import sizes
from tests.page.fixtures import OpenPage


async def test_the_page_with_notes_is_small(open_page: OpenPage) -> None:
    found = await sizes(await open_page())

    assert sum(found.values()) < 42_500, found
    files = {
        "",
        "style.css",
        "page.js",
        "client.js",
        "notes/page.css",
        "notes/page.js",
        "notes/card.js",
        "notes/form.js",
    }
    assert {address.partition("/static/")[2] for address in found} == files
