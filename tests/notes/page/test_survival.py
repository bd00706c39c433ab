"""What a person types is never lost, and sent once: through reloads, restarts and lost connections."""

import asyncio

import httpx
from playwright.async_api import Page, Route, expect

from harness.sandbox import Sandbox
from tests.notes.page.elements import composer, edit, note, text, title, write
from tests.page.browser import Conduct
from tests.page.elements import button, headline, story
from tests.page.fixtures import OpenPage
from workbench.stack import Stack


async def count(api: httpx.AsyncClient, word: str) -> int:
    return len((await api.get("/notes", params={"q": word})).json()["items"])


async def type_everywhere(page: Page, word: str) -> None:
    """Types text into the form for a new note and into the editor of another note."""
    form = await edit(await write(page, word), page)
    await text(form).fill(f"{word} in the editor")
    await title(composer(page)).fill(f"{word} new")
    await text(composer(page)).fill("half a sen")


async def nothing_typed_is_lost(page: Page, word: str) -> None:
    await expect(title(composer(page))).to_have_value(f"{word} new")
    await expect(text(composer(page))).to_have_value("half a sen")
    await expect(text(page.get_by_role("form", name=f"Edit: {word}"))).to_have_value(f"{word} in the editor")
    await expect(text(composer(page))).to_be_focused()


async def test_a_live_reload_loses_nothing(open_page: OpenPage, sources: Sandbox, word: str) -> None:
    page = await open_page()
    await type_everywhere(page, word)
    try:
        sources.append("service/errors.py", f"\n# {word}\n")

        await expect(headline(page)).to_have_text(f"Version {sources.version} answers")
        await nothing_typed_is_lost(page, word)
        await button(composer(page), "Add note").click()
        await expect(note(page, f"{word} new")).to_contain_text("half a sen")
    finally:
        sources.restore()


async def test_a_restart_of_the_database_loses_nothing(
    open_page: OpenPage, conduct: Conduct, workbench: Stack, api: httpx.AsyncClient, word: str
) -> None:
    conduct.allowed.append("status of 503")
    page = await open_page()
    await type_everywhere(page, word)

    await workbench.postgres.kill()
    try:
        await expect(story(page)).to_contain_text("The database has been down since")
        await nothing_typed_is_lost(page, word)
        await page.keyboard.press("Control+Enter")
        await expect(composer(page).get_by_role("status")).to_contain_text("No answer yet. Trying again")
        await expect(text(composer(page))).to_be_focused()
    finally:
        await workbench.postgres.start()

    await expect(note(page, f"{word} new")).to_contain_text("half a sen")
    await expect(story(page)).to_contain_text("is back after")
    await expect(text(page.get_by_role("form", name=f"Edit: {word}"))).to_have_value(f"{word} in the editor")
    assert await count(api, word) == 2
    # The stream of events has reconnected by itself too.
    await api.post("/notes", json={"title": f"{word} of somebody else"})
    await expect(note(page, f"{word} of somebody else")).to_be_visible()


async def test_a_lost_connection_loses_nothing(
    open_page: OpenPage, conduct: Conduct, api: httpx.AsyncClient, word: str
) -> None:
    conduct.allowed += ["ERR_INTERNET_DISCONNECTED", "ERR_NETWORK", "network error"]
    page = await open_page()
    await type_everywhere(page, word)

    await page.context.set_offline(True)
    await expect(story(page)).to_contain_text("Nothing that you typed is lost.")
    await nothing_typed_is_lost(page, word)
    await api.post("/notes", json={"title": f"{word} meanwhile"})

    await page.context.set_offline(False)
    await expect(story(page)).to_contain_text("The service is back after")
    await expect(note(page, f"{word} meanwhile")).to_be_visible()
    await nothing_typed_is_lost(page, word)


async def test_a_creation_without_an_answer_is_repeated_but_made_once(
    open_page: OpenPage, conduct: Conduct, api: httpx.AsyncClient, word: str
) -> None:
    conduct.allowed.append("ERR_CONNECTION_RESET")
    page = await open_page()
    keys: list[str | None] = []

    async def lose_the_first_answer(route: Route) -> None:
        if route.request.method != "POST":
            await route.continue_()
            return
        keys.append(await route.request.header_value("idempotency-key"))
        answer = await route.fetch()
        await (route.fulfill(response=answer) if len(keys) > 1 else route.abort("connectionreset"))

    await page.route("**/notes", lose_the_first_answer)
    await write(page, word)

    await expect(title(composer(page))).to_have_value("")
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert keys[0]
    assert await count(api, word) == 1
    await expect(note(page, word)).to_have_count(1)


async def test_a_save_that_takes_too_long_can_be_stopped(open_page: OpenPage, conduct: Conduct, word: str) -> None:
    conduct.allowed.append("ERR_FAILED")
    page = await open_page()
    blocked = asyncio.Event()

    async def block(route: Route) -> None:
        blocked.set()
        await route.abort()

    await page.route("**/notes", block)
    form = composer(page)
    await title(form).fill(word)
    await button(form, "Add note").click()
    await blocked.wait()
    await button(form, "Stop trying").click()

    await expect(form.get_by_role("status")).to_contain_text("Stopped.")
    await expect(title(form)).to_have_value(word)
    await expect(title(form)).to_be_editable()


async def test_only_another_text_is_another_note_after_a_stop(
    open_page: OpenPage, conduct: Conduct, word: str
) -> None:
    conduct.allowed.append("ERR_FAILED")
    page = await open_page()
    form = composer(page)
    keys: list[set[str | None]] = []

    async def block(route: Route) -> None:
        keys[-1].add(await route.request.header_value("idempotency-key"))
        await route.abort()

    await page.route("**/notes", block)
    await title(form).fill(word)
    for addition in ("", "", " changed"):
        keys.append(set())
        await title(form).press_sequentially(addition)
        await button(form, "Add note").click()
        await button(form, "Stop trying").click()
        await expect(form.get_by_role("status")).to_contain_text("Stopped.")

    (first,), (second,), (third,) = keys
    assert first == second != third
