"""The processes of this machine as a tree, for tests that no process stays behind."""

import asyncio
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tests.waiting import WITHIN


async def gone(pids: Iterable[int]) -> None:
    """Waits until none of them runs."""
    async with asyncio.timeout(WITHIN):
        while set(pids) & _parents().keys():  # noqa: ASYNC110 - they are no children of this process: nothing tells
            await asyncio.sleep(0.02)


def descendants(pid: int) -> dict[int, str]:
    """Children, their children and so on, with their programs' names."""
    parents, found = _parents(), {pid: ""}
    while more := {child: name for child, (parent, name) in parents.items() if parent in found} | found:
        if len(more) == len(found):
            break
        found = more
    return {child: name for child, name in found.items() if child != pid}


def oldest_first(pids: Iterable[int]) -> list[int]:
    """By when they were started, on Linux. Not by their numbers, which begin anew at some point."""

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
    """Each process that is not just waiting to be buried: its parent and the name of its program."""
    table = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat=,comm="], capture_output=True, text=True, check=True
    ).stdout
    rows = (row.split(None, 3) for row in table.splitlines())
    return {int(pid): (int(parent), name) for pid, parent, state, name in rows if not state.startswith("Z")}
