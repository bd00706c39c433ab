"""`make profile`: where the Python processes of the `make dev` that runs on DATA spend their time, as a flame graph.

The variables SECONDS, by default 10, and OUTPUT, by default profile.svg, say how long, and which file is written.

py-spy reads their stacks from outside, all processes of all replicas, also those that a reload starts meanwhile. It
counts only what holds Python's lock, so that threads which wait do not appear.
"""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from workbench.errors import UsageError, WorkbenchError
from workbench.machine.folders import data_folder, display_path
from workbench.machine.lock import holder

LONGEST = 3600  # s
PROGRAM = Path(sysconfig.get_path("scripts")) / "py-spy"


def main(variables: Mapping[str, str]) -> None:
    """Raises WorkbenchError."""
    seconds, file = variables.get("SECONDS") or "10", Path(variables.get("OUTPUT") or "profile.svg").absolute()
    if not (seconds.isascii() and seconds.isdigit() and 0 < int(seconds) <= LONGEST):
        raise UsageError(f"SECONDS={seconds} is not a number of seconds from 1 to {LONGEST}")
    if file.is_dir() or not os.access(file.parent, os.W_OK | os.X_OK):
        raise UsageError(f"OUTPUT={file} cannot be written: name a file in a folder that exists and is yours")
    data = data_folder(variables)
    pid = holder(data)
    if pid is None:
        raise WorkbenchError(
            f"no workbench runs on {display_path(data)}: start it with `make dev`, or set DATA= to its data folder"
        )
    sys.stdout.write(f"recording for {seconds} s: send requests meanwhile, for example with `make load`\n")
    sys.stdout.flush()
    record(pid, int(seconds), file)
    sys.stdout.write(f"wrote {display_path(file)}: open it in a browser\n")


def record(pid: int, seconds: int, file: Path) -> None:
    """Write the flame graph of a process and its descendants. Raises WorkbenchError, and keeps an older file."""
    unfinished = file.with_name(f".{file.name}.unfinished")
    command = (PROGRAM, "record", "--subprocesses", "--gil", "--pid", str(pid), "--duration", str(seconds))
    try:
        done = subprocess.run(
            [*command, "--format", "flamegraph", "--output", unfinished], capture_output=True, text=True, check=False
        )
        if done.returncode != 0 or not unfinished.exists():
            raise WorkbenchError(_reason(done.stderr))
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _reason(output: str) -> str:
    if "ermission" in output or "No python processes found" in output:
        return "py-spy finds no process whose memory it may read here: run `sudo make profile`"
    if "No stack counts" in output:
        return "nothing ran while it recorded: send requests meanwhile, for example with `make load`"
    return f"py-spy failed: {output.partition('Stack backtrace')[0].strip() or 'it wrote no reason'}"


if __name__ == "__main__":
    try:
        main(os.environ)
    except KeyboardInterrupt:
        sys.exit("\nmake profile: stopped, nothing was written")
    except WorkbenchError as error:
        sys.exit(f"make profile: {error}")
