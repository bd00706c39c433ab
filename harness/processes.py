"""The processes of this machine."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Process(NamedTuple):
    """`state` is the letter that ps shows, such as Z for a zombie. `name` is the name of the program."""

    pid: int
    parent: int
    state: str
    name: str


def processes() -> Sequence[Process]:
    """All processes. Linux can be without ps, and macOS has no /proc."""
    if PROC.is_dir():
        return [found for folder in PROC.glob("[0-9]*") if (found := _from_proc(folder))]
    command = ["ps", "-A", "-o", "pid=,ppid=,stat=,comm="]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = (row.split(None, 3) for row in table.splitlines())
    return [Process(int(pid), int(parent), state[0], name) for pid, parent, state, name in rows]


def arguments(pid: int) -> str:
    """The command line of a process; empty if it has ended."""
    if PROC.is_dir():
        try:
            return (PROC / str(pid) / "cmdline").read_text(errors="replace").replace("\0", " ")
        except OSError:
            return ""
    return subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True).stdout


def stat(pid: int) -> Sequence[str]:
    """The fields of /proc/PID/stat, beginning with the state; empty if the process has ended (Linux only)."""
    return _read(PROC / str(pid))[1]


def _from_proc(folder: Path) -> Process | None:
    name, fields = _read(folder)
    return Process(int(folder.name), int(fields[1]), fields[0], name) if fields else None


def _read(folder: Path) -> tuple[str, Sequence[str]]:
    """The name can contain blanks and parentheses, see proc_pid_stat(5)."""
    try:
        named, _, fields = (folder / "stat").read_text(errors="replace").rpartition(")")
    except OSError:
        return "", ()
    return named.partition("(")[2], fields.split()
