"""What is in files that a person saves, to compare it with what it was before."""

import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

Contents: TypeAlias = Mapping[Path, bytes | str]
"""By path. A text says why there is no content."""


def contents(paths: Iterable[Path]) -> Contents:
    """Files that do not exist are left out, so that one which is replaced looks like one that is removed."""
    return {path: content for path in sorted(paths) if (content := _content(path)) is not None}


def changed(before: Contents, now: Contents) -> list[Path]:
    return sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))


def _content(path: Path) -> bytes | str | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a FIFO would keep its reader waiting for a writer
            return "is not a file"
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"cannot be read: {error.strerror}"
