"""What is watched: changes of the code, the settings and the installed packages."""

import asyncio
import sysconfig
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import watchfiles

from workbench.reload import code
from workbench.reload.code import PACKAGE, ROOT, ignored

ENV_FILE = ROOT / ".env"
PACKAGES = Path(sysconfig.get_path("purelib"))

_STEP = 5  # ms without another event before a change is told
_QUIET = 0.1  # s of silence that end a burst, such as a git checkout: more than one file
_GIT_LOCK = ROOT / ".git" / "index.lock"
_GIT_WITHIN = 5.0  # s; a lock that is older was left behind


@dataclass(slots=True)
class Change:
    """What has changed since it was last looked at."""

    files: set[Path] = field(default_factory=set)
    packages: bool = False

    def __bool__(self) -> bool:
        return bool(self.files) or self.packages

    def is_before(self, moment: float) -> bool:
        """Whether all of it had been saved then."""
        return bool(self) and not self.packages and all(saved_at(path, 0) < moment for path in self.files)

    def __str__(self) -> str:
        names = sorted(str(path.relative_to(ROOT)) for path in self.files)
        if self.packages:
            names.append("the installed packages")
        return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def saved_at(path: Path, otherwise: float) -> float:
    """When a file got its content on this machine. Not its mtime, which tar sets to the whole second of elsewhere."""
    try:
        return path.stat().st_ctime
    except FileNotFoundError:
        return otherwise


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        return False


def _git_works() -> bool:
    """Whether git is changing files at the moment."""
    return time.time() - saved_at(_GIT_LOCK, 0) < _GIT_WITHIN


def _files() -> set[Path]:
    return {ENV_FILE, *code.paths()}


class Watcher:
    """Collects changes until somebody takes them."""

    def __init__(self) -> None:
        self._change = Change()
        self._known = _files()
        self.changed = asyncio.Event()
        """Set while there is a change to take."""

    async def run(self) -> None:
        """Watch for ever; to be cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_service())
            tasks.create_task(self._watch_folders())

    async def take(self) -> Change:
        """The change, once a burst of saves is over."""
        while self._is_burst() or _git_works():
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), _QUIET)
            except TimeoutError:
                if not _git_works():
                    break
        change, self._change = self._change, Change()
        self.changed.clear()
        # What came and went in between, such as an editor's new file before its renaming, was never part of the code.
        before, self._known = self._known, _files()
        change.files &= before | self._known
        change.files |= before ^ self._known  # and what is in a folder that was moved is told by nobody
        return change

    def _is_burst(self) -> bool:
        """Whether more is to be expected: in a new folder, or in an empty file, which somebody has begun to write."""
        files = self._change.files
        return len(files) > 1 or self._change.packages or any(path.is_dir() or _is_empty(path) for path in files)

    async def _watch_service(self) -> None:
        async for paths in _watch(ROOT / PACKAGE, recursive=True):
            self._add({path for path in paths if not ignored(path)})

    async def _watch_folders(self) -> None:
        # Folders, not files: pip and editors replace what is in them.
        async for paths in _watch(ROOT, PACKAGES, recursive=False):
            self._add({ENV_FILE} & paths, packages=any(path.name.endswith(".dist-info") for path in paths))

    def _add(self, files: set[Path], *, packages: bool = False) -> None:
        self._change.files |= files
        self._change.packages |= packages
        if files or packages:
            self.changed.set()


async def _watch(*folders: Path, recursive: bool) -> AsyncIterator[set[Path]]:
    async for changes in watchfiles.awatch(
        *folders, watch_filter=None, recursive=recursive, step=_STEP, debounce=1000
    ):
        yield {Path(path) for _, path in changes}
