"""Draws the pictures of the docs from results in JSON: python -m bench.notes.speed.plot RESULTS.json PICTURE.svg"""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from bench.notes.speed.contenders import CONTENDERS, SERVICE

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600 } .quiet { fill: #57606a } .bar { fill: #afb8c1 } .own { fill: #0969da }
  .axis { stroke: #d0d7de } .c0 { stroke: #0969da; fill: #0969da } .c1 { stroke: #bc4c00; fill: #bc4c00 }
  .c2 { stroke: #1a7f37; fill: #1a7f37 } .c3 { stroke: #8250df; fill: #8250df } .c4 { stroke: #bf3989; fill: #bf3989 }
  polyline { fill: none !important; stroke-width: 2 } .label { stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #9198a1 } .bar { fill: #4c5561 } .own { fill: #4493f8 }
    .axis { stroke: #3d444d } .c0 { stroke: #4493f8; fill: #4493f8 } .c1 { stroke: #db6d28; fill: #db6d28 }
    .c2 { stroke: #3fb950; fill: #3fb950 } .c3 { stroke: #ab7df8; fill: #ab7df8 }
    .c4 { stroke: #db61a2; fill: #db61a2 }
  }
"""
_WIDTH = 820.0
_NAMES = 120.0
_ROW = 26.0
_PANEL = 210.0


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    is_own: bool


def drawing(height: float, parts: Sequence[str]) -> str:
    """A complete SVG document with colours for light and dark pages."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {height:g}" role="img">'
    return "\n".join([head, f"<style>{_STYLE}</style>", *parts, "</svg>", ""])


def bars(title: str, shown: Sequence[Bar], x: float, width: float) -> list[str]:
    """Horizontal bars below a title, with labels on the left and values at their ends."""
    maximum = max(bar.value for bar in shown)
    room = width - _NAMES - 55
    parts = [f'<text class="title" x="{x + _NAMES:g}" y="20">{escape(title)}</text>']
    for row, bar in enumerate(shown):
        top, length = 34 + row * _ROW, room * bar.value / maximum
        kind = "own" if bar.is_own else "bar"
        parts += [
            f'<text x="{x + _NAMES - 8:g}" y="{top + 14:g}" text-anchor="end">{escape(bar.label)}</text>',
            f'<rect class="{kind}" x="{x + _NAMES:g}" y="{top:g}" width="{length:.1f}" height="19" rx="3"/>',
            f'<text class="quiet" x="{x + _NAMES + length + 6:.1f}" y="{top + 14:g}">{bar.value:,.0f}</text>',
        ]
    return parts


def comparison(results: Mapping[str, Any]) -> str:
    """CPU time per request and requests a second for GET of a note, without Envoy."""
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
        len(names) * _ROW + 45,
        [
            *bars("CPU for a request, µs: less is better", shown("cpu_us"), 0, half),
            *bars("requests a second: more is better", shown("rate"), half, half),
        ],
    )


def growth(results: Mapping[str, Any]) -> str:
    """A panel for each curve: CPU time of the service and the database; both axes are logarithmic."""
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for point in results["points"]:
        if point["cpu_us"] is None:
            continue
        lines = curves.setdefault(point["curve"], {})
        cpu = point["cpu_us"] + (point["database_us"] or 0)
        lines.setdefault(point["line"], []).append((point["x"], cpu))
    parts = []
    for number, (curve, lines) in enumerate(curves.items()):
        title = f"{curve}: CPU µs, service and database"
        parts += panel(title, lines, 50 + number % 2 * _WIDTH / 2, 10 + number // 2 * _PANEL)
    return drawing(math.ceil(len(curves) / 2) * _PANEL + 10, parts)


def panel(title: str, lines: Mapping[str, Sequence[tuple[float, float]]], left: float, top: float) -> list[str]:
    width, height = _WIDTH / 2 - 150, _PANEL - 70
    xs = sorted({x for line in lines.values() for x, _ in line})
    lowest, highest = _decades([y for line in lines.values() for _, y in line])

    def place(x: float, y: float) -> tuple[float, float]:
        along = math.log(x / xs[0]) / math.log(xs[-1] / xs[0])
        up = (math.log10(y) - lowest) / (highest - lowest)
        return left + along * width, top + 30 + height * (1 - up)

    parts = [f'<text class="title" x="{left:g}" y="{top + 14:g}">{escape(title)}</text>']
    for decade in range(lowest, highest + 1):
        _, y = place(xs[0], 10.0**decade)
        parts += [
            f'<line class="axis" x1="{left:g}" y1="{y:.1f}" x2="{left + width:g}" y2="{y:.1f}"/>',
            f'<text class="quiet" x="{left - 6:g}" y="{y + 4:.1f}" text-anchor="end">{10.0**decade:,g}</text>',
        ]
    for x in xs:
        at, _ = place(x, 10.0**lowest)
        label = _short(x)
        parts.append(
            f'<text class="quiet" x="{at:.1f}" y="{top + height + 48:g}" text-anchor="middle">{label}</text>'
        )
    drawn = {name: [place(x, y) for x, y in sorted(line)] for name, line in lines.items()}
    label_y = -math.inf
    for name, spots in sorted(
        drawn.items(), key=lambda item: item[1][-1][1]
    ):  # from the top, by the end of each line
        colour = list(lines).index(name) % 5
        at, y = spots[-1]
        label_y = max(y, label_y + 14)  # labels must not overlap
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts += [
            f'<polyline class="c{colour}" points="{corners}"/>',
            f'<text class="label c{colour}" x="{at + 8:.1f}" y="{label_y + 4:.1f}">{escape(name)}</text>',
        ]
    return parts


def _short(x: float) -> str:
    for unit, name in ((1_000_000, "M"), (1000, "k")):
        if x >= unit:
            return f"{x / unit:g}{name}"
    return f"{x:g}"


def _decades(values: Sequence[float]) -> tuple[int, int]:
    lowest, highest = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return lowest, max(highest, lowest + 1)


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    results = json.loads(source.read_text())
    target.write_text(growth(results) if "points" in results else comparison(results))
