"""Paths of the project, and the folders that the workbench creates."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import DataFolderError
from workbench.machine import unprivileged

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "k8s"
ROLES = MANIFESTS / "postgres" / "roles.sql"
INGRESS_RULES = MANIFESTS / "istio"
ALERTS = MANIFESTS / "observability" / "prometheus" / "rules"
SERVICE_MANIFESTS = MANIFESTS / "service"
DEV_OVERLAY = MANIFESTS / "overlays" / "dev"
IDENTITY = MANIFESTS / "components" / "identity"
IDENTITY_PROVIDER = MANIFESTS / "components" / "identity-provider"

# Bytes: sizeof(sockaddr_un.sun_path) without its final NUL.
SOCKET_PATH_LIMIT = 107 if sys.platform == "linux" else 103
_MAX_SOCKET_NAME = ".s.PGSQL.5432.lock"  # the longest name of a file in run_folder()


def data_folder(variables: Mapping[str, str]) -> Path:
    """The folder of the workbench's data, which the variable DATA may name."""
    return Path(variables.get("DATA") or ".workbench").expanduser().absolute()


def make_data_folder(data: Path) -> None:
    """Creates the folder if it is missing. Raises DataFolderError if this user cannot write to it."""
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataFolderError(
            f"cannot create {display_path(data)}: {error.strerror}: choose another DATA="
        ) from error
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        raise DataFolderError(
            f"cannot write to {display_path(data)}: run as its owner, {owner_name(data)}, or choose another DATA="
        )


def display_path(path: Path) -> str:
    """The path for messages: relative if it is below the current folder."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


@contextmanager
def run_folder(data: Path) -> Iterator[Path]:
    """A private, empty folder for sockets and generated configuration; it is removed at the end.

    It is data/run, or a temporary folder of the system if that path would be too long for a socket.
    """
    run = data / "run"
    shutil.rmtree(run, ignore_errors=True)
    if len(os.fsencode(run / _MAX_SOCKET_NAME)) > SOCKET_PATH_LIMIT:
        run = Path(tempfile.mkdtemp(prefix="workbench-"))
    else:
        run.mkdir(mode=0o700)
    unprivileged.chown(run)
    try:
        yield run
    finally:
        shutil.rmtree(run, ignore_errors=True)


def verdicts_folder(data: Path) -> Path:
    """Where the replicas of a running `make dev` keep what serves, for `make live`."""
    return data / "verdicts"


@contextmanager
def empty_folder(path: Path) -> Iterator[Path]:
    """Makes the folder, without what was in it before, and removes it at the end."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def owner_name(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return f"user {path.stat().st_uid}"
