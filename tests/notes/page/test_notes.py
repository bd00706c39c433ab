"""Notes on the page are created, edited, deleted and restored, searched and scrolled; conflicts are resolved."""

import asyncio

import httpx
from playwright.async_api import Route, expect

from tests.notes.ingress.notes import import_notes
from tests.notes.page.elements import composer, edit, note, notes, search, text, title, write
from tests.page.browser import Conduct
from tests.page.elements import button
from tests.page.fixtures import OpenPage
from tests.waiting import WITHIN

RECONNECT = """async () => (await import("/static/client.js")).reconnect()"""


async def stored(api: httpx.AsyncClient, word: str) -> list[dict[str, object]]:
    items: list[dict[str, object]] = (await api.get("/notes", params={"q": word})).json()["items"]
    return items


async def test_a_note_is_created_and_edited_in_place(open_page: OpenPage, api: httpx.AsyncClient, word: str) -> None:
    page = await open_page()

    await write(page, f"{word} <b>one</b>", "first line\nsecond & last")
    card = note(page, word)
    await expect(card.get_by_role("heading")).to_have_text(f"{word} <b>one</b>")
    await expect(title(composer(page))).to_be_focused()
    await expect(title(composer(page))).to_have_value("")

    form = await edit(card, page)
    await expect(text(form)).to_have_value("first line\nsecond & last")
    await title(form).fill(f"{word} two")
    await button(form, "Save").click()

    await expect(card.get_by_role("heading")).to_have_text(f"{word} two")
    await expect(card).to_contain_text("version 2")
    await expect(button(card, "Edit")).to_be_focused()
    [kept] = await stored(api, word)
    assert (kept["title"], kept["body"]) == (f"{word} two", "first line\nsecond & last")


async def test_a_note_without_a_title_is_refused_and_its_text_is_kept(open_page: OpenPage) -> None:
    page = await open_page()
    form = composer(page)

    await text(form).fill("kept")
    await button(form, "Add note").click()

    await expect(form.get_by_role("status")).to_have_text("A note needs a title.")
    await expect(title(form)).to_be_focused()
    await expect(text(form)).to_have_value("kept")


async def test_a_conflict_between_two_tabs_is_resolved_by_a_choice(
    open_page: OpenPage, conduct: Conduct, word: str
) -> None:
    conduct.allowed.append("status of 412")
    one, other = await open_page(), await open_page()
    await write(one, word, "before")
    for theirs, mine, choice in (("theirs", "mine", "Save mine"), ("theirs again", "mine again", "Use theirs")):
        forms = [await edit(note(page, word), page) for page in (one, other)]
        await text(forms[1]).fill(theirs)
        await button(forms[1], "Save").click()
        await expect(forms[0].get_by_role("status")).to_contain_text("changed elsewhere just now")

        await text(forms[0]).fill(mine)
        await button(forms[0], "Save").click()
        await expect(forms[0].get_by_text("Somebody else changed this note")).to_be_focused()
        await expect(forms[0].locator("blockquote")).to_contain_text(theirs)
        await expect(text(forms[0])).to_have_value(mine)
        await button(one, choice).click()

        kept = mine if choice == "Save mine" else theirs
        for page in (one, other):
            await expect(note(page, word).get_by_text(kept, exact=True)).to_be_visible()
    await expect(button(note(one, word), "Edit")).to_be_focused()


async def test_the_text_for_a_deleted_note_is_kept(open_page: OpenPage, api: httpx.AsyncClient, word: str) -> None:
    page = await open_page()
    form = await edit(await write(page, word), page)
    await text(form).fill("not lost")

    await api.delete(f"/notes/{(await stored(api, word))[0]['id']}")
    await expect(form.get_by_text("Somebody else deleted this note")).to_be_focused()
    await button(form, "Save mine as a new note").click()

    await expect(note(page, word)).to_contain_text("not lost")
    assert [note["body"] for note in await stored(api, word)] == ["not lost"]


async def test_undo_restores_a_deleted_note_unchanged(open_page: OpenPage, api: httpx.AsyncClient, word: str) -> None:
    page, other = await open_page(), await open_page()
    await write(page, f"{word} one")
    card = await write(page, f"{word} two", "as it was")
    before = await stored(api, word)

    await button(card, "Delete").click()
    await expect(note(other, f"{word} two")).to_have_count(0)
    await expect(button(card, "Undo")).to_be_focused()
    assert len(await stored(api, word)) == 1
    await button(card, "Undo").click()

    await expect(note(page, f"{word} two")).to_contain_text("as it was")
    await expect(note(other, f"{word} two")).to_contain_text("as it was")
    assert await stored(api, word) == before


async def test_a_deletion_can_be_undone_if_its_event_comes_before_its_answer(
    open_page: OpenPage, api: httpx.AsyncClient, word: str
) -> None:
    page = await open_page()
    card = await write(page, f"{word} gone")

    async def answer_after_the_event(route: Route) -> None:
        if route.request.method != "DELETE":
            await route.continue_()
            return
        answer = await route.fetch()
        await api.post("/notes", json={"title": f"{word} later"})
        await expect(note(page, f"{word} later")).to_be_visible()  # events come in order
        await route.fulfill(response=answer)

    await page.route("**/notes/*", answer_after_the_event)
    await button(card, "Delete").click()

    await expect(button(card, "Undo")).to_be_focused()
    await button(card, "Undo").click()
    await expect(button(card, "Edit")).to_be_focused()


async def test_a_version_that_arrives_after_the_deletion_does_not_end_the_undo(
    open_page: OpenPage, api: httpx.AsyncClient, word: str
) -> None:
    page = await open_page()
    card = await write(page, f"{word} gone")
    [created] = await stored(api, word)
    note_id = str(created["id"])
    read, deleted = asyncio.Event(), asyncio.Event()

    async def answer_late(route: Route) -> None:
        """The event of a change comes before its answer, so the page reads the note; that answer comes last."""
        answer = await route.fetch()
        if route.request.method == "PUT":
            await read.wait()
        elif route.request.method == "GET":
            read.set()
            await deleted.wait()
        await route.fulfill(response=answer)

    await page.route(f"**/notes/{note_id}", answer_late)
    form = await edit(card, page)
    await text(form).fill("changed")
    await button(form, "Save").click()
    await expect(button(card, "Edit")).to_be_focused()
    await button(card, "Delete").click()
    await expect(button(card, "Undo")).to_be_focused()
    async with page.expect_response(lambda answer: answer.request.method == "GET" and answer.url.endswith(note_id)):
        deleted.set()
    await api.post("/notes", json={"title": f"{word} later"})
    await expect(note(page, f"{word} later")).to_be_visible()  # after the late version

    await expect(button(card, "Undo")).to_be_focused()


async def test_an_event_of_a_deletion_that_comes_after_the_undo_changes_nothing(
    open_page: OpenPage, api: httpx.AsyncClient, word: str
) -> None:
    page = await open_page()
    card = await write(page, f"{word} back")
    await button(card, "Delete").click()
    await button(card, "Undo").click()
    await expect(button(card, "Edit")).to_be_focused()
    [restored] = await stored(api, word)
    event = f'id: 1-1\nevent: deleted\ndata: {{"id": "{restored["id"]}", "version": 1}}\n\n'
    late = [event]

    async def answer_late(route: Route) -> None:
        if late:
            await route.fulfill(headers={"content-type": "text/event-stream"}, body=late.pop())

    await page.route("**/notes/events", answer_late)
    async with page.expect_response(f"**/notes/{restored['id']}"):
        await page.evaluate(RECONNECT)

    await expect(button(card, "Edit")).to_be_focused()
    await page.unroute_all(behavior="ignoreErrors")


async def test_the_search_finds_notes_while_typing(open_page: OpenPage, api: httpx.AsyncClient, word: str) -> None:
    await import_notes(api, ({"title": f"Sailing {number}", "body": f"{word} tides"} for number in range(60)))
    page = await open_page()
    await write(page, f"{word}x", "of the page")

    await search(page).press_sequentially(word[:5])
    await expect(note(page, f"{word}x")).to_have_count(1)  # part of a word: found among the loaded notes
    await search(page).fill(f"{word} tide sails")  # stems of words: found by the service, page by page
    await expect(note(page, f"{word}x")).to_have_count(0)
    await expect(page.get_by_text("50 or more found")).to_be_visible()
    await notes(page).last.scroll_into_view_if_needed()
    await expect(notes(page)).to_have_count(60)
    await expect(page.get_by_text("60 found")).to_be_visible()

    await search(page).fill(f"{word} nowhere")
    await expect(page.get_by_text("Nothing found.")).to_be_visible()
    await search(page).fill("")
    await expect(note(page, f"{word}x")).to_have_count(1)


async def test_a_note_that_is_created_while_the_list_is_read_again_stays(
    open_page: OpenPage, api: httpx.AsyncClient, word: str
) -> None:
    page = await open_page()
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def answer_late(route: Route) -> None:
        response = await route.fetch()
        asked.set()
        await go_on.wait()
        await route.fulfill(response=response)

    await page.route("**/notes?limit=50", answer_late)
    await import_notes(api, ({"title": f"{word} imported {number}"} for number in range(20)))  # one event, a reset
    async with asyncio.timeout(WITHIN):
        await asked.wait()
    await write(page, f"{word} written")
    go_on.set()

    await expect(note(page, f"{word} imported 7")).to_be_visible()
    await expect(note(page, f"{word} written")).to_be_visible()


async def test_five_hundred_notes_can_be_scrolled(open_page: OpenPage, api: httpx.AsyncClient, word: str) -> None:
    titles = [f"{word} {number}" for number in range(500)]
    page = await open_page()
    await import_notes(api, ({"title": name} for name in titles))
    await expect(note(page, titles[-1])).to_be_visible()  # a reset event made the page read the list again

    oldest = note(page, titles[0]).first
    ours = note(page, f"{word} ")
    while (count := await ours.count()) < 500:
        # Not the End key: on a busy machine Chromium scrolls to where the page ended before the last notes came.
        await page.evaluate("scrollTo({top: document.documentElement.scrollHeight, behavior: 'instant'})")
        await expect(ours.nth(count)).to_be_attached()

    await oldest.scroll_into_view_if_needed()
    await expect(oldest).to_be_in_viewport()
    shown = await notes(page).get_by_role("heading").all_text_contents()
    assert [name for name in shown if name.startswith(word)] == titles[::-1]


async def test_late_reports_of_the_intersection_observer_are_handled(
    open_page: OpenPage, api: httpx.AsyncClient, word: str
) -> None:
    """A busy browser delivers several reports at once, the oldest one first."""
    await import_notes(api, ({"title": f"{word} {number}"} for number in range(60)))
    page = await open_page()
    await page.add_init_script("""
        window.IntersectionObserver = class extends IntersectionObserver {
            constructor(report, options) {
                super((entries) => report([{ isIntersecting: false }, ...entries]), options);
            }
        };
    """)
    await page.reload()
    await expect(note(page, f"{word} 59")).to_be_visible()

    await notes(page).last.scroll_into_view_if_needed()

    await expect(note(page, f"{word} ")).to_have_count(60)


async def test_changes_of_other_clients_are_shown(open_page: OpenPage, api: httpx.AsyncClient, word: str) -> None:
    page = await open_page()

    await api.post("/notes", json={"title": word})
    await expect(note(page, word)).to_be_visible()

    path = f"/notes/{(await stored(api, word))[0]['id']}"
    await api.put(path, json={"title": f"{word} changed"})
    await expect(note(page, f"{word} changed")).to_be_visible()
    await api.delete(path)
    await expect(note(page, word)).to_have_count(0)
