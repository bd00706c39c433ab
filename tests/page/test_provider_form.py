"""The sign-in form of the workbench's identity provider, in a browser: from the page and back to it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, expect

from tests.page.access import NARROW, has_no_violations, has_nothing_cut_off
from tests.page.browser import Conduct, new_page
from tests.page.elements import button
from tests.servers import SERVER
from tests.waiting import PATIENT
from workbench.console import Console
from workbench.options import StackOptions, with_users
from workbench.stack import Stack


@pytest.fixture(scope="module")
async def workbench(browser: Browser, new_data: Callable[[], Path]) -> AsyncIterator[Stack]:
    data = new_data()
    options = StackOptions(data=data, settings={"SERVICE_SERVER": SERVER, **PATIENT}, secrets=data / "secrets")
    with (data.parent / f"{data.name}.log").open("w") as log:
        async with Stack(with_users(options), Console(log)) as stack:
            yield stack


@pytest.fixture
async def form(browser: Browser, workbench: Stack) -> AsyncIterator[Page]:
    """The form to which the page leads."""
    conduct = Conduct(urlsplit(workbench.ingress_url).netloc, allowed=["status of 401"])
    page = await new_page(browser, workbench.ingress_url, conduct)
    await page.goto("/")
    await button(page, "Sign in").click()
    await page.get_by_label("Password").wait_for()
    yield page
    await page.context.close()
    conduct.check()


async def test_a_person_signs_in_by_keyboard_after_a_mistake(form: Page, workbench: Stack) -> None:
    password = (workbench.options.secrets / "user-grace-password").read_text().strip()
    await expect(form.get_by_label("Name or e-mail")).to_be_focused()
    await form.keyboard.type("grace")
    await form.keyboard.press("Tab")
    await form.keyboard.type("wrong")
    await form.keyboard.press("Enter")
    await expect(form.get_by_role("alert")).to_contain_text("do not belong together")
    await expect(form.get_by_label("Name or e-mail")).to_have_value("grace")
    await expect(form.get_by_label("Password")).to_be_focused()
    await form.keyboard.type(password)
    await form.keyboard.press("Enter")

    await expect(form.locator("#user-name")).to_have_text("grace")
    await expect(form.locator("#user-role")).to_have_text("admin")
    async with form.expect_navigation():
        await button(form, "Sign out").click()
    await expect(button(form, "Sign in")).to_be_visible()


async def test_everyone_can_use_it(form: Page) -> None:
    await has_no_violations(form)
    for width in NARROW:
        await form.set_viewport_size({"width": width, "height": 800})
        await has_nothing_cut_off(form, width)
