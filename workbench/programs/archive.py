"""Downloads an archive, compares its SHA-256, and takes some of its files."""

import hashlib
import http.client
import os
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

from workbench.errors import StepFailed
from workbench.machine.folders import display_path
from workbench.programs.network import host, opened, reason

READ_WITHIN = 20.0
_CHUNK = 1 << 20


def install(address: str, sha256: str, members: Iterable[str], folder: Path) -> None:
    """Makes `folder` with members of a .tar.gz, which are programs. It has all of them, or does not exist.

    A member is the whole name of a file in the archive; all other ones are ignored, wherever their names point to.
    What else is in the parent, such as older versions, is deleted. One process at a time. Raises StepFailed.
    """
    unfinished = folder.parent / "unfinished"
    try:
        shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed
        unfinished.mkdir(parents=True)
        try:
            archive = unfinished / "archive.tar.gz"
            _download(address, sha256, archive)
            _take(archive, members)
            archive.unlink()
            for old in folder.parent.iterdir():
                if old != unfinished:
                    shutil.rmtree(old)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except (OSError, http.client.HTTPException, tarfile.TarError, EOFError) as error:
        raise StepFailed(f"{address}: {reason(error)}") from error


def _download(address: str, sha256: str, target: Path) -> None:
    digest, received = hashlib.sha256(), 0
    with (
        opened(address, READ_WITHIN) as answer,
        target.open("wb") as file,
    ):
        while chunk := answer.read(_CHUNK):
            digest.update(chunk)
            received += len(chunk)
            file.write(chunk)
        length = answer.headers["Content-Length"]
    if length and received < int(length):
        raise StepFailed(f"{address}: the connection to {host(address)} ended after {received} of {length} bytes")
    if digest.hexdigest() != sha256:
        raise StepFailed(f"{address} has the SHA-256 {digest.hexdigest()}, and {sha256} is expected")


def _take(archive: Path, members: Iterable[str]) -> None:
    with tarfile.open(archive, "r:gz") as opened:
        for name in members:
            try:
                content = opened.extractfile(name)
            except KeyError:
                content = None
            if content is None:
                raise StepFailed(f"{display_path(archive)} has no file {name}")
            target = archive.parent / Path(name).name
            with content, target.open("wb") as file:
                shutil.copyfileobj(content, file, _CHUNK)
            os.chmod(target, 0o755)  # noqa: S103 - programs, which each user may run
