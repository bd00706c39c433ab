"""The files of the service: which of them count, what is in them, and their version."""

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
    """Whether an editor, Python or a test made this file: not part of the code that runs."""
    return any(_IGNORED.search(part) for part in path.relative_to(root).parts)


def paths(root: Path = ROOT) -> list[Path]:
    """All files of the service."""
    return [Path(path) for path in _walk(str(root / PACKAGE))]


def read(root: Path = ROOT) -> dict[Path, bytes]:
    """What is in them now."""
    files: dict[Path, bytes] = {}
    for path in paths(root):
        with suppress(OSError):  # gone already, or not to be read: then the code that needs it says so
            files[path] = path.read_bytes()
    return files


def migrations(files: Mapping[Path, bytes]) -> dict[Path, bytes]:
    """Those of the files that change the schema."""
    return {path: content for path, content in files.items() if path.parent == MIGRATIONS and path.suffix == ".sql"}


def version(files: Mapping[Path, bytes], root: Path = ROOT) -> str:
    """A short hash of their names and contents. The same code has the same one wherever it lies."""
    digest = hashlib.sha256()
    for path in sorted(files):
        content = files[path]
        digest.update(f"{path.relative_to(root)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:8]


def _walk(folder: str) -> Iterator[str]:
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError), os.scandir(folder) as entries:
        for entry in entries:
            if _IGNORED.search(entry.name):
                continue
            if entry.is_dir():
                yield from _walk(entry.path)
            else:
                yield entry.path
