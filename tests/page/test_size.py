"""The page is small enough to be read as it is sent."""

from tests.page.browser import sizes
from tests.page.fixtures import OpenPage


async def test_the_page_without_parts_is_small(open_page: OpenPage) -> None:
    found = await sizes(await open_page())

    assert {address.rpartition("/")[2] for address in found} == {"", "style.css", "page.js", "client.js"}
    assert sum(found.values()) < 21_000, found
