"""Commits of the project, from the git repository that it is in."""

import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import UsageError


@dataclass(frozen=True)
class Commit:
    id: str
    name: str
    """As a person wrote it: a branch, a tag, or anything else that git understands."""

    def __str__(self) -> str:
        return f"{self.name} ({self.short_id})"

    @property
    def short_id(self) -> str:
        return self.id[:8]


def find_commit(name: str, folder: Path) -> Commit:
    """Raises UsageError if the folder is not in a repository, or the repository has no such commit."""
    command = ["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UsageError(f"STABLE={name} is a commit, which only git can read: install git") from error
    if found.returncode == 0:
        return Commit(found.stdout.strip(), name)
    if reason := found.stderr.strip():
        raise UsageError(f"STABLE={name} cannot be read from a repository: {reason.splitlines()[0]}")
    raise UsageError(f"STABLE={name} is no commit of this repository: use a branch, a tag or the id of a commit")


def check_out(commit: Commit, folder: Path, target: Path) -> None:
    """Writes the files of the commit to the new folder `target`. Changes neither the checkout nor git's index.

    If `folder` is not the root of the repository, these are the files below it. Raises UsageError if git fails.
    """
    packed = target.with_suffix(".tar")
    command = ["git", "-C", str(folder), "archive", f"--output={packed}", commit.id]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError(f"STABLE={commit.name} cannot be checked out: {done.stderr.strip()}")
    with tarfile.open(packed) as files:
        files.extraction_filter = getattr(tarfile, "data_filter", None)  # before Python 3.11.4 there is none
        files.extractall(target)  # noqa: S202 - made by git, of the user's own files
    packed.unlink()
