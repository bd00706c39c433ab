"""The pictures of the documentation, from the results: python -m bench.speed.plot RESULTS.json PICTURE.svg"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from bench.speed.contenders import CONTENDERS, SERVICE

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600 } .quiet { fill: #57606a } .bar { fill: #afb8c1 } .own { fill: #0969da }
  .axis { stroke: #d0d7de } .line { fill: none; stroke: #0969da; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #9198a1 } .bar { fill: #4c5561 } .own { fill: #4493f8 }
    .axis { stroke: #3d444d } .line { stroke: #4493f8 }
  }
"""
_WIDTH = 820
_NAMES = 130
_ROW = 26


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    is_own: bool


def drawing(height: float, parts: Sequence[str]) -> str:
    """A complete SVG, with colours for light and dark pages."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" role="img">'
    return "\n".join([head, f"<style>{_STYLE}</style>", *parts, "</svg>", ""])


def bars(title: str, shown: Sequence[Bar], x: float, y: float, width: float) -> list[str]:
    """Horizontal bars below a title; names at the left, values at their ends."""
    longest = max(bar.value for bar in shown)
    room = width - _NAMES - 55
    parts = [f'<text class="title" x="{x + _NAMES:g}" y="{y:g}">{escape(title)}</text>']
    for row, bar in enumerate(shown):
        top, length = y + 14 + row * _ROW, room * bar.value / longest
        kind = "own" if bar.is_own else "bar"
        parts += [
            f'<text x="{x + _NAMES - 8:g}" y="{top + 14:g}" text-anchor="end">{escape(bar.label)}</text>',
            f'<rect class="{kind}" x="{x + _NAMES:g}" y="{top:g}" width="{length:.1f}" height="19" rx="3"/>',
            f'<text class="quiet" x="{x + _NAMES + length + 6:.1f}" y="{top + 14:g}">{bar.value:,.0f}</text>',
        ]
    return parts


def comparison(results: Mapping[str, Any]) -> str:
    """CPU per request and requests a second for a note, directly."""
    found = {
        one["contender"]: one
        for one in results["series"]
        if one["endpoint"] == "note" and one["via"] == "direct" and not one["contender"].startswith("bare-")
    }
    names = [contender.name for contender in CONTENDERS if contender.name in found]

    def shown(measure: str) -> list[Bar]:
        return [Bar(name, found[name][measure], name.startswith(SERVICE.name)) for name in names]

    half = _WIDTH / 2
    return drawing(
        len(names) * _ROW + 50,
        [
            *bars("CPU for a request, µs (less is better)", shown("cpu_us"), 0, 20, half),
            *bars("requests a second (more is better)", shown("rate"), half, 20, half),
        ],
    )


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(comparison(json.loads(source.read_text())))
