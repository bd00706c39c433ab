"""What a process and its children have used: from /proc, so on Linux only."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def members(group: int) -> list[int]:
    """The processes of a process group."""
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            try:
                if os.getpgid(int(entry.name)) == group:
                    found.append(int(entry.name))
            except OSError:
                continue  # it has just ended
    return found


def cpu_seconds(group: int) -> float:
    """User and system time of a process group so far."""
    return sum(_cpu_ticks(pid) for pid in members(group)) / _TICKS


def pss_mib(group: int) -> float:
    """Memory of a process group; pages that it shares with others count in part."""
    return sum(_pss_kib(pid) for pid in members(group)) / 1024


def _cpu_ticks(pid: int) -> int:
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _pss_kib(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
