"""Takes the picture of Tilt's UI: python -m tests.page.tilt (make screenshot-tilt) writes tilt.png.

Needs a running `tilt up`. First triggers the checks, which otherwise only run on demand; then takes the picture when
every resource is healthy.
"""

import asyncio
import json
import shutil
import subprocess
import sys
from typing import Any

from playwright.async_api import Browser

from tests.page.browser import NoBrowser, chromium
from workbench.machine.folders import ROOT

UI = "http://localhost:10350/overview"
PICTURE = ROOT / "docs" / "measured" / "tilt.png"
WIDTH = 1600
HEALTHY_WITHIN = 600.0  # s: the tests of the ingress, lint, and a minute of load take that long


async def main() -> None:
    for name, status in resources().items():
        if status["updateStatus"] == "none":
            tilt("trigger", name)
    async with asyncio.timeout(HEALTHY_WITHIN):
        while unhealthy := {name: status for name, status in resources().items() if not is_healthy(status)}:
            for name, status in unhealthy.items():
                if "error" in (status["updateStatus"], status["runtimeStatus"]):
                    sys.exit(f"make screenshot-tilt: {name} failed: see `tilt logs {name}`")
            sys.stdout.write(f"waiting for {', '.join(unhealthy)}\n")
            await asyncio.sleep(5)
    async with chromium() as browser:
        await take(browser)


def resources() -> dict[str, dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(tilt("get", "uiresources", "--output=json"))["items"]
    return {item["metadata"]["name"]: item["status"] for item in items}


def is_healthy(status: dict[str, Any]) -> bool:
    return status["updateStatus"] in {"ok", "not_applicable"} and status["runtimeStatus"] in {"ok", "not_applicable"}


def tilt(*arguments: str) -> str:
    if shutil.which("tilt") is None:
        sys.exit("make screenshot-tilt: tilt is not installed: run `mise install`")
    done = subprocess.run(["tilt", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"make screenshot-tilt: tilt {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


async def take(browser: Browser) -> None:
    """The table scrolls inside the window, so the window is made high enough for the whole table."""
    page = await browser.new_page(viewport={"width": WIDTH, "height": 900})
    await page.goto(UI)
    table = page.get_by_label("Resources overview")
    await table.wait_for()
    bottom = await table.evaluate("table => table.getBoundingClientRect().top + table.scrollHeight")
    await page.set_viewport_size({"width": WIDTH, "height": int(bottom) + 16})
    await page.mouse.move(0, 0)
    PICTURE.parent.mkdir(exist_ok=True)
    await page.screenshot(path=PICTURE)
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)}  {PICTURE.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except NoBrowser as error:
        sys.exit(f"make screenshot-tilt: {error}")
