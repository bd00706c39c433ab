"""The temporary files of the tests are in memory if there is enough of it: on a disk, a run takes a fifth longer.

Most of them are the data folders of databases. TMPDIR, if it is set, says where they are instead.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")  # noqa: S108 - only a folder with an unpredictable name is used
MEMINFO = Path("/proc/meminfo")
NEEDED = 6 * 2**30
"""Bytes: all tests leave about 3 GiB, and run programs beside that."""

PREFIX = "pytest-files-"
FOLDER = pytest.StashKey[Path]()
LOCK = pytest.StashKey[int]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """The processes of pytest-xdist inherit TMPDIR."""
    if "TMPDIR" in os.environ or not large_enough(MEMORY):
        return
    remove_abandoned(MEMORY)
    config.stash[FOLDER], config.stash[LOCK] = make_folder(MEMORY)
    folder = config.stash[FOLDER]
    config.option.basetemp = config.option.basetemp or folder / "pytest"  # a short path, as sockets need it
    use(folder)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if folder := config.stash.get(FOLDER, None):
        use(None)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(config.stash[LOCK])


def use(folder: Path | None) -> None:
    """Makes it the folder of temporary files, of this process and of those that it starts."""
    if folder:
        os.environ["TMPDIR"] = str(folder)
    else:
        del os.environ["TMPDIR"]
    tempfile.tempdir = None  # it is determined again


def large_enough(memory: Path) -> bool:
    """Whether all temporary files fit into it, and tests can run programs there."""
    try:
        system = os.statvfs(memory)
        fields = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
    except OSError:
        return False
    available = int(fields["MemAvailable"].split()[0]) * 1024
    usable = os.access(memory, os.W_OK) and not system.f_flag & getattr(os, "ST_NOEXEC", 0)
    return usable and min(system.f_bavail * system.f_frsize, available) >= NEEDED


def make_folder(memory: Path) -> tuple[Path, int]:
    """A new folder, and a descriptor that keeps it locked until this process ends."""
    new = Path(tempfile.mkdtemp(dir=memory))
    new.chmod(0o1777)  # as /tmp: tests run programs as other users
    lock = os.open(new, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return new.rename(memory / f"{PREFIX}{new.name}"), lock


def remove_abandoned(memory: Path) -> None:
    """Removes the folders of runs that were killed, and so could not do it themselves."""
    for folder in memory.glob(f"{PREFIX}*"):
        with suppress(OSError):  # it is locked, or gone
            lock = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
