"""Copies of ingress rules that the tests change.

Tests of what the workbench translates, and of what it refuses, change the text of RULES, which are theirs alone.
Tests of what the service's own rules do set values in a copy of them, wherever these are, so the rules may change.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from workbench.machine.folders import INGRESS_RULES

RULES = Path(__file__).with_name("rules")
"""The rules of these tests."""

Edit = tuple[str, str, str]
"""A change of a file's text: (file, old text, new text)."""
EditRules = Callable[..., Path]

Value = tuple[str, str, object]
"""A value in a file: (file, field, value). In the field, `*` stands for each item that has the rest of it."""
SetRules = Callable[..., Path]

STREAMS = [("GET", "/things/events"), ("GET", "/things/export"), ("POST", "/things/import")]
"""A method and a path of each kind of stream."""


def edited_rules(folder: Path, *edits: Edit) -> Path:
    """Copies RULES into a folder and applies the edits. Returns the folder."""
    shutil.copytree(RULES, folder, dirs_exist_ok=True)
    for name, old, new in edits:
        text = (folder / name).read_text()
        assert old in text, f"{name} does not contain {old!r}"
        (folder / name).write_text(text.replace(old, new))
    return folder


def set_rules(folder: Path, *values: Value) -> Path:
    """Copies the service's own rules into a folder and sets the values. Returns the folder."""
    shutil.copytree(INGRESS_RULES, folder, dirs_exist_ok=True)
    for name, field, value in values:
        document = yaml.safe_load((folder / name).read_text())
        assert _set(document, field.split("."), value), f"{name} has no field {field}"
        (folder / name).write_text(yaml.safe_dump(document))
    return folder


def _set(node: Any, path: list[str], value: object) -> int:
    """Sets a field, and returns in how many places."""
    name, *rest = path
    if name == "*":
        return sum(_set(item, rest, value) for item in node)
    if name not in node:
        return 0
    if rest:
        return _set(node[name], rest, value)
    node[name] = value
    return 1
