"""A browser gets errors as a small page that shows the request id and what to do."""

import httpx
import pytest
from playwright.async_api import expect

from tests.page.browser import Conduct
from tests.page.fixtures import OpenPage
from workbench.stack import Stack


@pytest.mark.parametrize(
    ("path", "status", "title", "detail"),
    [
        ("/nothing/<script>alert(1)</script>", 404, "Not Found", "There is nothing at this path."),
        ("/things?<i>limit</i>=7", 422, "Unprocessable Content", "<i>limit</i>: is unknown"),
        ("/things/import", 405, "Method Not Allowed", "This path does not support this method."),
    ],
)
async def test_an_error_is_a_page(
    open_page: OpenPage, conduct: Conduct, path: str, status: int, title: str, detail: str
) -> None:
    conduct.allowed.append(f"status of {status}")
    page = await open_page("/docs")

    answer = await page.goto(path)

    assert answer is not None
    assert answer.status == status
    await expect(page.get_by_role("heading", level=1)).to_have_text(title)
    await expect(page.get_by_role("main")).to_contain_text(detail)
    await expect(page.get_by_role("main")).to_contain_text(answer.headers["x-request-id"])
    await page.get_by_role("link", name="Start page").click()
    await expect(page).to_have_url("/")


async def test_a_browser_waits_for_the_database_and_retries(
    open_page: OpenPage, conduct: Conduct, workbench: Stack, api: httpx.AsyncClient
) -> None:
    # The style sheet fails too: the page of the gateway loads it from the service, which no replica serves now.
    conduct.allowed += ["status of 503", "'application/problem.json'.* is not a supported stylesheet MIME type"]
    page = await open_page("/docs")
    await workbench.postgres.kill()
    try:
        answer = await page.goto("/things")
        assert answer is not None
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        await expect(page.get_by_role("main")).to_contain_text("This usually passes within seconds")
        assert (await api.get("/things")).headers["content-type"] == "application/problem+json"
    finally:
        await workbench.postgres.start()

    # Until then the answer is an error page, of the service or of the gateway, with this link.
    while answer is None or answer.status == 503:
        async with page.expect_navigation() as navigation:
            await page.get_by_role("link", name="Try again").click()
        answer = await navigation.value
    assert answer.status == 200
    await expect(page.get_by_text('"items"')).to_be_visible()
