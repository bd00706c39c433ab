"""A copy of the project's sources that can be edited."""

import shutil
from pathlib import Path

from workbench.machine.folders import ROOT
from workbench.reload import code

_PARTS = ("service", "workbench", "k8s", "pyproject.toml")


class Sandbox:
    """A copy in the folder `root`; `more` are files or folders to copy in addition."""

    def __init__(self, root: Path, *more: str) -> None:
        self.root = root
        for part in (*_PARTS, *more):
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, root / part)  # with what is compiled, which the copies would do again
            else:
                shutil.copy(ROOT / part, root / part)
        self.keep()

    @property
    def version(self) -> str:
        """The version that a service with these sources reports."""
        return code.version(code.read(self.root), self.root)

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def write(self, path: str, text: str) -> None:
        (self.root / path).write_text(text)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replaces the first `old` by `new`. Raises ValueError if the file does not contain `old`."""
        text = self.read(path)
        if old not in text:
            raise ValueError(f"{path} does not contain {old!r}")
        self.write(path, text.replace(old, new, 1))

    def append(self, path: str, text: str) -> None:
        self.write(path, self.read(path) + text)

    def keep(self) -> None:
        """Makes all edits so far part of what restore() restores."""
        self._original = self._contents()

    def restore(self) -> bool:
        """Undoes all edits of service/ and of .env since keep() was called last; returns whether there were any."""
        now = self._contents()
        for path in now.keys() - self._original.keys():
            path.unlink()
        for path, content in self._original.items():
            if now.get(path) != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        return now != self._original

    def _contents(self) -> dict[Path, bytes]:
        files = [
            path for path in (self.root / "service").rglob("*") if path.is_file() and "__pycache__" not in path.parts
        ]
        files += [path for path in (self.root / ".env",) if path.exists()]
        return {path: path.read_bytes() for path in files}
