"""Information about processes that the workbench did not start, for messages that name them."""

import glob
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
LISTEN = "0A"  # include/net/tcp_states.h
MAX_SHOWN = 60  # characters of a command line in a message


def command(pid: int) -> list[str]:
    """The words of a process's command line; empty if it cannot be read."""
    if PROC.is_dir():
        try:
            return (PROC / str(pid) / "cmdline").read_text(errors="replace").split("\0")[:-1]
        except OSError:
            return []
    return _output("ps", "-ww", "-o", "command=", "-p", str(pid)).split()


def working_in(folder: Path) -> list[int]:
    """The processes whose working directory is this folder, as far as this user may know. Empty on macOS."""
    found = []
    for link in glob.iglob(f"{PROC}/[0-9]*/cwd"):
        with suppress(OSError):  # the process has ended since, or belongs to another user
            if os.path.samefile(link, folder):
                found.append(int(link.split("/")[2]))
    return found


def describe_process(pid: int) -> str:
    """The process's id and command line, for a message."""
    program, *arguments = command(pid) or ["?"]
    line = " ".join((Path(program).name, *arguments))
    return f"process {pid} ({line[:MAX_SHOWN]}{'…' * (len(line) > MAX_SHOWN)})"


def describe_listener(port: int) -> str:
    """The process that listens on a TCP port of this machine, for a message."""
    pid = _listener_from_proc(port) if PROC.is_dir() else _listener_from_lsof(port)
    return "another process" if pid is None else describe_process(pid)


def _listener_from_proc(port: int) -> int | None:
    """Finds only processes of the same user, unless this process runs as root."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not sockets:
        return None
    for descriptor in glob.iglob(f"{PROC}/[0-9]*/fd/*"):
        try:
            if os.readlink(descriptor) in sockets:
                return int(descriptor.split("/")[2])
        except OSError:
            continue  # the process has ended or closed the file since
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    for table in (PROC / "net/tcp", PROC / "net/tcp6"):
        if not table.exists():
            continue
        for row in table.read_text().splitlines()[1:]:
            _, local, _, state, *rest = row.split()
            if state == LISTEN and int(local.rpartition(":")[2], 16) == port:
                yield rest[5]


def _listener_from_lsof(port: int) -> int | None:
    fields = _output("lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fp").splitlines()
    return next((int(field[1:]) for field in fields if field.startswith("p")), None)


def _output(*words: str) -> str:
    if shutil.which(words[0]) is None:
        return ""
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=5).stdout
