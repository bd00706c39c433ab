"""The processes of this machine as a tree, for tests that show that no process is left behind."""

import asyncio
from collections.abc import Iterable

from harness.processes import processes, stat
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
    started = {pid: int(fields[19]) for pid in pids if (fields := stat(pid))}  # proc_pid_stat(5): starttime
    return sorted(started, key=lambda pid: (started[pid], pid))


def zombies(parent: int) -> list[int]:
    """The children of a process that have ended, but for which it has not waited."""
    return [process.pid for process in processes() if process.parent == parent and process.state == "Z"]


def _parents() -> dict[int, tuple[int, str]]:
    """Each process that is not a zombie, with its parent and the name of its program."""
    return {process.pid: (process.parent, process.name) for process in processes() if process.state != "Z"}
