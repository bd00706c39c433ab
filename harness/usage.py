"""What processes have used: CPU time and proportional memory from /proc (Linux only), resident memory from ps."""

import os
import subprocess
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def members(root: int) -> list[int]:
    """A process and all its descendants. Process groups do not tell: each PostgreSQL backend leads its own."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.glob("[0-9]*"):
        if fields := _stat(int(entry.name)):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of a process and its descendants so far."""
    return sum(_cpu_ticks(pid) for pid in members(root)) / _TICKS


def pss_mib(root: int) -> float:
    """Memory of a process and its descendants; a page that several processes share is divided among them."""
    return sum(_pss_kib(pid) for pid in members(root)) / 1024


def resident(*pids: int) -> int:
    """Bytes of resident memory of these processes, on any system."""
    command = ["ps", "-o", "rss=", "-p", ",".join(map(str, pids))]
    kibibytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return sum(map(int, kibibytes.split())) * 1024


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat, beginning with the state; empty if the process has ended."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu_ticks(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[11]) + int(fields[12]) if fields else 0


def _pss_kib(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
