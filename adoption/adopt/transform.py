"""What an adoption does to the files, except for their format."""

import re
import shutil
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

from adoption import record
from adoption.adopt.arguments import Arguments
from adoption.adopt.rename import ADDRESS, Renaming

KEPT = ("LICENSE",)
"""What no adoption changes: who holds the rights is for a person to say."""

_TEMPLATES = Path(__file__).parent / "templates"

_OF_THE_EXAMPLE = re.compile(r"(\d+_)?notes(_\w+)?(\.\w+)?")  # folders and files called notes, and with more words
_NEEDLESS = re.compile(r"(^|/)(adoption/adopt/|workflows/adopt\.yml$)")  # what made the adoption, and its tests
_OVERLAYS = ("k8s/overlays/dev/kustomization.yaml", "k8s/overlays/production/kustomization.yaml")
_OF_USERS = re.compile(r"k8s/overlays/production/identity-.*")  # the patches that name their provider
_MEASURED = re.compile(r"(^|/)(measured/|baseline\.json$)")  # figures and pictures of another service are lies


def deleted(path: str, example: str, identity: str) -> bool:
    """Whether a file is not in the adopted copy; `example` is keep or drop, `identity` is yes or no."""
    if example == "drop" and any(_OF_THE_EXAMPLE.fullmatch(part) for part in path.split("/")):
        return True
    if identity == "no" and _OF_USERS.fullmatch(path):
        return True
    return bool(_NEEDLESS.search(path) or _MEASURED.search(path))


def transform(root: Path, files: Iterable[str], arguments: Arguments, upstream: record.Record) -> list[str]:
    """Turns the project at `root`, which consists of `files`, into an adopted copy; returns the files with new text.

    Raises FileExistsError, before anything is changed, if the new name of a file is taken.
    """
    remaining = [path for path in files if not deleted(path, arguments.example, arguments.identity)]
    renaming = Renaming(upstream.name, arguments.name, arguments.title, arguments.repository)
    renamed = {path: renaming(path) if path not in KEPT else path for path in remaining}
    for new in {new for path, new in renamed.items() if path != new} & {*remaining}:
        raise FileExistsError(f"{new} exists already")
    texts = {
        name: (_TEMPLATES / f"{name}.template").read_text(encoding="utf-8") for name in ("README.md", "CHANGELOG.md")
    }

    for path in {*files} - {*remaining}:
        (root / path).unlink()
    changed = [
        new for path, new in renamed.items() if path not in KEPT and _rename(root / path, root / new, renaming)
    ]
    _edit(root / "pyproject.toml", _first_version)
    if arguments.identity == "no":
        for overlay in _OVERLAYS:
            _edit(root / overlay, without_users)
    for name, text in texts.items():
        (root / name).write_text(_filled(text, root, renamed.values(), arguments), encoding="utf-8")
    (root / record.PATH).write_text(upstream.text(), encoding="utf-8")
    folders = {parent for path in files for parent in Path(path).parents}
    for folder in sorted(folders, key=lambda folder: len(folder.parts), reverse=True):  # the inner ones first
        _delete_if_empty(root / folder)
    return changed


def without_users(kustomization: str) -> str:
    """A kustomization without the items of its lists that name identity, and without lists that this leaves empty."""
    remaining = re.sub(r"(?m)^  - (path: |.*/)identity.*\n(    .*\n)*", "", kustomization)
    return re.sub(r"(?m)^\w+:\n(?! )", "", remaining)


def project_name(root: Path) -> tuple[str, str]:
    """The name and the version in the project's pyproject.toml."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["name"], project["version"]


def _rename(file: Path, new: Path, renaming: Renaming) -> bool:
    """Returns whether the text of the file is another one."""
    before = None if file.is_symlink() else _text(file)
    text = before if before is None else renaming(before)
    if text is not None and text != before:
        file.write_bytes(text.encode())  # keeps its mode
    if new != file:
        new.parent.mkdir(parents=True, exist_ok=True)
        file.rename(new)
    return text != before


def _text(file: Path) -> str | None:
    """None for a binary file."""
    content = file.read_bytes()
    try:
        return None if b"\0" in content else content.decode()
    except UnicodeDecodeError:
        return None


def _edit(file: Path, change: Callable[[str], str]) -> None:
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")


def _first_version(pyproject: str) -> str:
    """The new project counts its own versions, whatever the number of the one that it comes from."""
    return re.sub(r'(?m)^version = ".*"$', 'version = "0.1.0"', pyproject, count=1)


def _filled(template: str, root: Path, files: Iterable[str], arguments: Arguments) -> str:
    """A template with the title, the name and the list of pages.

    Lines about a repository stay only if there is none, and those that begin with {users} or {no_users} only if there
    are users, or none.
    """
    if arguments.repository:
        template = re.sub(r"(?m)^.*\{repository\}.*\n", "", template)
    right, wrong = ("users", "no_users") if arguments.identity == "yes" else ("no_users", "users")
    template = re.sub(rf"(?m)^\{{{right}\}} |^\{{{wrong}\}} .*\n", "", template)
    pages = sorted(path for path in files if re.fullmatch(r"docs/.+\.md", path))
    listed = "\n".join(f"- [{_heading(root / path)}]({path})" for path in pages)
    values = {
        "title": arguments.title,
        "name": arguments.name,
        "pages": listed,
        "repository": ADDRESS + arguments.name,
    }
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", value)
    return template


def _heading(page: Path) -> str:
    found = re.search(r"(?m)^# (.+)$", page.read_text(encoding="utf-8"))
    return found[1] if found else page.name


def _delete_if_empty(folder: Path) -> None:
    """Also if the bytecode of deleted modules is left in it."""
    if folder.is_dir() and {entry.name for entry in folder.iterdir()} <= {"__pycache__"}:
        shutil.rmtree(folder)
