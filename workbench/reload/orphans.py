"""Waits for orphans, as process 1 of a container has to: the kernel makes it their parent."""

import asyncio
import os
import signal
from contextlib import suppress

from workbench.reload.spawner import Spawner

_EVERY = 1.0  # s


async def reap(spawner: Spawner) -> None:
    """Until it is cancelled; leaves the spawner's own processes to the spawner."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, ended.set)
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(_EVERY):
                await ended.wait()
        ended.clear()
        while _reap_one(spawner.pids):
            pass


def _reap_one(own: set[int]) -> bool:
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    if ended is None or ended.si_pid in own:  # the kernel reports others only when asyncio has waited for this one
        return False
    os.waitpid(ended.si_pid, 0)
    return True
