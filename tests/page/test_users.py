"""Users on the pages: they sign in and out, sessions go on or end, and nobody gets in by a forged address."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from playwright.async_api import Browser, Locator, Page, Request, Route, expect

from tests.page.access import has_no_violations, has_nothing_cut_off, loads_without_jumps
from tests.page.browser import Conduct, sizes
from tests.page.elements import button
from tests.page.fixtures import OpenPage
from tests.page.provider import PageProvider
from tests.page.test_client import CALL, FOLLOW, RECONNECT, until
from tests.page.users import USERS, conduct_of_users, expire, sign_in, with_users
from tests.probe.project import MODULE, probe_sandbox
from tests.probe.stack import probe_stack
from tests.service.users import OWNERS
from tests.waiting import eventually
from tests.workbench.reload.live import Output
from workbench.console import Console
from workbench.stack import Stack

STORED = "Object.keys(sessionStorage)"


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[PageProvider]:
    async with PageProvider(USERS).running() as provider:
        yield provider


@pytest.fixture(scope="module")
def output() -> Output:
    """What the workbench prints."""
    return Output()


@pytest.fixture(scope="module")
async def workbench(
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
    new_data: Callable[[], Path],
    provider: PageProvider,
    output: Output,
) -> AsyncIterator[Stack]:
    """The things belong to users here."""
    sources = probe_sandbox(tmp_path_factory.mktemp("owned"))
    sources.edit(MODULE, "DOMAIN: Domain = Domain(", "DOMAIN: Domain = Domain(owned=True, ")
    async with probe_stack(with_users(new_data(), provider, sources.root), Console(output)) as stack:
        owner = await asyncpg.connect(stack.postgres.url("app_owner"))
        await owner.execute(OWNERS)
        await owner.close()
        yield stack


@pytest.fixture
def conduct(page_url: str, provider: PageProvider) -> Conduct:
    return conduct_of_users(page_url, provider)


def gate(page: Page) -> Locator:
    return page.get_by_role("region", name="Sign in")


async def ask(page: Page, path: str) -> int:
    """The status of a request that the page sends."""
    answer: dict[str, int] = await page.evaluate(CALL, ["ask", path])
    return answer["status"]


async def test_a_user_signs_in_and_out(
    open_page: OpenPage, provider: PageProvider, page_url: str, output: Output
) -> None:
    page = await open_page(reduced_motion="reduce")
    await expect(gate(page)).to_contain_text("What is here belongs to users.")
    await expect(page.get_by_role("region", name="API")).to_be_hidden()
    assert await ask(page, "/things") == 401
    await has_no_violations(page)

    await button(page, "Sign in").click()
    await page.get_by_role("link", name="ada").wait_for()
    asked = {name: value for name, [value] in parse_qs(urlsplit(page.url).query).items()}
    assert asked["redirect_uri"] == f"{page_url}/"
    assert asked["scope"] == "openid email profile groups offline_access"
    assert len(asked["state"]) >= 43
    assert "code_verifier" not in asked
    await page.get_by_role("link", name="ada").click()

    await expect(page.locator("#user-name")).to_have_text("Ada Lovelace")
    await expect(page.locator("#user-role")).to_be_hidden()
    await expect(gate(page)).to_be_hidden()
    await expect(page.get_by_role("region", name="API")).to_be_visible()
    assert page.url == f"{page_url}/"
    assert await page.evaluate(STORED) == ["session.tokens"]
    assert await ask(page, "/things") == 200
    await has_no_violations(page)
    assert sum((await sizes(page)).values()) < 35_000

    async with page.expect_navigation():
        await button(page, "Sign out").click()
    await expect(button(page, "Sign in")).to_be_visible()
    assert await page.evaluate(STORED) == []
    assert await ask(page, "/things") == 401
    assert provider.calls[-1] == "revoke 200"
    await sign_in(page, "eve", "eve@example.com")
    await expect(page.locator("#user-role")).to_have_text("admin")
    await loads_without_jumps(page)
    await expect(page.locator("#user-role")).to_have_text("admin")
    printed = "\n".join(output.lines)
    assert "GET / 200" in printed
    assert not [secret for secret in provider.secrets if secret in printed]


async def test_who_does_not_sign_in_stays_out(
    open_page: OpenPage, conduct: Conduct, provider: PageProvider, page_url: str
) -> None:
    conduct.allowed.append("status of 503")
    page = await open_page("/docs")
    await loads_without_jumps(page)
    await button(page, "Sign in").click()
    await page.get_by_role("link", name="deny").click()
    await expect(gate(page)).to_contain_text("The identity provider says: access_denied: <b>no</b>.")
    assert page.url == f"{page_url}/"

    # A link of somebody else, who would like this person to work in another account.
    before = len(provider.calls)
    await page.goto("/?code=abc&state=abc")
    await expect(gate(page)).to_contain_text("did not begin in this tab")
    assert page.url == f"{page_url}/"
    # A sign-in that has begun here counts once, and with its own state only.
    await button(page, "Sign in").click()
    link = await page.get_by_role("link", name="ada").get_attribute("href") or ""
    await page.goto(re.sub("state=[^&]+", "state=other", link))
    await expect(gate(page)).to_contain_text("did not begin in this tab")
    await page.goto(link)
    await expect(gate(page)).to_contain_text("did not begin in this tab")
    assert len(provider.calls) == before
    assert await page.evaluate(STORED) == []

    provider.away = "/auth"
    await button(page, "Sign in").click()
    await expect(gate(page)).to_contain_text("does not answer (status 503). Try again in a moment.")
    provider.away = "nothing"


async def test_an_expired_session_goes_on_or_ends(
    open_page: OpenPage, conduct: Conduct, provider: PageProvider
) -> None:
    conduct.allowed.append("status of (400|503)")
    page = await open_page(viewport={"width": 320, "height": 700}, reduced_motion="reduce")
    await sign_in(page, "ada", "Ada Lovelace")
    await has_nothing_cut_off(page, 320)
    streams: list[Request] = []
    page.on("request", lambda request: streams.append(request) if request.url.endswith("/events") else None)

    async def followed(times: int) -> None:
        async def enough() -> bool:
            return len([stream for stream in streams if (answer := await stream.response()) and answer.ok]) >= times

        await eventually(enough, "the stream is open")

    await page.evaluate(FOLLOW, ["/things/events"])
    await followed(1)
    await expire(page, provider, "ada")
    before = len(provider.calls)
    assert await page.evaluate("""async () => {
        const { ask } = await import("/static/client.js");
        return (await Promise.all([1, 2, 3].map(() => ask("/things")))).map(({ status }) => status);
    }""") == [200, 200, 200]
    assert provider.calls[before:] == ["refresh_token 200"]

    await expire(page, provider, "ada")
    await page.evaluate(RECONNECT)
    await followed(2)
    assert provider.calls[before:] == ["refresh_token 200"] * 2

    # A provider that does not answer ends no session.
    provider.away = "/auth/token"
    await expire(page, provider, "ada")
    async with page.expect_response(lambda answer: answer.status == 503):
        await page.evaluate("""async () => {
            const { insist } = await import("/static/client.js");
            insist("/things").then(({ status }) => (window.outcome = status));
        }""")
    provider.away = "nothing"

    assert await until(page, "window.outcome") == 200
    await expect(page.locator("html")).to_have_attribute("data-user", "in")

    provider.ended = True
    await expire(page, provider, "ada")
    assert await ask(page, "/things") == 401
    await expect(gate(page)).to_contain_text("Your session has ended.")
    await expect(button(gate(page), "Sign in again")).to_be_in_viewport()
    await expect(page.get_by_role("region", name="API")).to_be_visible()
    await has_no_violations(page)
    await has_nothing_cut_off(page, 320)
    provider.ended = False
    count = len(streams)
    await page.evaluate(RECONNECT)
    async with page.expect_response("/"):  # the strip goes on
        pass
    assert len(streams) == count
    await sign_in(page, "ada", "Ada Lovelace")


async def test_the_page_says_where_it_cannot_sign_in(
    open_page: OpenPage, provider: PageProvider, page_url: str
) -> None:
    page = await open_page("/docs")

    async def behind_the_ingress(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, body=(await answer.text()).replace(provider.issuer, "/auth"))

    async def of_somebody_else(route: Route) -> None:
        await route.fulfill(json={"issuer": "https://id.example"})

    await page.route("**/", behind_the_ingress)
    await page.route(f"{page_url}/auth/.well-known/openid-configuration", of_somebody_else)
    await page.goto("/")
    await button(page, "Sign in").click()
    await expect(gate(page)).to_contain_text(f"{page_url}/auth calls itself https://id.example: open this page at")

    await page.add_init_script("Object.defineProperty(crypto, 'subtle', { value: undefined })")
    await page.goto("/")
    await expect(gate(page)).to_contain_text("Signing in needs https, or the host localhost")
    await expect(button(page, "Sign in")).to_be_hidden()


async def test_the_docs_sign_in_with_the_same_provider(
    open_page: OpenPage, conduct: Conduct, provider: PageProvider
) -> None:
    conduct.allowed += ["status of 503", "does not answer"]
    provider.away = "/auth"
    page = await open_page("/docs", reduced_motion="reduce")
    await button(page, "Authorize").click()
    await expect(page.locator(".auth-container")).to_have_text(re.compile("http, Bearer"))
    provider.away = "nothing"
    await page.reload()
    await button(page, "Authorize").click()
    form = page.locator(".auth-container", has_text="authorizationCode")
    await expect(form).to_contain_text("PKCE")
    await has_no_violations(page)
    async with page.expect_popup() as opened:
        await button(form, "Apply given OAuth2 credentials").click()
    popup = await opened.value
    async with popup.expect_event("close"):
        await popup.get_by_role("link", name="ada").click()
    await expect(button(form, "Remove authorization")).to_be_visible()
    assert provider.calls[-1] == "authorization_code 200"
    await button(page.locator(".modal-ux"), "Close").last.click()

    await page.locator(".opblock", has=page.get_by_role("button", name="get /things", exact=True)).click()
    await button(page, "Try it out").click()
    await button(page, "Execute").click()
    await expect(page.locator(".live-responses-table .response-col_status").nth(1)).to_have_text(re.compile("^200"))
