"""Reads the files of ingress rules. What is wrong with one is said on one line: the file, the field, what to do."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_Model = TypeVar("_Model", bound=BaseModel)


class IngressRuleError(Exception):
    """A rule that the workbench does not support; str() is one line: the file, the field in it, what to do."""

    def __init__(self, file: Path, field: str, reason: str) -> None:
        self.file = file
        self.field = _printable(field)
        self.reason = _printable(reason)
        super().__init__(": ".join(str(part) for part in (file, self.field, self.reason) if part))


def _printable(text: str) -> str:
    """On one line, whatever is in the text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def load(file: Path) -> Any:
    """The only document of a YAML file. Raises IngressRuleError."""
    if file.exists() and not file.is_file():  # a FIFO would keep its reader waiting for a writer
        raise IngressRuleError(file, "", "is not a file: move it away, or make it one")
    try:
        return yaml.load(file.read_text(encoding="utf-8"), _UniqueKeyLoader)  # noqa: S506 - it is a SafeLoader
    except OSError as error:
        raise IngressRuleError(file, "", f"cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.reader.ReaderError) as error:
        raise IngressRuleError(file, "", f"is not UTF-8 text: {error.reason}") from error
    except yaml.MarkedYAMLError as error:
        # Also for a second document in the file: "expected a single document in the stream".
        line = f"line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise IngressRuleError(file, line, f"{error.problem}; one YAML document is expected") from error


def validated(file: Path, document: Any, kind: type[_Model]) -> _Model:
    """Raises IngressRuleError, which names the field of the file."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise IngressRuleError(file, _field(first["loc"]), _reason(first)) from error


class _UniqueKeyLoader(yaml.CSafeLoader):  # in C, so ten times as fast as SafeLoader
    """Refuses duplicate keys, as YAML does. PyYAML keeps the last one, so half of a rule would silently be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} appears twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _field(location: tuple[int | str, ...]) -> str:
    """The path of a field as kubectl writes it: spec.http[3].retries.attempts."""
    path = ""
    for part in location:
        if part in ("NETWORK_FILTER", "HTTP_FILTER", "HTTP_ROUTE"):  # pydantic's tag for the kind of patch
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _reason(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return "the workbench does not support this field; remove it, or add it to workbench/ingress/"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] == "missing":
        return "is missing and has no default in the workbench; add it"
    message = f"{error['msg'][0].lower()}{error['msg'][1:]}"
    return message if isinstance(error["input"], dict | list) else f"{message}, not {error['input']!r}"
