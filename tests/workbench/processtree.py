"""The processes of this machine as a tree, for tests that show that no process is left behind."""

import asyncio
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tests.waiting import WITHIN


async def gone(pids: Iterable[int]) -> None:
    """Waits until all of these processes have ended."""
    async with asyncio.timeout(WITHIN):
        while set(pids) & _parents().keys():  # noqa: ASYNC110 - no event: they are not children of this process
            await asyncio.sleep(0.02)


def descendants(pid: int) -> dict[int, str]:
    """The children of a process, their children and so on, with the names of their programs."""
    parents, found = _parents(), {pid: ""}
    while more := {child: name for child, (parent, name) in parents.items() if parent in found} | found:
        if len(more) == len(found):
            break
        found = more
    return {child: name for child, name in found.items() if child != pid}


def oldest_first(pids: Iterable[int]) -> list[int]:
    """Sorts by start time (Linux only). Process ids do not tell the order, because they wrap around."""

    def ticks(pid: int) -> int:
        return int(
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        )  # proc_pid_stat(5): starttime

    started = {}
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            started[pid] = ticks(pid)
    return sorted(started, key=lambda pid: (started[pid], pid))


def _parents() -> dict[int, tuple[int, str]]:
    """Each process that is not a zombie, with its parent and the name of its program."""
    table = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat=,comm="], capture_output=True, text=True, check=True
    ).stdout
    rows = (row.split(None, 3) for row in table.splitlines())
    return {int(pid): (int(parent), name) for pid, parent, state, name in rows if not state.startswith("Z")}
