"""Takes the pictures of the README: python -m tests.page.screenshots (make screenshots) writes page-*.png.

They show a separate workbench with three replicas in the middle of a change from one version to the next.
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
from tests.notes.ingress.notes import import_notes
from tests.page.browser import Conduct, NoBrowser, chromium, new_page
from workbench.console import Console
from workbench.errors import WorkbenchError
from workbench.machine.folders import ROOT
from workbench.options import StackOptions
from workbench.stack import Stack

FOLDER = ROOT / "docs" / "measured"
PICTURES: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 800}},
    "narrow": {"color_scheme": "light", "viewport": {"width": 390, "height": 800}, "device_scale_factor": 1.25},
}
LINKS = {"tilt": 10350, "grafana": 3000, "prometheus": 9090, "jaeger": 16686}
NOTES = (
    ("Crew for Saturday", "Ines, Tom and Aylin. Somebody has to bring the dog."),
    ("Tide table", "High water at 11:52 and at 00:17. The wind will be from the south-west, 3 to 4."),
    ("Launch checklist", "Plugs in. Lines clear. Nobody below. Then let go."),
)


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
            async with httpx.AsyncClient(base_url=stack.ingress_url) as client:
                await import_notes(client, ({"title": title, "body": body} for title, body in NOTES))
            await take(browser, stack.ingress_url, sources)


async def take(browser: Browser, url: str, sources: Sandbox) -> None:
    """Takes all pictures at the same moment, when a third of the strip shows requests after the change."""
    conduct = Conduct(urlsplit(url).netloc)
    pages = {name: await new_page(browser, url, conduct, **options) for name, options in PICTURES.items()}
    for page in pages.values():
        await page.goto("/")
    await asyncio.gather(*(marks(page, 40) for page in pages.values()))
    sources.append("service/errors.py", "\n# Another version.\n")
    await asyncio.gather(*(marks(page, 60) for page in pages.values()))
    FOLDER.mkdir(exist_ok=True)
    for name, page in pages.items():
        await expect(page.get_by_role("heading", level=1)).to_contain_text(sources.version)
        path = FOLDER / f"page-{name}.png"
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
