"""What makes a page accessible, checked in Chromium: axe-core's rules, layout shifts, and what is cut off."""

import importlib.util
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Page, expect

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

# The rules of axe-core for each scheme: all of them, and those about colours.
_RULES: dict[Literal["light", "dark"], dict[str, Any]] = {"light": {}, "dark": {"runOnly": "cat.color"}}

# 640 is 1280 pixels at a zoom of 200 %; WCAG 1.4.10 requires 320.
NARROW = (640, 320)

# Layout shifts that no recent input caused (https://web.dev/articles/cls).
_COUNT_SHIFTS = """
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry.value);
    }).observe({ type: "layout-shift", buffered: true });
"""
_OUTSIDE = """(width) => [...document.querySelectorAll("main *:not(.unseen)")]
    .filter((element) => element.checkVisibility() && element.getBoundingClientRect().right > width + 1)
    .map((element) => element.outerHTML.slice(0, 80))"""


async def has_no_violations(page: Page) -> None:
    """Fails on every violation that axe-core finds, even minor ones. In dark only the colours are others."""
    await page.evaluate(_axe())
    for scheme, options in _RULES.items():
        await page.emulate_media(color_scheme=scheme)
        found: dict[str, Any] = await page.evaluate("(options) => axe.run(options)", options)
        assert "color-contrast" in {rule["id"] for rule in found["passes"]}
        assert [
            f"{scheme}, {rule['impact']}: {rule['help']}: {node['target']} {node.get('failureSummary', '')}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ] == []


async def has_nothing_cut_off(page: Page, width: int) -> None:
    """Fails if a page in a window of this width has to be scrolled sideways, or has an element that reaches out."""
    await does_not_scroll_sideways(page, width)
    assert await page.evaluate(_OUTSIDE, width) == []


async def does_not_scroll_sideways(page: Page, width: int) -> None:
    assert await page.evaluate("document.documentElement.scrollWidth") == width


async def loads_without_jumps(page: Page) -> None:
    """Loads the page at `/`, and fails if its elements move until it has sent a dozen requests."""
    await page.add_init_script(_COUNT_SHIFTS)
    await page.goto("/")
    await expect(page.locator(".mark").nth(11)).to_be_attached()

    assert sum(await page.evaluate("shifts")) < 0.02


def _axe() -> str:
    """The script of axe-core. Only this file of the package is needed, so the package is not imported."""
    spec = importlib.util.find_spec("axe_playwright_python")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "axe.min.js").read_text()
