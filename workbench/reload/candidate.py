"""Waiting until a new process can serve, and saying why it cannot."""

import re
import time
from asyncio import Event

from workbench.parts.process import describe
from workbench.reload.service_process import ServiceProcess
from workbench.reload.tasks import first_of

_PLACE = re.compile(r"\S+:\d+: \S")


class NotReadyError(Exception):
    """The new code cannot serve. The message is one sentence; `lines` are the last ones that the process wrote."""

    def __init__(self, sentence: str, process: ServiceProcess, *, retry: bool = False) -> None:
        super().__init__(sentence)
        self.lines = list(process.last_lines)
        self.retry = retry
        """Whether the same code may succeed later."""


class SupersededError(Exception):
    """A start was given up: the files have changed again, or the supervisor stops."""


async def become_ready(process: ServiceProcess, within: float | None, *others: Event) -> None:
    """Return when the process is ready, or when one of the other events is set.

    Raises NotReadyError if it ends before that, or is not ready `within` seconds.
    """
    deadline = None if within is None else time.monotonic() + within
    await first_of(process.ready, *others, process.ended, timeout=within)
    if process.ready.is_set():
        return
    if process.ended.done():
        raise NotReadyError(reason(process), process)
    if deadline is not None and time.monotonic() >= deadline:
        raise NotReadyError(f"not ready within {within:g} s: {process.status}", process, retry=True)


def reason(process: ServiceProcess) -> str:
    """Why it ended: the line that names an error, or else its exit status."""
    lines = [line for line in process.last_lines if line.strip()]
    places = [line for line in lines if _PLACE.match(line)]
    unindented = [line for line in lines if not line.startswith(" ")]
    if places or unindented:
        return places[0] if places else unindented[-1]
    return f"it ended without an error message, {describe(process.ended.result())}"
