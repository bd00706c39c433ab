"""Watches the service's files, .env and the installed packages, and collects what has changed."""

import asyncio
import os
import stat
import sysconfig
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import watchfiles

from workbench.machine.env_file import ENV_FILE
from workbench.reload import code
from workbench.reload.code import PACKAGE, ROOT, ignored
from workbench.reload.tasks import first_of

PACKAGES = Path(sysconfig.get_path("purelib"))

_STEP = 5  # ms without another event before a change is reported
_QUIET = 0.1  # s without another event that end a burst, which is a change of several files such as a git checkout
_AGAIN_AFTER = 5.0  # s after an error of the watcher, unless it can go on at once
_GIT_WITHIN = 5.0  # s; a lock of git that is older was left behind


def git_folder(root: Path = ROOT) -> Path:
    """The folder with git's index: .git, or the one that it names in a worktree."""
    path = root / ".git"
    try:
        return root / path.read_text().removeprefix("gitdir:").strip()
    except (OSError, ValueError):  # it is a folder, or it is missing, or not text
        return path


_GIT_LOCK = git_folder() / "index.lock"


@dataclass(slots=True)
class Change:
    """What has changed since the last one was taken."""

    files: set[Path] = field(default_factory=set)
    packages: bool = False
    branch: bool = False
    """Whether git has changed HEAD."""
    unseen: bool = False
    """Whether any file may have changed, since nothing watched for a moment."""
    unusable: dict[Path, str] = field(default_factory=dict)
    """What cannot be code, and why. It is left out, and changes nothing."""

    def __bool__(self) -> bool:
        return bool(self.files) or self.packages or self.branch or self.unseen

    def is_before(self, moment: float) -> bool:
        """Whether all files had been saved before a moment, on time.time()."""
        return bool(self) and not self.packages and all(saved_at(path, 0) < moment for path in self.files)

    def __str__(self) -> str:
        names = sorted(str(path.relative_to(ROOT)) for path in self.files)
        if self.packages:
            names.append("the installed packages")
        if self.branch:
            names.append("a checkout")
        if self.unseen and not names:
            names.append("a change that was not seen at once")
        return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def saved_at(path: Path, otherwise: float) -> float:
    """When a file got its content on this machine; `otherwise` if it is gone.

    Its mtime would not do: tar sets that to the time on the machine where the file comes from.
    """
    try:
        return path.stat().st_ctime
    except OSError:
        return otherwise


def why_unusable(path: Path) -> str | None:
    """Why what lies there cannot be code, and what to do; None if it can, or is gone."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            os.scandir(path).close()
        elif stat.S_ISREG(mode):
            os.close(os.open(path, os.O_RDONLY))
        else:
            return "it is neither a file nor a folder: move it out of the sources"
    except FileNotFoundError:
        pass
    except OSError as error:  # also a link to itself
        return f"it cannot be read ({error.strerror}): correct that, or remove it"
    return None


def _is_growing(path: Path) -> bool:
    """Whether more will follow: it is a new folder, or an empty file that is about to be written."""
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_size == 0)


def _git_is_busy() -> bool:
    """Whether git is changing files at the moment."""
    return time.time() - saved_at(_GIT_LOCK, 0) < _GIT_WITHIN


def _files() -> set[Path]:
    return {ENV_FILE, *code.paths()}


class Watcher:
    """Collects changes until they are taken."""

    def __init__(self, head: Path | None = None) -> None:
        """`head` is a file of git to watch too."""
        self._head = head
        self._change = Change()
        self._known = _files()
        self._closed: set[Path] = set()
        """What could not be used: a folder among them was not watched."""
        self._replaced = asyncio.Event()
        """Set when the folder of the service, or one in it, has to be watched anew."""
        self.changed = asyncio.Event()
        """Set while there is a change to take."""

    async def run(self, on_error: Callable[[Exception, float], None]) -> None:
        """Watch until it is cancelled. `on_error` gets each error and the seconds after which it watches again."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_watching(self._watch_service, on_error))
            tasks.create_task(self._keep_watching(self._watch_folders, on_error))

    async def take(self) -> Change:
        """Wait for the end of a burst of saves, then return everything that has changed."""
        self.changed.clear()
        while self._is_burst() or _git_is_busy():
            self.changed.clear()
            await first_of(self.changed, timeout=_QUIET)
            if not (self.changed.is_set() or _git_is_busy()):
                break
        before, now = self._known, _files()
        change, self._change, self._known = self._change, Change(), now
        self.changed.clear()
        # A file that came and went in between, such as an editor's temporary one, was never part of the code.
        change.files &= before | now
        change.files |= before ^ now  # for the files in a folder that was moved there are no events
        return change

    async def _keep_watching(
        self, watch: Callable[[], Awaitable[None]], on_error: Callable[[Exception, float], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                await watch()
            except Exception as error:
                while isinstance(error, ExceptionGroup):  # of watchfiles' tasks
                    error = error.exceptions[0]
                # watchfiles ends at a name that is not UTF-8. _files() finds it, so nothing is lost but a moment.
                if "Unable to decode path" not in str(error):
                    on_error(error, _AGAIN_AFTER)
                    await first_of(self._replaced, timeout=_AGAIN_AFTER)
            self._replaced.clear()
            loop.call_soon(self._add_unseen)  # when it watches again, which it does before it waits for anything

    def _is_burst(self) -> bool:
        """Whether more changes will follow: in a new folder, or of an empty file that is about to be written."""
        files = self._change.files
        return len(files) > 1 or self._change.packages or any(map(_is_growing, files))

    async def _watch_service(self) -> None:
        async for paths in _watch(ROOT / PACKAGE, recursive=True, until=self._replaced):
            self._add({path for path in paths if not ignored(path)})

    async def _watch_folders(self) -> None:
        # Folders, not files: pip and editors replace what is in them.
        folders = [ROOT, PACKAGES, *([self._head.parent] if self._head else [])]
        async for paths in _watch(*folders, recursive=False):
            if ROOT / PACKAGE in paths:
                self._replaced.set()
            packages = any(path.name.endswith(".dist-info") for path in paths)
            self._add({ENV_FILE} & paths, packages=packages, branch=self._head in paths)

    def _add(self, files: set[Path], *, packages: bool = False, branch: bool = False) -> None:
        self._change.files |= files
        self._change.packages |= packages
        self._change.branch |= branch
        unusable = {path: why for path in files - {ENV_FILE} if (why := why_unusable(path))}
        if self._closed & files - unusable.keys():
            self._replaced.set()
        self._closed = self._closed - files | unusable.keys()
        self._change.unusable |= unusable
        if files or packages or branch:
            self.changed.set()

    def _add_unseen(self) -> None:
        self._change.unseen = True
        self.changed.set()


async def _watch(*folders: Path, recursive: bool, until: asyncio.Event | None = None) -> AsyncIterator[set[Path]]:
    async for changes in watchfiles.awatch(
        *folders,
        watch_filter=None,
        recursive=recursive,
        step=_STEP,
        debounce=1000,
        stop_event=until,
        ignore_permission_denied=True,
    ):
        yield {Path(path) for _, path in changes}
