"""A line of `make status`."""

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Line:
    kind: str
    name: str
    state: str
    error: str = ""
    """What is wrong; empty if it is ok."""
    remark: str = ""
    """What to know about one that is ok."""


def name_of(found: Object) -> str:
    return f"{found['metadata']['namespace']}/{found['metadata']['name']}"


def conditions_of(found: Object) -> dict[str, Object]:
    """By their types."""
    return {condition["type"]: condition for condition in found.get("status", {}).get("conditions") or []}
