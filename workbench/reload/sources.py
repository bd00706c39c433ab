"""Watches the service's files, .env and the installed packages, and collects what has changed."""

import asyncio
import sysconfig
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import watchfiles

from workbench.reload import code
from workbench.reload.code import PACKAGE, ROOT, ignored

ENV_FILE = ROOT / ".env"
PACKAGES = Path(sysconfig.get_path("purelib"))

_STEP = 5  # ms without another event before a change is reported
_QUIET = 0.1  # s without another event that end a burst, which is a change of several files such as a git checkout
_AGAIN_AFTER = 5.0  # s after an error of the watcher
_GIT_WITHIN = 5.0  # s; a lock of git that is older was left behind


def git_folder(root: Path = ROOT) -> Path:
    """The folder with git's index: .git, or the one that it names in a worktree."""
    path = root / ".git"
    try:
        return root / path.read_text().removeprefix("gitdir:").strip()
    except OSError:
        return path


_GIT_LOCK = git_folder() / "index.lock"


@dataclass(slots=True)
class Change:
    """What has changed since the last one was taken."""

    files: set[Path] = field(default_factory=set)
    packages: bool = False

    def __bool__(self) -> bool:
        return bool(self.files) or self.packages

    def is_before(self, moment: float) -> bool:
        """Whether all files had been saved before a moment, on time.time()."""
        return bool(self) and not self.packages and all(saved_at(path, 0) < moment for path in self.files)

    def __str__(self) -> str:
        names = sorted(str(path.relative_to(ROOT)) for path in self.files)
        if self.packages:
            names.append("the installed packages")
        return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def saved_at(path: Path, otherwise: float) -> float:
    """When a file got its content on this machine; `otherwise` if it is gone.

    Its mtime would not do: tar sets that to the time on the machine where the file comes from.
    """
    try:
        return path.stat().st_ctime
    except OSError:
        return otherwise


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:
        return False


def _git_is_busy() -> bool:
    """Whether git is changing files at the moment."""
    return time.time() - saved_at(_GIT_LOCK, 0) < _GIT_WITHIN


def _files() -> set[Path]:
    return {ENV_FILE, *code.paths()}


class Watcher:
    """Collects changes until they are taken."""

    def __init__(self) -> None:
        self._change = Change()
        self._known = _files()
        self.changed = asyncio.Event()
        """Set while there is a change to take."""

    async def run(self, on_error: Callable[[Exception, float], None]) -> None:
        """Watch until it is cancelled. `on_error` gets each error and the seconds after which it watches again."""
        while True:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._watch_service())
                    tasks.create_task(self._watch_folders())
            except* Exception as errors:
                for error in errors.exceptions:
                    on_error(error, _AGAIN_AFTER)
            await asyncio.sleep(_AGAIN_AFTER)

    async def take(self) -> Change:
        """Wait for the end of a burst of saves, then return everything that has changed."""
        self.changed.clear()
        while self._is_burst() or _git_is_busy():
            self.changed.clear()
            try:
                async with asyncio.timeout(_QUIET):
                    await self.changed.wait()
            except TimeoutError:
                if not _git_is_busy():
                    break
        before, now = self._known, _files()
        change, self._change, self._known = self._change, Change(), now
        self.changed.clear()
        # A file that came and went in between, such as an editor's temporary one, was never part of the code.
        change.files &= before | now
        change.files |= before ^ now  # for the files in a folder that was moved there are no events
        return change

    def _is_burst(self) -> bool:
        """Whether more changes will follow: in a new folder, or of an empty file that is about to be written."""
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
