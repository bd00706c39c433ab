"""The texts that the project's programs can print, read from their sources."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOLE = "\0"
"""Stands for a value that is known only when the text is printed."""

_PERCENT = re.compile(r"%(?:[sdr]|\.?\d*[fg])")
_MAKE = re.compile(r"\$\$?\((?:[^()]|\([^()]*\))*\)|\$\$?[\w<@]")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Message:
    """A text with holes, and the place that prints it."""

    text: str
    place: str


def printed_by_programs() -> list[Message]:
    """Of the service, the workbench, loads, commands of cluster and adoption, checks, Tilt, make and the ingress."""
    folders = ("service", "workbench", "harness", "cluster", "adoption", "checks", "tilt")
    sources = [path for folder in folders for path in _sources(ROOT / folder)]
    files = [path for folder in ("istio", "components/identity") for path in (ROOT / "k8s" / folder).glob("*.yaml")]
    rules = [Message(_normal(path.read_text()), _name(path)) for path in sorted(files)]
    python = [message for path in [*sources, ROOT / "Tiltfile"] for message in _of_python(path)]
    return [*python, *_of_make(ROOT / "Makefile"), *rules]


def printed_by_tests() -> list[Message]:
    """Of the tests, when they lack a program. What other tests expect of the service is not theirs."""
    files = [path for path in _sources(ROOT / "tests") if not path.name.startswith("test_")]
    files += _sources(ROOT / "workbench" / "programs")
    return [message for path in files for message in _of_python(path)]


def normal(row: str) -> str:
    """The text of a row of documentation, its `<placeholders>` as holes."""
    return _normal(re.sub(r"<[^<>]+>", HOLE, row))


def is_printed(wanted: str, messages: list[Message]) -> bool:
    """Whether the text, as normal() gives it, is part of a message.

    One hole of the message may be another message of the same file: `port {port} {problem}`.
    """
    if any(wanted in message.text for message in messages):
        return True
    by_place: dict[str, list[str]] = {}
    for message in messages:
        by_place.setdefault(message.place.partition(":")[0], []).append(message.text)
    return any(
        wanted in _normal(HOLE.join((*pieces[:hole], pieces[hole] + inner + pieces[hole + 1], *pieces[hole + 2 :])))
        for texts in by_place.values()
        for pieces in (text.split(HOLE) for text in texts)
        for hole in range(len(pieces) - 1)
        for inner in texts
    )


def nearest(wanted: str, messages: list[Message]) -> Message:
    """For a person who has to find what became of a text."""
    return max(messages, key=lambda message: SequenceMatcher(None, wanted, message.text[: 2 * len(wanted)]).ratio())


def _sources(folder: Path) -> list[Path]:
    return sorted([*folder.rglob("*.py"), *folder.rglob("*.tiltfile")])


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _normal(text: str) -> str:
    return re.sub(f"{HOLE}+", HOLE, " ".join(text.split()))


def _of_python(path: Path) -> Iterator[Message]:
    """Starlark is near enough to Python to be parsed as such."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {id(part) for node in ast.walk(tree) for part in _parts(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.expr) and id(node) not in parts and (text := _text(node)) is not None:
            yield Message(_normal(text), f"{_name(path)}:{node.lineno}")


def _parts(node: ast.AST) -> list[ast.expr]:
    """Texts that are no message of their own: docstrings, and the pieces of a longer text."""
    match node:
        case ast.Expr(value=value):
            return [value]
        case ast.JoinedStr(values=values):
            return values
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [left, right]
        case ast.BinOp(left=left, op=ast.Mod()):
            return [left]
    return []


def _text(node: ast.expr) -> str | None:
    """What the expression can be as a text; None if it is not one."""
    match node:
        case ast.Constant(value=str(text)):
            return _PERCENT.sub(HOLE, text)
        case ast.JoinedStr(values=values):
            return "".join(_text(value) or HOLE for value in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            both = _text(left), _text(right)
            return None if both == (None, None) else "".join(text or HOLE for text in both)
        case ast.BinOp(left=left, op=ast.Mod()):
            return _text(left)
    return None


def _of_make(path: Path) -> Iterator[Message]:
    text = path.read_text().replace('" \\\n\t"', " ")
    for found in _QUOTED.finditer(_MAKE.sub(HOLE, text)):
        yield Message(_normal(found[1]), _name(path))
