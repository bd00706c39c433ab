"""python -m adoption.upgrade (make upgrade), with the variables FROM and REF: merges a later version of the upstream.

The branch `upstream` has one commit for each version that was taken, in the form in which it is yours: what
`python -m adoption.adopt` of that version makes of it, with the arguments of the record. So a merge of the branch
never brings the old name back, and it has conflicts only where both sides changed the same lines. The variables
NAME, TITLE, REPOSITORY, EXAMPLE and IDENTITY replace what the record says, for all files.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from adoption import record
from adoption.errors import AdoptionError
from adoption.git import Repository
from adoption.record import Record

ROOT = Path(__file__).parents[1]
BRANCH = "refs/heads/upstream"
CHANGEABLE = ("NAME", "TITLE", "REPOSITORY", "EXAMPLE", "IDENTITY")

# The commits of a temporary repository: nobody sees them.
_NOBODY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "upgrade"), ("EMAIL", "upgrade@localhost"))
}


@dataclass(frozen=True)
class Version:
    """A version of the upstream as it is after the adoption: a tree in the repository, and its record."""

    tree: str
    record: Record
    older: bool  # than the version that the project has


def upgrade(repository: Repository, variables: Mapping[str, str]) -> str:
    """Merges; returns what to tell the user. Raises AdoptionError, also if the merge has conflicts."""
    current = Record.read(repository.root)
    if current is None:
        raise AdoptionError(f"there is no {record.PATH}: only a project that `make adopt` made can be upgraded")
    if repository.succeeds("rev-parse", "--verify", "MERGE_HEAD"):
        raise AdoptionError("a merge is under way: resolve and commit it, or undo it with `git merge --abort`")
    if unclean := repository.unclean():
        raise AdoptionError(unclean)
    if repository.succeeds("symbolic-ref", "HEAD") and repository.git("symbolic-ref", "HEAD") == BRANCH:
        raise AdoptionError("HEAD is the branch upstream, which is not for work: switch to a branch of your own")
    source = variables.get("FROM") or current.repository
    if not source:
        raise AdoptionError(f"{record.PATH} does not know where the upstream is: make upgrade FROM=https://...")

    if repository.succeeds("rev-parse", "--verify", BRANCH) and not repository.is_adoption(BRANCH):
        raise AdoptionError(
            "the branch upstream has commits that no upgrade made: `git branch -m upstream ...` first"
        )

    changed = {name: variables[name] for name in CHANGEABLE if variables.get(name)}
    version = adopted(repository, source, variables.get("REF") or "main", current, changed)
    if version.older and not variables.get("REF"):
        raise AdoptionError(
            f"main of {source} is {version.record.release}, which is older than your {current.release}: "
            "make upgrade REF=... takes a newer one; REF=main goes back"
        )
    before = _merged(repository, current) or _joined(repository, current, source)
    latest = _latest(repository, before)
    if version.tree == repository.git("rev-parse", f"{latest}^{{tree}}"):
        new = latest
    else:
        new = repository.commit(version.tree, f"Upstream: {version.record.release}", latest)
    repository.git("update-ref", BRANCH, new)
    if repository.succeeds("merge-base", "--is-ancestor", new, "HEAD"):
        return f"already up to date with {version.record.release} from {source}"
    _merge(repository, new, f"Merge upstream: {version.record.release}")
    older = f", which is older than {current.release}" if version.older else ""
    return f"merged {version.record.release}{older}" + _what_is_new(repository, current, version.record)


def adopted(
    repository: Repository, source: str, ref: str, current: Record, changed: Mapping[str, str] | None = None
) -> Version:
    """Clones `ref` (a branch, a tag or a commit) of `source`, adopts the clone, and fetches the result.

    The arguments are those of `current`, except for those that are `changed`.
    """
    arguments = {**current.arguments, **(changed or {})}
    known = {"UPGRADE": "yes"} if arguments["NAME"] == current.arguments["NAME"] else {}
    with TemporaryDirectory(prefix="upgrade-") as folder:
        clone = Repository(Path(folder) / "clone")
        repository.git("clone", "--quiet", "--no-checkout", "--origin=origin", source, str(clone.root))
        found = (
            name
            for name in (f"refs/remotes/origin/{ref}", ref)
            if clone.succeeds("rev-parse", "--verify", f"{name}^{{commit}}")
        )
        if (name := next(found, None)) is None:
            raise AdoptionError(f"{source} has no branch, tag or commit {ref}: make upgrade REF=...")
        clone.git("checkout", "--quiet", "--detach", name)
        if not (clone.root / "adoption" / "adopt").exists():
            raise AdoptionError(f"{ref} of {source} has no `make adopt`: is it an adopted copy, or older than that?")
        done = subprocess.run(
            (sys.executable, "-m", "adoption.adopt"),
            cwd=clone.root,
            env={**os.environ, **_NOBODY, "RUFF": str(Path(sys.executable).with_name("ruff")), **arguments, **known},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            another = "\nAnother name: make upgrade NAME=... TITLE=..." if "NAME=" in done.stderr else ""
            raise AdoptionError(f"{ref} of {source} cannot be adopted: {done.stderr.strip()}{another}")
        repository.git("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", str(clone.root), "HEAD")
        text = (clone.root / record.PATH).read_text(encoding="utf-8")
        found_record = Record.parse(text)
        older = found_record.commit != current.commit and clone.succeeds(
            "merge-base", "--is-ancestor", found_record.commit, current.commit
        )
        return Version(clone.git("rev-parse", "HEAD^{tree}"), found_record, older)


def _merged(repository: Repository, current: Record, *revisions: str) -> str | None:
    """The commit of an adoption that brought the current version into a history, which is by default that of HEAD."""
    for commit in repository.adoptions(*revisions or ("HEAD",)):
        if Record.parse(repository.git("show", f"{commit}:{record.PATH}")).commit == current.commit:
            return commit
    return None


def _joined(repository: Repository, current: Record, source: str) -> str:
    """Puts the current version into the history of HEAD, which has its files, but not its commit.

    This happens if a merge was squashed, or if the project began a new history. Git could not merge the next version.
    """
    if repository.git("rev-parse", "--is-shallow-repository") == "true":
        raise AdoptionError("this clone has too little history to merge: run `git fetch --unshallow` first")
    commit = _merged(repository, current, "--all")
    if commit is None:
        try:
            version = adopted(repository, source, current.commit, current)
        except AdoptionError as error:
            raise AdoptionError(
                f"no commit here brought {current.release}, and it cannot be made again: {error}\n"
                f"FROM= takes a repository that has the commit {current.commit}"
            ) from error
        commit = repository.commit(version.tree, f"Upstream: {current.release}", None)
    message = f"The files of {current.release} are here already\n\nSo the next version can be merged."
    repository.git(
        "merge", "--quiet", "--no-ff", "--strategy=ours", "--allow-unrelated-histories", "-m", message, commit
    )
    return commit


def _latest(repository: Repository, before: str) -> str:
    """The newest commit on the branch, here or in a remote: after `before` if the merge of an upgrade was aborted."""
    branches = (BRANCH, "refs/remotes/*/upstream")
    found = repository.git("for-each-ref", f"--contains={before}", "--format=%(objectname)", *branches).split()
    return next(iter(repository.adoptions(*found)), before) if found else before


def _merge(repository: Repository, commit: str, message: str) -> None:
    # Git would move your files after the upstream's, if it thinks that their folder was renamed.
    options = ("-c", "merge.directoryRenames=false")
    try:
        repository.git(*options, "merge", "--quiet", "--no-ff", "-m", message, commit)
    except AdoptionError:
        conflicts = repository.paths("diff", "--name-only", "--diff-filter=U")
        if not conflicts:
            raise
        raise AdoptionError(
            "of these files both sides changed the same lines, or one side deleted what the other one changed:"
            + "".join(f"\n  {path}" for path in conflicts)
            + "\nEdit them, `git add` them, and `git commit`; or undo the merge with `git merge --abort`"
        ) from None


def _what_is_new(repository: Repository, before: Record, after: Record) -> str:
    """How to read the upstream's commits since the last upgrade, if both ends are in the repository."""
    ends = (before.commit, after.commit)
    if before.commit == after.commit or not repository.succeeds("merge-base", "--is-ancestor", *ends):
        return ""
    return f"; what is new: `git log {before.commit[:7]}..{after.commit[:7]}`"


if __name__ == "__main__":
    try:
        print(upgrade(Repository(ROOT), os.environ))
    except (AdoptionError, OSError) as error:
        sys.exit(f"make upgrade: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
