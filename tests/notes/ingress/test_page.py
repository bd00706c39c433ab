"""The notes on the page at `/`, and their links."""

import httpx


async def test_the_root_links_to_the_notes_and_their_events(client: httpx.AsyncClient) -> None:
    links = (await client.get("/")).json()["links"]

    assert (links["notes"], links["events"]) == ("/notes", "/notes/events")


async def test_the_page_has_the_notes(client: httpx.AsyncClient) -> None:
    page = (await client.get("/", headers={"accept": "text/html"})).text

    assert '<div id="notes-part">' in page
    assert '<script type="module" src="/static/notes/page.js"></script>' in page
