"""Repositories with the files of this project, and its commands in them, as their users run them."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from adoption.adopt.transform import project_name
from adoption.git import Repository

ROOT = Path(__file__).parents[3]
OLD_NAME = project_name(ROOT)[0]
NOT_RENAMED = {"LICENSE", "adoption/upstream.toml"}

ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "user.name",
    "GIT_CONFIG_VALUE_0": "Ada",
    "GIT_CONFIG_KEY_1": "user.email",
    "GIT_CONFIG_VALUE_1": "ada@example.com",
    "RUFF": str(Path(sys.executable).with_name("ruff")),
}
"""Nothing of the machine's own configuration of git, and the ruff that runs the tests."""

NOBODY = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.useConfigOnly", "GIT_CONFIG_VALUE_0": "true"}
"""In addition: git does not know who commits, and does not guess it."""

COPIES = {
    "aardvark": {"NAME": "aardvark", "REPOSITORY": "https://git.example.org/a/b/aardvark"},
    "the longest name, the example dropped, no users": {
        "NAME": "zoological-garden-visitor-counts",
        "TITLE": "Visitors of the Zoo",
        "EXAMPLE": "drop",
        "IDENTITY": "no",
    },
}
"""Names that sort before and after all others in the cluster; the first one with users, the second one without."""

_ARGUMENTS = ("NAME", "TITLE", "REPOSITORY", "EXAMPLE", "IDENTITY", "FROM", "REF", "ARGS")


def environment(**variables: str) -> dict[str, str]:
    """The variables of a command: these arguments and no others, and nothing of make or pytest, which run it."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in _ARGUMENTS and not name.startswith(("GIT_", "MAKE", "MFLAGS", "PYTEST_"))
    }
    return {**inherited, **ENVIRONMENT, **variables}


_REST = re.compile(r"(tests/(?!__init__|notes/ingress/)|bench/|harness/|docs/measured/)")
"""The files, two thirds of all, without which git and an adoption do the same in less time."""


def publish(folder: Path, *, whole: bool = True) -> Repository:
    """A repository with one commit on `main`: all files of the project that git knows or would add, or a part."""
    for path in Repository(ROOT).paths("ls-files", "--cached", "--others", "--exclude-standard"):
        if (ROOT / path).is_file() and (whole or not _REST.match(path)):  # not deleted since the last commit
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, folder / path, follow_symlinks=False)
    repository = Repository(folder)
    repository.git("init", "--quiet", "--initial-branch=main")
    save(repository, "Version one")
    return repository


def clone(source: Repository, folder: Path, *options: str) -> Repository:
    source.git("clone", "--quiet", *options, source.root.as_uri(), str(folder))
    return Repository(folder)


def save(repository: Repository, message: str) -> str:
    """Commits everything; returns the commit."""
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--no-verify", "-m", message)
    return repository.git("rev-parse", "HEAD")


def adopt(repository: Repository, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(repository, "-m", "adoption.adopt", **variables)


def upgrade(repository: Repository, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(repository, "-m", "adoption.upgrade", **variables)


def run(repository: Repository, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in the root of a repository."""
    return subprocess.run(
        (sys.executable, *arguments),
        cwd=repository.root,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )


def state(repository: Repository) -> Mapping[str, object]:
    """All that a command must not have changed if it failed: the files, the index, HEAD and the branches."""
    files = repository.paths("ls-files", "--cached", "--others", "--exclude-standard")
    return {
        "files": {path: (repository.root / path).read_bytes() for path in files},
        "modes": {path: (repository.root / path).stat().st_mode for path in files},
        "status": repository.git("status", "--porcelain"),
        "references": repository.git("for-each-ref"),
        "head": repository.git("rev-parse", "HEAD"),
    }


def mentions(repository: Repository, word: str) -> set[str]:
    """The files, of those that git knows, which contain a word in any case, in their paths or in their contents."""
    return {
        path
        for path in repository.paths("ls-files")
        if word in path.lower() or word.encode() in (repository.root / path).read_bytes().lower()
    }
