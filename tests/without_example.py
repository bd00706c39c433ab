"""Checks a copy of the project without its example: python -m tests.without_example [pytest arguments]

Nothing but their own tests may need the notes, so that another domain can replace them. In the copy, ruff, mypy, the
import contracts and TESTS, or the tests that the arguments name, have to pass. The exit status is 0 if everything
passes.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

REMOVED = ("service/domains/notes", "tests/notes")
TESTS = "tests bench/tests"

ROOT = Path(__file__).parents[1]


def main() -> int:
    with TemporaryDirectory(prefix="without-example-") as folder:
        copy = Path(folder)
        copy_project(copy)
        remove_example(copy)
        return max(run(copy, *command) for command in commands(sys.argv[1:]))


def copy_project(folder: Path) -> None:
    """Copies all files that git knows or would add, into a repository without commits."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():  # not deleted since the last commit
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)


def remove_example(folder: Path) -> None:
    """Raises FileNotFoundError if the project does not contain what is to be removed."""
    for name in REMOVED:
        shutil.rmtree(folder / name)


def commands(arguments: list[str]) -> list[list[str]]:
    """The checks. The import contracts are among them if the project has any."""
    checks = [["ruff", "check", "."], ["mypy"], ["pytest", "--override-ini", f"testpaths={TESTS}", *arguments]]
    checks = [[sys.executable, "-m", *check] for check in checks]
    if "[tool.importlinter]" in (ROOT / "pyproject.toml").read_text():
        checks.insert(2, [str(Path(sys.executable).with_name("lint-imports")), "--no-logo"])
    return checks


def run(folder: Path, *command: str) -> int:
    """Runs a check in the copy; returns its exit status, or 1 if a signal ended it."""
    print("+", *command, flush=True)
    status = subprocess.run(command, cwd=folder).returncode
    return status if status >= 0 else 1


if __name__ == "__main__":
    sys.exit(main())
