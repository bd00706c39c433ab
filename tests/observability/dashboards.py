"""The dashboards in git, and the expressions of dashboards and rules."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tests.observability.promtool import ROOT, RULES

FOLDER = ROOT / "k8s" / "observability" / "grafana" / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))
LEGEND = re.compile(r"{{\s*(\w+)\s*}}")

Json = dict[str, Any]


@dataclass(frozen=True)
class Expression:
    where: str
    text: str
    shown: frozenset[str] = frozenset()
    """The labels in its legend, or in the text of its alert."""


def load(name: str) -> Json:
    dashboard: Json = json.loads((FOLDER / f"{name}.json").read_text())
    return dashboard


def panels(dashboard: Json) -> list[Json]:
    """All panels except rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries(dashboard: Json) -> Iterator[Expression]:
    """The expressions of panels and annotations."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            shown = frozenset(LEGEND.findall(target["legendFormat"]))
            yield Expression(f"{dashboard['title']}, {panel['title']!r}", target["expr"], shown)
    for annotation in dashboard["annotations"]["list"]:
        shown = frozenset(LEGEND.findall(annotation["textFormat"]))
        yield Expression(f"{dashboard['title']}, annotation {annotation['name']!r}", annotation["expr"], shown)


def constants(dashboard: Json) -> dict[str, str]:
    """The variables that have always the same value."""
    listed = dashboard["templating"]["list"]
    return {variable["name"]: variable["query"] for variable in listed if variable["type"] == "constant"}


def variables(dashboard: Json) -> Iterator[tuple[str, str, str]]:
    """The name of each variable that a person can choose, its selector and its label."""
    for variable in (found for found in dashboard["templating"]["list"] if found["type"] != "constant"):
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert found, f"{dashboard['title']}: {variable['name']} is not a list of the values of a label"
        yield variable["name"], found[1], found[2]


def rules() -> Iterator[Expression]:
    for file in RULES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                texts = " ".join(rule.get("annotations", {}).values())
                shown = frozenset(re.findall(r"\$labels\.(\w+)", texts))
                yield Expression(f"{file.name}, {rule.get('alert') or rule['record']}", rule["expr"], shown)
