"""python -m adoption.adopt, with the variables NAME, TITLE, REPOSITORY, EXAMPLE and IDENTITY: makes it your own.

It changes the files, makes one commit, and makes the branch `upstream`, which `make upgrade` merges later versions
from. It changes nothing if an argument is wrong, if the tree is not clean, or if a step fails. RUFF is the ruff that
formats; by default it is the one in .venv, which is made if needed. UPGRADE says that the name is in use already.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from adoption import record
from adoption.adopt.arguments import Arguments
from adoption.adopt.taken import taken
from adoption.adopt.transform import project_name, transform
from adoption.errors import AdoptionError
from adoption.git import Repository

ROOT = Path(__file__).parents[2]
BRANCH = "refs/heads/upstream"
STOP = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
"""Ctrl-C, a kill, and the end of the terminal."""


def adopt(repository: Repository, variables: Mapping[str, str]) -> str:
    """Makes the commit; returns what to tell the user. Raises AdoptionError, with nothing changed."""
    root = repository.root
    arguments = Arguments.read(variables)
    name, version = project_name(root)
    wrong = [*_wrong_repository(repository), *arguments.check(name, taken(root, first=not variables.get("UPGRADE")))]
    if wrong:
        raise AdoptionError("nothing was changed:" + "".join(f"\n  {line}" for line in wrong))
    ruff = variables.get("RUFF") or _own_ruff(root)

    start = repository.git("rev-parse", "HEAD")
    upstream = record.Record(name, version, _origin(repository), start, arguments.variables())
    with _signals_later(), _restored_on_failure(repository, start):
        try:
            changed = transform(root, repository.paths("ls-files"), arguments, upstream)
        except FileExistsError as error:
            raise AdoptionError(f"NAME={arguments.name} cannot be used: {error}") from error
        except OSError as error:
            raise AdoptionError(f"everything is as it was: the files cannot be changed: {error}") from error
        _format(root, ruff, [path for path in changed if path.endswith(".py")])
        repository.git("add", "--all")
        message = f"Adopt {upstream.release} as {arguments.name}\n\nMade by {_command(arguments)}"
        commit = repository.commit(repository.git("write-tree"), message, start)
        if signal.sigpending() & STOP:
            raise AdoptionError("interrupted: everything is as it was")
        repository.git("update-ref", "--stdin", given=f"update HEAD {commit} {start}\nupdate {BRANCH} {commit}\n")
    return _report(repository, arguments)


def _wrong_repository(repository: Repository) -> Iterator[str]:
    root = repository.root
    try:
        top = Path(repository.git("rev-parse", "--show-toplevel"))
    except AdoptionError as error:
        yield f"clone the project, or run `git init` and commit its files, because {error}"
        return
    if top.resolve() != root.resolve():
        yield f"{root} is a folder of another git repository, {top}: the project needs one of its own"
        return
    if not repository.succeeds("rev-parse", "--verify", "HEAD"):
        yield "the repository has no commit: commit the project's files first"
    elif unclean := repository.unclean():
        yield unclean
    if record.Record.read(root):
        yield f"the project is adopted already, as {record.PATH} says: `make upgrade` takes a later version"
    if repository.succeeds("rev-parse", "--verify", BRANCH) and not repository.is_adoption(BRANCH):
        yield "there is a branch upstream, which no adoption made: `git branch -m upstream ...` renames it"
    try:
        repository.git("var", "GIT_AUTHOR_IDENT"), repository.git("var", "GIT_COMMITTER_IDENT")
    except AdoptionError as error:
        yield f"no commit can be made: {error}"


def _own_ruff(root: Path) -> str:
    if subprocess.run((sys.executable, "-m", "workbench.virtualenv", "dev"), cwd=root, check=False).returncode != 0:
        raise AdoptionError("nothing was changed: the files could not be formatted without the packages of .venv")
    return str(root / ".venv" / "bin" / "ruff")


def _origin(repository: Repository) -> str:
    """The address that the project was cloned from, without a password; "" if there is none."""
    remotes = repository.git("remote").splitlines()
    branch = repository.git("rev-parse", "--symbolic-full-name", "HEAD")  # HEAD if there is no branch
    followed = repository.git("for-each-ref", "--format=%(upstream:remotename)", branch)
    only = remotes[0] if len(remotes) == 1 else ""
    for remote in (followed, "origin", only):
        if remote in remotes:
            return re.sub(r"^(https?://)[^/@]*@", r"\1", repository.git("remote", "get-url", remote))
    return ""


@contextmanager
def _signals_later() -> Iterator[None]:
    """Signals to stop take effect after the block, here and in git: it would stop while it restores the files."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _restored_on_failure(repository: Repository, start: str) -> Iterator[None]:
    """The tree was clean, so everything that is there after a failure and not in `start` was made here."""
    try:
        yield
    except BaseException:
        repository.git("reset", "--quiet", "--hard", start)
        repository.git("clean", "--quiet", "--force", "-d")
        raise


def _format(root: Path, ruff: str, files: list[str]) -> None:
    """A shorter or a longer name moves the ends of lines. Other files stay the same with every version of ruff."""
    command = (ruff, "format", "--", *files)
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except OSError as error:
        raise AdoptionError(f"everything is as it was: cannot run {ruff}: {error.strerror}") from error
    if done.returncode != 0:
        raise AdoptionError(f"everything is as it was: {ruff} cannot format the files: {done.stderr or done.stdout}")


def _command(arguments: Arguments) -> str:
    given = (f"{name}={shlex.quote(value)}" for name, value in arguments.variables().items() if value)
    return " ".join(["make adopt", *given])


def _report(repository: Repository, arguments: Arguments) -> str:
    left = re.findall(r"(?m)^- \[ \] (.+)$", (repository.root / "README.md").read_text(encoding="utf-8"))
    left.append("git remote set-url origin YOURS; git push -u origin HEAD upstream")
    if (repository.root / ".workbench").exists():
        left.append("make reset: .workbench has the data of the old service")
    lines = "".join(f"\n  {line}" for line in left)
    return f"{arguments.title} is yours: one commit, and the branch upstream for `make upgrade`. Left to you:{lines}"


if __name__ == "__main__":
    try:
        print(adopt(Repository(ROOT), os.environ))
    except AdoptionError as error:
        sys.exit(f"make adopt: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
