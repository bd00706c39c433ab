"""Takes pictures of the page: python -m tests.page.screenshots (make screenshots) writes them to PICTURES.

They show a separate workbench with three replicas in the middle of a change from one version to the next. If there is
a file `tests/NAME/page/rows.ndjson`, its lines are imported at `/NAME/import` first, so that a part has something to
show.
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
from tests.page.browser import Conduct, NoBrowser, chromium, new_page
from workbench.console import Console
from workbench.errors import WorkbenchError
from workbench.machine.folders import ROOT
from workbench.options import StackOptions
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
        )
        async with chromium() as browser, Stack(options, Console(log)) as stack:
            await import_rows(stack.ingress_url)
            await take(browser, stack.ingress_url, sources)


async def import_rows(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, headers={"content-type": "application/x-ndjson"}) as client:
        for file in sorted((ROOT / "tests").glob("*/page/rows.ndjson")):
            answer = await client.post(f"/{file.parents[1].name}/import", content=file.read_bytes())
            answer.raise_for_status()


async def take(browser: Browser, url: str, sources: Sandbox) -> None:
    """Takes all pictures at the same moment, when a third of the strip shows requests after the change."""
    conduct = Conduct(urlsplit(url).netloc)
    pages = {name: await new_page(browser, url, conduct, **options) for name, options in FORMS.items()}
    for page in pages.values():
        await page.goto("/")
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


async def marks(page: Page, count: int) -> None:
    await expect(page.locator(".mark")).to_have_count(count, timeout=120_000)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (NoBrowser, WorkbenchError) as error:
        sys.exit(f"make screenshots: {error}")
