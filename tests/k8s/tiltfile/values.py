"""Values on their way between Starlark and Python."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import starlark

from tests.k8s.tiltfile.blob import Blob
from tests.k8s.tiltfile.declared import Link, TiltfileError

Strings = str | Sequence[str]  # one, or several of them
Functions = dict[str, Callable[..., Any]]  # by their names in a Tiltfile


def opaque(value: object) -> Any:
    """It comes back from Starlark as it was, where a plain value would be converted."""
    return starlark.OpaquePythonObject(value)


def of_kind(kind: type[Any], value: Any) -> Any:
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{value!r} is not a {kind.__name__}")
    return value


def as_text(value: Any) -> str:
    if isinstance(value, Blob):
        return value.text
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise TypeError(f"the text of a {type(value).__name__} would be another one in Tilt")
    return str(value)


def as_list(value: Any) -> list[str]:
    """A list of strings, where Tilt takes nothing else."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"{value!r} is not a list of strings")
    return list(value)


def as_strings(value: Any) -> list[str]:
    """Where Tilt takes one as well as a list of them."""
    return [value] if isinstance(value, str) else as_list(value)


def as_labels(value: Any) -> list[str]:
    labels = as_strings(value)
    for label in labels:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", label):
            raise TiltfileError(f"Invalid label {label!r}")
    return labels


def as_links(value: Any) -> list[Link]:
    return [
        item if isinstance(item, Link) else Link(of_kind(str, item), "")
        for item in (value if isinstance(value, list | tuple) else [value])
    ]


def as_command(value: Strings) -> tuple[str, ...]:
    """A string is the shell's."""
    return ("sh", "-c", value) if isinstance(value, str) else tuple(as_list(value))
