"""Where things are: the project, and what the workbench keeps under its data folder."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import DataFolderError
from workbench.machine import unprivileged

ROOT = Path(__file__).resolve().parents[2]
ROLES = ROOT / "k8s" / "postgres" / "roles.sql"
INGRESS_RULES = ROOT / "k8s" / "istio"

# sizeof(sockaddr_un.sun_path) without its final NUL
SOCKET_PATH_LIMIT = 107 if sys.platform == "linux" else 103
LONGEST_SOCKET_NAME = ".s.PGSQL.5432.lock"


def make_data_folder(data: Path) -> None:
    """Creates it if need be. Raises DataFolderError if this user cannot write there."""
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataFolderError(f"cannot create {shown(data)}: {error.strerror}: choose another DATA=") from error
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        raise DataFolderError(
            f"cannot write to {shown(data)}: run as its owner, {owner_name(data)}, or choose another DATA="
        )


def shown(path: Path) -> str:
    """The path as a person would type it here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


@contextmanager
def run_folder(data: Path) -> Iterator[Path]:
    """A private, empty folder for sockets and generated configuration, removed at the end.

    It is data/run, or a folder under the system's temporary one where that would be too long for a socket.
    """
    run = data / "run"
    shutil.rmtree(run, ignore_errors=True)
    if len(os.fsencode(run / LONGEST_SOCKET_NAME)) > SOCKET_PATH_LIMIT:
        run = Path(tempfile.mkdtemp(prefix="slipway-"))
    else:
        run.mkdir(mode=0o700)
    unprivileged.hand_over(run)
    try:
        yield run
    finally:
        shutil.rmtree(run, ignore_errors=True)


def owner_name(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return f"user {path.stat().st_uid}"
