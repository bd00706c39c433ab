"""Takes pictures of the page: python -m tests.page.screenshots (make screenshots) writes them to PICTURES.

They show a separate workbench with three replicas in the middle of a change from one version to the next, and its
first user if it has users. If there is a file `tests/NAME/page/rows.ndjson`, its lines are imported at `/NAME/import`
first, so that a part has something to show.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.async_api import Browser, Page, expect

from harness.sandbox import Sandbox
from harness.sign_in import to_stack
from tests.page.browser import Conduct, NoBrowser, chromium, new_page
from workbench.console import Console
from workbench.errors import WorkbenchError
from workbench.identity.registered import read
from workbench.machine import passwords
from workbench.machine.folders import ROOT
from workbench.options import StackOptions, users_by_default, with_users
from workbench.stack import Stack

PICTURES = ROOT / "docs" / "measured"
FORMS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 800}},
    "narrow": {"color_scheme": "light", "viewport": {"width": 390, "height": 800}, "device_scale_factor": 1.25},
}
LINKS = {"tilt": 10350, "grafana": 3000, "prometheus": 9090, "jaeger": 16686}


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder, (Path(folder) / "log").open("w") as log:
        sources = Sandbox(Path(folder) / "sources")
        options = StackOptions(
            data=Path(folder) / "data",
            replicas=3,
            service=(sys.executable, "-m", "workbench.reload"),
            sources=sources.root,
            settings={f"SERVICE_LINK_{name.upper()}": f"http://localhost:{port}" for name, port in LINKS.items()},
            secrets=Path(folder) / "secrets",
        )
        options = with_users(options) if users_by_default() else options
        async with chromium() as browser, Stack(options, Console(log)) as stack:
            await import_rows(stack)
            await take(browser, stack, sources)


async def import_rows(stack: Stack) -> None:
    headers = {"content-type": "application/x-ndjson"}
    async with httpx.AsyncClient(base_url=stack.ingress_url, auth=to_stack(stack), headers=headers) as client:
        for file in sorted((ROOT / "tests").glob("*/page/rows.ndjson")):
            answer = await client.post(f"/{file.parents[1].name}/import", content=file.read_bytes())
            answer.raise_for_status()


async def take(browser: Browser, stack: Stack, sources: Sandbox) -> None:
    """Takes all pictures at the same moment, when a third of the strip shows requests after the change."""
    conduct = Conduct(urlsplit(stack.ingress_url).netloc)
    pages = {name: await new_page(browser, stack.ingress_url, conduct, **options) for name, options in FORMS.items()}
    for page in pages.values():
        await page.goto("/")
        if stack.options.provider:
            await sign_in(page, stack, stack.options.provider)
    await asyncio.gather(*(marks(page, 40) for page in pages.values()))
    sources.append("service/errors.py", "\n# Another version.\n")
    await asyncio.gather(*(marks(page, 60) for page in pages.values()))
    PICTURES.mkdir(exist_ok=True)
    for name, page in pages.items():
        await expect(page.get_by_role("heading", level=1)).to_contain_text(sources.version)
        path = PICTURES / f"page-{name}.png"
        await page.screenshot(path=path, full_page=True)
        sys.stdout.write(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1000:.0f} kB\n")
        await page.context.close()
    conduct.check()


async def sign_in(page: Page, stack: Stack, provider: Path) -> None:
    """Through the form of the identity provider, and back."""
    user = read(provider, stack.ingress_url).users[0]
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("Name or e-mail").fill(user.id)
    await page.get_by_label("Password").fill(passwords.of_user(user.id, stack.options.secrets).read_text().strip())
    await page.keyboard.press("Enter")
    await expect(page.locator("#user-name")).to_be_visible()


async def marks(page: Page, count: int) -> None:
    await expect(page.locator(".mark")).to_have_count(count, timeout=120_000)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (NoBrowser, WorkbenchError) as error:
        sys.exit(f"make screenshots: {error}")
