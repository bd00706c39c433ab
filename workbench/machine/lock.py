"""The lock of a data folder, so that only one workbench uses it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import DataFolderError
from workbench.machine import foreign
from workbench.machine.folders import display_path


@contextmanager
def data_lock(data: Path) -> Iterator[None]:
    """Holds data/lock. The kernel releases it when this process ends, even after `kill -9`.

    Raises DataFolderError, which names the process that holds the lock.
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


def holder(data: Path) -> int | None:
    """The process that holds data/lock, or None."""
    try:
        with (data / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
    except BlockingIOError:
        pid = (data / "lock").read_text()
        return int(pid) if pid.isdigit() else None
    except OSError:
        return None


def _locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same_file(path, descriptor):
                return descriptor
        except BlockingIOError:
            folder = display_path(path.parent)
            raise DataFolderError(
                f"{folder} is in use by {_holder(descriptor)}: stop it, or start a second workbench: "
                f"make dev DATA={folder}-2 INGRESS_PORT=8081 API_PORT=8001 OPS_PORT=9001"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the previous holder removed the file after open and before flock


def _is_same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    pid = os.read(descriptor, 20).decode(errors="replace")
    os.close(descriptor)
    if not pid.isdigit():
        return "another process"
    return foreign.describe_process(int(pid))
