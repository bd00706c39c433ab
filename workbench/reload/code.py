"""The files of the service: which ones are code, their contents, and their version."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

PACKAGE = "service"
ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = ROOT / PACKAGE / "migrations"

_IGNORED = re.compile(
    r"__pycache__|\.py[co]$|\.swp$|\.swx$|\.swo$|~$|^\.#|^#.*#$|^4913$|\.tmp$|^\.DS_Store$|___jb_\w+___$"
    r"|^tests?$|^test_.*\.py$|^conftest\.py$|^\.git$"
)


def ignored(path: Path, root: Path = ROOT) -> bool:
    """Whether this file is not part of the code that runs: made by an editor or Python, or a test."""
    return any(_IGNORED.search(part) for part in path.relative_to(root).parts)


def paths(root: Path = ROOT) -> list[Path]:
    """All files of the service."""
    above = frozenset(_identity(folder) for folder in (root, *root.parents))
    return [Path(path) for path in _walk(str(root / PACKAGE), above)]


def read(root: Path = ROOT) -> dict[Path, bytes]:
    """The files of the service and their contents now."""
    files: dict[Path, bytes] = {}
    for path in paths(root):
        with suppress(OSError):  # it is gone or cannot be read: the code that needs it reports that
            files[path] = path.read_bytes()
    return files


def migrations(files: Mapping[Path, bytes]) -> dict[Path, bytes]:
    """The files that change the schema, among these."""
    return {path: content for path, content in files.items() if MIGRATIONS in path.parents and path.suffix == ".sql"}


def version(files: Mapping[Path, bytes], root: Path = ROOT) -> str:
    """A short hash of the names and contents of files. It does not depend on where the project is."""
    digest = hashlib.sha256()
    for path in sorted(files):
        content = files[path]
        digest.update(os.fsencode(path.relative_to(root)) + f"\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:8]


def _walk(folder: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    """The files in a folder, apart from links that lead back to a folder above it.

    Only what is known to be a file: a FIFO would keep its reader waiting for a writer.
    """
    with suppress(OSError), os.scandir(folder) as entries:  # it is gone, or closed to this user
        identity = _identity(folder)
        if identity in above:
            return
        for entry in entries:
            if _IGNORED.search(entry.name):
                continue
            with suppress(OSError):  # a link to itself, or to where this user may not look
                if entry.is_dir():
                    yield from _walk(entry.path, above | {identity})
                elif entry.is_file():
                    yield entry.path


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino
