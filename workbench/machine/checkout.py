"""The git checkout that the project is in: which branch it is on, and whether git is changing it at the moment."""

import asyncio
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import UsageError

_PREFIX = "ref: refs/heads/"
_LOCK_WITHIN = 10.0  # s; a lock of git that is older belongs to a commit whose message is written, or was left behind
_SETTLED_AFTER = 0.25  # s; a checkout writes the files, then the index, and HEAD right after it
_POLL = 0.02  # s


@dataclass(frozen=True, slots=True)
class Checkout:
    """`folder` has HEAD and the index: .git, or the folder that it names in a worktree or a submodule."""

    folder: Path

    def branch(self) -> str | None:
        """None if HEAD is no branch, as during a rebase or a bisection, or if it is gone."""
        head = self._head()
        return head.removeprefix(_PREFIX) if head.startswith(_PREFIX) else None

    async def settled(self) -> object:
        """Wait while git changes files. Returns something that is equal as long as git has changed nothing."""
        while self._is_busy():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(_POLL)
        return self._state()

    def _head(self) -> str:
        try:
            return (self.folder / "HEAD").read_text().strip()
        except (OSError, ValueError):
            return ""

    def _is_busy(self) -> bool:
        locked = any(_age(self.folder / name) < _LOCK_WITHIN for name in ("index.lock", "HEAD.lock"))
        return locked or _age(self.folder / "index") < _SETTLED_AFTER

    def _state(self) -> object:
        try:
            index = (self.folder / "index").stat()
        except OSError:
            return self._head()
        return self._head(), index.st_ino, index.st_mtime_ns


def find_checkout(folder: Path, wanted_by: str) -> Checkout:
    """The checkout that `folder` is in. Raises UsageError, which names the variable `wanted_by`, if there is none."""
    found = Path(git(folder, wanted_by, "rev-parse", "--absolute-git-dir"))
    if "refs/heads/.invalid" in (found / "HEAD").read_text():
        raise UsageError(
            f"{wanted_by} does not know repositories that keep their branches in `reftable`: "
            "`git refs migrate --ref-format=files` makes files of them"
        )
    return Checkout(found)


def branches(folder: Path, wanted_by: str) -> set[str]:
    """Those of the repository that `folder` is in. Raises UsageError as find_checkout()."""
    return set(git(folder, wanted_by, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").splitlines())


def git(folder: Path, wanted_by: str, *arguments: str) -> str:
    """What git prints. Raises UsageError, which names the variable `wanted_by`, if git is missing or fails."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UsageError(f"{wanted_by} needs the branch, which only git can tell: install git") from error
    if done.returncode:
        reason = (done.stderr.strip() or "git gives no reason").splitlines()[0]
        raise UsageError(f"{wanted_by} needs a git checkout: {reason}")
    return done.stdout.strip()


def _age(path: Path) -> float:
    """The seconds since it was written on this machine; more than any limit if it is missing."""
    try:
        return time.time() - path.stat().st_ctime
    except OSError:
        return float("inf")
