"""Git commands in one repository."""

import re
import subprocess
from pathlib import Path

from adoption.errors import AdoptionError

MARK = "Adopted-tree"
"""The trailer by which a commit that an adoption made is known: it names the tree of its own commit."""


class Repository:
    """The repository whose root is `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def git(self, *arguments: str, given: str = "") -> str:
        """What git writes, without the last newline; it reads `given`. Raises AdoptionError with git's own text."""
        done = self._run(arguments, given)
        if done.returncode != 0:
            command = arguments[2] if arguments[0] == "-c" else arguments[0]
            raise AdoptionError(f"git {command} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout.removesuffix("\n")

    def succeeds(self, *arguments: str) -> bool:
        """Whether git ends with the exit status 0."""
        return self._run(arguments).returncode == 0

    def paths(self, *arguments: str) -> list[str]:
        """The paths that git lists, whatever characters they have."""
        return [path for path in self.git(*arguments, "-z").split("\0") if path]

    def unclean(self) -> str | None:
        """Why the tree is not what HEAD has, in one line; None if it is. Files that git ignores do not count."""
        changed = self.git("status", "--porcelain", "--untracked-files=all").splitlines()
        if not changed:
            return None
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        names = ", ".join(line[3:] for line in changed[:3])
        return f"the tree has changes that are not committed ({names}{more}): commit them, or `git stash -u` them"

    def commit(self, tree: str, message: str, parent: str | None) -> str:
        """A commit that no branch has yet. Its message ends with the mark of an adoption."""
        parents = ("-p", parent) if parent else ()
        return self.git("commit-tree", tree, *parents, given=f"{message}\n\n{MARK}: {tree}\n")

    def is_adoption(self, revision: str) -> bool:
        """Whether adoptions() has this very commit."""
        return self.git("rev-parse", revision) in self.adoptions("-1", revision)

    def adoptions(self, *revisions: str) -> list[str]:
        """The commits that an adoption made and that nobody changed since, newest first, in a history."""
        marked = self.git(
            *("log", "-z", "--no-show-signature", "--fixed-strings", f"--grep={MARK}: ", "--format=%H %T%n%B"),
            *revisions,
        )
        found = []
        for text in filter(None, marked.split("\0")):
            commit, tree = text.partition("\n")[0].split()
            # A squashed or a rebased commit can have the text, but it has another tree.
            if re.findall(rf"(?m)^{MARK}: (.*)$", text) == [tree]:
                found.append(commit)
        return found

    def _run(self, arguments: tuple[str, ...], given: str = "") -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                ("git", *arguments),
                cwd=self.root,
                input=given,
                capture_output=True,
                encoding="utf-8",
                errors="surrogateescape",  # paths are bytes
                check=False,
            )
        except FileNotFoundError as error:
            raise AdoptionError("git is not installed") from error
