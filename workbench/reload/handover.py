"""One process serves instead of another, on the same sockets and with the open connections of the other."""

import asyncio

from workbench.reload.service_process import ServiceProcess
from workbench.reload.states import ProcessState
from workbench.reload.tasks import first_of

_WITHIN = 1.0  # s; a process that is too busy keeps the connections that it has


async def hand_over(old: ServiceProcess, new: ServiceProcess, stopping: asyncio.Event) -> bool:
    """Let `new` serve, and `old` go on standby. Returns whether `old` has passed on its connections.

    The order keeps the old version from coming back: `old` stops accepting and passes on its idle connections, and
    only then `new` accepts. `new` serves in any case, since at this point nothing else accepts.
    """
    old.become(ProcessState.STANDBY)
    try:
        await first_of(old.handed_over, stopping, old.ended, new.ended, timeout=_WITHIN)
    finally:
        new.become(ProcessState.SERVING)
    return old.handed_over.is_set() or old.ended.done() or new.ended.done() or stopping.is_set()
