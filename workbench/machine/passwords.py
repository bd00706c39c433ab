"""Passwords that are made once and kept in the git-ignored folder .secrets/, or in the one that SECRETS names.

Needs only the standard library.
"""

import os
import secrets
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.machine.folders import ROOT

LOCAL = ROOT / ".secrets"
"""The folder of this machine's workbench and cluster."""
FOLDER = ROOT / os.environ["SECRETS"] if os.environ.get("SECRETS") else LOCAL
"""The folder of the cluster that commands work on."""

_BYTES = 24


def make_folder(folder: Path) -> None:
    for made in (folder.parent, folder):
        made.mkdir(mode=0o700, exist_ok=True)


def password(file: Path) -> str:
    """The password in the file, which is made if it is missing. Raises WorkbenchError if it is empty, or OSError."""
    if not file.exists():
        write(file, secrets.token_urlsafe(_BYTES))
    found = file.read_text().strip()
    if not found:
        raise WorkbenchError(f"{file} is empty: write the password into it, or remove the file to get a new password")
    return found


def of_user(name: str, folder: Path = LOCAL) -> Path:
    """The file with the password of a development user."""
    return folder / f"user-{name}-password"


def write(file: Path, content: str) -> None:
    """Writes the file atomically. Only its owner can read it."""
    part = file.with_name(f"{file.name}.new")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(f"{content}\n")
    part.replace(file)
