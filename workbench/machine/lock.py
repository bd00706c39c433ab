"""One workbench for each data folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import DataFolderError
from workbench.machine import foreign
from workbench.machine.folders import shown


@contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Holds data/lock. The kernel lets go of it when this process ends, however that happens.

    Raises DataFolderError with the process that holds it.
    """
    path = data / "lock"
    descriptor = _locked(path)
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, descriptor):
                return descriptor
        except BlockingIOError:
            raise DataFolderError(
                f"{shown(path.parent)} is in use by {_holder(descriptor)}: stop it, or start a second one beside it: "
                f"make dev DATA={shown(path.parent)}-2 INGRESS_PORT=8081 API_PORT=8001 OPS_PORT=9001"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the holder before removed the file between our open and our lock


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    pid = os.read(descriptor, 20).decode(errors="replace")
    os.close(descriptor)
    if not pid.isdigit():
        return "another process"
    return foreign.describe(int(pid))
