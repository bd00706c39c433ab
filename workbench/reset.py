"""`make reset`: removes the data folder of a workbench that does not run. Needs nothing but the standard library."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

from workbench.console import Console
from workbench.errors import DataFolderError, WorkbenchError
from workbench.machine.folders import make_data_folder, shown
from workbench.machine.lock import only_one
from workbench.options import data_folder
from workbench.parts.pgdata import stop_left_over

MADE_BY_THE_WORKBENCH = {"lock", "postgres", "postgres.new", "prometheus", "run"}


def reset(data: Path, console: Console) -> None:
    """Raises DataFolderError if a workbench uses it, or if there is anything in it that no workbench made."""
    if not data.exists():
        console.say(f"{shown(data)} does not exist: nothing to remove")
        return
    foreign = sorted({entry.name for entry in data.iterdir()} - MADE_BY_THE_WORKBENCH)
    if foreign:
        raise DataFolderError(f"{shown(data)} is no data folder of a workbench, it holds {foreign[0]!r}: check DATA=")
    make_data_folder(data)
    with only_one(data):
        for name in ("postgres", "postgres.new"):
            asyncio.run(stop_left_over(data / name, console))
        try:
            shutil.rmtree(data)
        except OSError as error:
            raise DataFolderError(f"cannot remove {error.filename}: {error.strerror}: run as its owner") from error
    console.say(f"removed {shown(data)}")


if __name__ == "__main__":
    try:
        reset(data_folder(os.environ), Console())
    except WorkbenchError as error:
        sys.exit(f"make reset: {error}")
