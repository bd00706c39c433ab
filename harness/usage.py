"""What processes have used: CPU time and proportional memory (Linux only), and resident memory."""

import os
import subprocess

from harness.processes import PROC, processes, stat

_TICKS = os.sysconf("SC_CLK_TCK")


def members(root: int) -> list[int]:
    """A process and all its descendants. Process groups do not tell: each PostgreSQL backend leads its own."""
    children: dict[int, list[int]] = {}
    for process in processes():
        children.setdefault(process.parent, []).append(process.pid)
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
    """Bytes of resident memory of these processes, on any system. Those that have ended count nothing."""
    if PROC.is_dir():
        pages = sum(int(fields[21]) for pid in pids if (fields := stat(pid)))  # proc_pid_stat(5): rss
        return pages * os.sysconf("SC_PAGE_SIZE")
    command = ["ps", "-o", "rss=", "-p", ",".join(map(str, pids))]
    kibibytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return sum(map(int, kibibytes.split())) * 1024


def _cpu_ticks(pid: int) -> int:
    fields = stat(pid)
    return int(fields[11]) + int(fields[12]) if fields else 0


def _pss_kib(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
