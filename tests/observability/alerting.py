"""The alerts in git, and the headings that their links to runbooks lead to."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from checks.links import PUBLISHED
from tests.observability.promtool import RULES

RUNBOOK = re.compile(rf"{re.escape(PUBLISHED)}(docs/\S+\.md)#(\S+)")


def alerts() -> Iterator[dict[str, Any]]:
    for file in RULES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from (rule for rule in group["rules"] if "alert" in rule)


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub generates them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
