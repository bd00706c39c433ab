"""Fills the disk of the database: its data folder is on a small tmpfs. Needs root on Linux."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.faults.site import Site

SETTINGS = {"max_wal_size": "64MB", "min_wal_size": "32MB"}
"""Settings with which PostgreSQL has room to run on the small disk."""

_SIZE = "192m"
_BALLAST = "ballast"


def possible() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0


@contextmanager
def small_disk() -> Iterator[Path]:
    """A folder on a separate file system with room for a database and little more."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=0755", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        shutil.rmtree(folder, ignore_errors=True)


async def full(site: Site, seconds: float) -> str:
    """A large file takes all the space that is left, and is removed later. Restarts PostgreSQL if it stopped."""
    data = site.stack.options.data
    ballast = data / _BALLAST
    await asyncio.to_thread(_take_the_rest, ballast)
    postgres, died = site.stack.postgres, False
    for _ in range(round(seconds * 10)):
        await asyncio.sleep(0.1)
        died = died or postgres.part is None or not postgres.part.running
    ballast.unlink()
    if postgres.part is None or not postgres.part.running:
        await postgres.start()
    return "PostgreSQL stopped, and was restarted" if died else "PostgreSQL kept running"


def _take_the_rest(ballast: Path) -> None:
    with ballast.open("wb") as file, suppress(OSError):
        while True:
            file.write(bytes(1024 * 1024))
            file.flush()
