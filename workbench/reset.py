"""`make reset`: removes the data folder of a stopped workbench. It needs only the standard library."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

from workbench.console import Console
from workbench.errors import DataFolderError, WorkbenchError
from workbench.machine.folders import data_folder, display_path, make_data_folder
from workbench.machine.lock import data_lock
from workbench.parts.pgdata import stop_leftover_server

MADE_BY_THE_WORKBENCH = {"identity", "lock", "postgres", "postgres.new", "prometheus", "run", "verdicts"}


def reset(data: Path, console: Console) -> None:
    """Raises DataFolderError if a workbench uses the folder, or if it contains dumps, or files of other programs."""
    if not data.exists():
        console.say(f"{display_path(data)} does not exist: nothing to remove")
        return
    if (backups := data / "backups").exists():
        raise DataFolderError(f"{display_path(backups)} would be removed too: move or delete that folder first")
    unknown = sorted({entry.name for entry in data.iterdir()} - MADE_BY_THE_WORKBENCH)
    if unknown:
        raise DataFolderError(
            f"{display_path(data)} is not the data folder of a workbench, it contains {unknown[0]!r}: check DATA="
        )
    make_data_folder(data)
    with data_lock(data):
        for name in ("postgres", "postgres.new"):
            asyncio.run(stop_leftover_server(data / name, console))
        try:
            shutil.rmtree(data)
        except OSError as error:
            raise DataFolderError(f"cannot remove {error.filename}: {error.strerror}: run as its owner") from error
    console.say(f"removed {display_path(data)}")


if __name__ == "__main__":
    try:
        reset(data_folder(os.environ), Console())
    except WorkbenchError as error:
        sys.exit(f"make reset: {error}")
