"""The alerts in git, and the headings that their links to runbooks lead to."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.observability.promtool import RULES

RUNBOOK = re.compile(r"(\S+\.md)#(\S+)")
"""The end of a link: the page, and the heading in it."""
ADDRESS = '{{ range query "runbooks" }}{{ .Labels.url }}{{ end }}'
"""The beginning of the link of an alert."""


def alerts() -> Iterator[dict[str, Any]]:
    for file in RULES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from (rule for rule in group["rules"] if "alert" in rule)


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub generates them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
