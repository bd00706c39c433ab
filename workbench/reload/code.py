"""The files of the service: which ones are code, their contents, and their version."""

import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

PACKAGE = "service"
ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = ROOT / PACKAGE / "migrations"

_IGNORED = re.compile(
    r"__pycache__|\.py[co]$|\.swp$|\.swx$|\.swo$|~$|^\.#|^#.*#$|^4913$|\.tmp$|^\.DS_Store$|___jb_\w+___$"
    r"|^tests?$|^test_.*\.py$|^conftest\.py$|^\.git$"
)


_COARSE = 2.0  # s; within which a file system may not tell two changes of a file apart by their times

_State = tuple[int, ...]
_read: dict[str, tuple[_State, bytes]] = {}
"""The contents of files that had been the same for a while: each with the state of the file, which tells a change."""


def ignored(path: Path, root: Path = ROOT) -> bool:
    """Whether this file is not part of the code that runs: made by an editor or Python, or a test."""
    return any(map(_is_ignored, path.relative_to(root).parts))


def paths(root: Path = ROOT) -> list[Path]:
    """All files of the service."""
    return [_path(name) for name in _names(root)]


def read(root: Path = ROOT) -> dict[Path, bytes]:
    """The files of the service and their contents now. Reads only those that are new or may have changed."""
    files: dict[Path, bytes] = {}
    for name in _names(root):
        with suppress(OSError):  # it is gone or cannot be read: the code that needs it reports that
            files[_path(name)] = _content(name)
    return files


def migrations(files: Mapping[Path, bytes]) -> dict[Path, bytes]:
    """The files that change the schema, among these."""
    return {path: content for path, content in files.items() if path.suffix == ".sql" and MIGRATIONS in path.parents}


def version(files: Mapping[Path, bytes], root: Path = ROOT) -> str:
    """A short hash of the names and contents of files below `root`. It does not depend on where that is."""
    digest = hashlib.sha256()
    names = {str(path)[len(str(root)) :]: content for path, content in files.items()}
    for name, content in sorted(names.items()):
        digest.update(os.fsencode(name) + b"\0" + _digest(content))
    return digest.hexdigest()[:8]


# Many files, few changes: whatever is the same for the same file is made once.
_path = lru_cache(maxsize=4096)(Path)


@lru_cache(maxsize=4096)
def _is_ignored(name: str) -> bool:
    return _IGNORED.search(name) is not None


@lru_cache(maxsize=4096)
def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _content(name: str) -> bytes:
    now, status = time.time(), os.stat(name)
    state = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    known = _read.get(name)
    if known and known[0] == state:
        return known[1]
    with open(name, "rb") as file:
        content = file.read()
    if now - status.st_ctime > _COARSE:  # or the next change could leave the state as it is
        _read[name] = state, content
    return content


def _names(root: Path) -> Iterator[str]:
    return _walk(str(root / PACKAGE), frozenset(_identity(folder) for folder in (root, *root.parents)))


def _walk(folder: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    """The files in a folder, apart from links that lead back to a folder above it.

    Only what is known to be a file: a FIFO would keep its reader waiting for a writer.
    """
    with suppress(OSError), os.scandir(folder) as entries:  # it is gone, or closed to this user
        identity = _identity(folder)
        if identity in above:
            return
        for entry in entries:
            if _is_ignored(entry.name):
                continue
            with suppress(OSError):  # a link to itself, or to where this user may not look
                if entry.is_dir():
                    yield from _walk(entry.path, above | {identity})
                elif entry.is_file():
                    yield entry.path


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino
