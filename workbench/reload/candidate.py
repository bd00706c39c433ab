"""A new process on its way: the schema that its code needs, then the process itself, until it can serve."""

import asyncio
import re
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.parts.process import describe
from workbench.reload import code
from workbench.reload.spawner import Child, Spawner

READY_WITHIN = 10.0  # s
MIGRATED_WITHIN = 300.0

_PLACE = re.compile(r"\S+:\d+: \S")


class NotReadyError(Exception):
    """The new code cannot serve; the message is one sentence, `lines` are the error's."""

    def __init__(self, sentence: str, child: Child | None = None, *, retry: bool = False) -> None:
        super().__init__(sentence)
        self.lines = list(child.last_lines) if child else []
        self.retry = retry
        """Whether the same code may succeed later."""


class SupersededError(Exception):
    """What was on its way is not wanted any more: the files have changed again, or everything stops."""


@dataclass(eq=False, slots=True)
class Serving:
    """A process that serves, or did, and what it runs."""

    child: Child
    settings: Mapping[str, str]
    since: float
    """On time.monotonic()."""

    @property
    def version(self) -> str:
        return self.child.version


class Migrations:
    """Applied when their files have changed; those of the start were applied before it."""

    def __init__(self, spawner: Spawner) -> None:
        self._spawner = spawner
        self._applied = code.version(code.migrations(code.read()))

    async def apply(self, files: Mapping[Path, bytes], settings: Mapping[str, str], stopping: asyncio.Event) -> None:
        """Raises NotReadyError, SupersededError; then the schema is what it was before the file that failed."""
        wanted = code.version(code.migrations(files))
        if wanted == self._applied:
            return
        child = await self._spawner.spawn("service.migrate", settings)
        await first_of(stopping, ended=child, timeout=MIGRATED_WITHIN)
        if not child.ended.done():
            child.send(signal.SIGKILL)
            if stopping.is_set():
                raise SupersededError
            raise NotReadyError(f"the migration did not finish within {MIGRATED_WITHIN:g} s", child)
        if child.ended.result() != 0:
            raise NotReadyError(reason(child), child)
        self._applied = wanted


async def become_ready(child: Child, within: float | None, *others: asyncio.Event) -> None:
    """Returns when it is ready, or when one of the other events is set.

    Raises NotReadyError if it ends before that, or is not ready `within` seconds.
    """
    deadline = None if within is None else time.monotonic() + within
    await first_of(child.ready, *others, ended=child, timeout=within)
    if child.ready.is_set():
        return
    if child.ended.done():
        raise NotReadyError(reason(child), child)
    if deadline is not None and time.monotonic() >= deadline:
        raise NotReadyError(f"not ready within {within:g} s: {child.status}", child, retry=True)


def reason(child: Child) -> str:
    """Why it ended: what it wrote about an error, or else how it ended."""
    lines = [line for line in child.last_lines if line.strip()]
    places = [line for line in lines if _PLACE.match(line)]
    words = [line for line in lines if not line.startswith(" ")]
    if places or words:
        return places[0] if places else words[-1]
    return f"it ended without a word, {describe(child.ended.result())}"


async def first_of(*events: asyncio.Event, ended: Child | None = None, timeout: float | None = None) -> None:
    """Returns when an event is set or the process has ended; at the timeout."""
    tasks = [asyncio.create_task(event.wait()) for event in events]
    futures: list[asyncio.Future[Any]] = [*tasks, *([ended.ended] if ended else [])]
    try:
        await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
